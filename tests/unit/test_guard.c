#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "daemon/throttle/guard.h"

static const int64_t second_us = 1000000;
static const struct reading high = {.state = READING_KNOWN, .value = 3, .baseline = 2};

static void three_windows_at_a_lower_rate_trip(void **state) {
	(void)state;
	struct guard g = {0};
	assert_false(guard_latency(&g, &high, 0.25, 1000, 0));
	for (int s = 1; s < 45; s++)
		assert_false(guard_latency(&g, &high, 0.25, 500, s * second_us));
	assert_true(guard_latency(&g, &high, 0.25, 500, 45 * second_us));
	assert_true(guard_latency(&g, &high, 0.25, 500, 46 * second_us));
}

static void who_went_no_slower_is_not_to_blame_yet(void **state) {
	(void)state;
	struct guard g = {0};
	for (int s = 0; s < 100; s++)
		assert_false(guard_latency(&g, &high, 0.25, 1000, s * second_us));
	assert_true(guard_latency(&g, &high, 0.25, 999, 101 * second_us));
}

static void one_good_look_begins_anew(void **state) {
	(void)state;
	struct guard g = {0};
	struct reading good = high, unsure = high, unknown = high, fresh = high;
	good.value = 2.5; /* at it is not above it */
	unsure.error = 0.1;
	unknown.state = READING_UNKNOWN;
	fresh.baseline = 0;
	const struct reading *others[] = {&good, &unsure, &unknown, &fresh};
	for (int i = 0; i < 4; i++) {
		guard_latency(&g, &high, 0.25, 1000, 0);
		assert_false(guard_latency(&g, others[i], 0.25, 500, 44 * second_us));
		assert_int_equal(g.windows, 0);
	}
	guard_latency(&g, &high, 0.25, 1000, 0);
	assert_false(guard_latency(&g, &high, 0, 500, 100 * second_us)); /* switched off */
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(three_windows_at_a_lower_rate_trip),
		cmocka_unit_test(who_went_no_slower_is_not_to_blame_yet),
		cmocka_unit_test(one_good_look_begins_anew),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
