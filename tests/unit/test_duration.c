/* duration: every unit there and back, and what is refused. */
#include "common/duration.h"

#include "common/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static const struct {
	const char *text;
	int64_t value;
	const char *back;
} durations[] =
	{
		{"250ms", 250, "250ms"}, {"2s", 2000, "2s"},       {"5m", 300000, "5m"},       {"1h", 3600000, "1h"},
		{"90s", 90000, "90s"},   {"60s", 60000, "1m"},     {"1500ms", 1500, "1500ms"}, {"0", 0, "0ms"},
		{"0ms", 0, "0ms"},       {"24h", 86400000, "24h"}, {"2 s", 2000, "2s"},        {"3600s", 3600000, "1h"},
},
  sizes[] = {
	  {"64MB", 67108864, "64MB"},       {"16MB", 16777216, "16MB"}, {"8kB", 8192, "8kB"},  {"8KB", 8192, "8kB"},
	  {"1GB", 1073741824, "1GB"},       {"1024kB", 1048576, "1MB"}, {"100B", 100, "100B"}, {"0", 0, "0B"},
	  {"2TB", INT64_C(2) << 40, "2TB"},
};

static void durations_go_there_and_back(void **state) {
	(void)state;
	for (size_t i = 0; i < sizeof durations / sizeof durations[0]; i++) {
		int64_t ms = -1;
		assert_true(duration_parse_ms(durations[i].text, &ms));
		assert_int_equal(ms, durations[i].value);
		autofree char *back = duration_format_ms(ms);
		assert_string_equal(back, durations[i].back);
	}
}

static void sizes_go_there_and_back(void **state) {
	(void)state;
	for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		int64_t bytes = -1;
		assert_true(size_parse_bytes(sizes[i].text, &bytes));
		assert_int_equal(bytes, sizes[i].value);
		autofree char *back = size_format_bytes(bytes);
		assert_string_equal(back, sizes[i].back);
	}
}

static void all_else_is_refused(void **state) {
	(void)state;
	static const char *const bad[] = {"",
	                                  "5",
	                                  "ms",
	                                  "-1s",
	                                  "+1s",
	                                  "1.5s",
	                                  " 1s",
	                                  "1s ",
	                                  "1sec",
	                                  "1 MS",
	                                  "1d",
	                                  "0x1s",
	                                  "1e3s",
	                                  "9223372036854775808ms",
	                                  "9223372036854775807s",
	                                  "99999999999999999999h"};
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		int64_t value = 77;
		assert_false(duration_parse_ms(bad[i], &value));
		assert_false(size_parse_bytes(bad[i], &value));
		assert_int_equal(value, 77); /* written only on success */
	}
	int64_t value = 77;
	assert_false(size_parse_bytes("1mb", &value));
	assert_false(size_parse_bytes("1M", &value));
	assert_false(duration_parse_ms("1MB", &value));
	assert_int_equal(value, 77);
	assert_true(duration_parse_ms("9223372036854775807ms", &value));
	assert_true(value == INT64_MAX);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(durations_go_there_and_back),
		cmocka_unit_test(sizes_go_there_and_back),
		cmocka_unit_test(all_else_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
