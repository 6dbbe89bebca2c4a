#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "daemon/throttle/pace.h"

static struct job_settings defaults(void) {
	return (struct job_settings){.batch = {.rows = 1000,
	                                       .max_rows = 50000,
	                                       .min_rows = 10,
	                                       .max_bytes = 16 << 20,
	                                       .time_ms = 250,
	                                       .adaptive = true,
	                                       .max_duty = 0.5}};
}

static void starts_with_the_configured_rows(void **state) {
	(void)state;
	struct job_settings s = defaults();
	struct pace p;
	pace_init(&p, &s);
	assert_int_equal(pace_rows(&p, &s, 100), 1000);
}

static void bytes_bound_the_rows(void **state) {
	(void)state;
	struct job_settings s = defaults();
	struct pace p;
	pace_init(&p, &s);
	assert_int_equal(pace_rows(&p, &s, 1 << 20), 16);
	assert_int_equal(pace_rows(&p, &s, 8 << 20), 2); /* below min_rows: bytes win */
	assert_int_equal(pace_rows(&p, &s, 64 << 20), 1);
	assert_int_equal(pace_rows(&p, &s, 0), 1000);
}

static void fixed_size_when_not_adaptive(void **state) {
	(void)state;
	struct job_settings s = defaults();
	s.batch.adaptive = false;
	struct pace p;
	pace_init(&p, &s);
	pace_batch_done(&p, &s, 1000, 900000, 900000, 900000);
	pace_shrink(&p, &s);
	assert_int_equal(pace_rows(&p, &s, 1 << 20), 1000);
}

static void grows_slowly_shrinks_fast(void **state) {
	(void)state;
	struct job_settings s = defaults();
	struct pace p;
	pace_init(&p, &s);
	pace_batch_done(&p, &s, 1000, 1000, 1000, 1000); /* 1 ms: far too short */
	assert_int_equal(pace_rows(&p, &s, 1), 1200);
	pace_init(&p, &s);
	pace_batch_done(&p, &s, 1000, 5000000, 5000000, 5000000);
	assert_int_equal(pace_rows(&p, &s, 1), 500);
}

static void contention_halves_down_to_the_least(void **state) {
	(void)state;
	struct job_settings s = defaults();
	struct pace p;
	pace_init(&p, &s);
	pace_shrink(&p, &s);
	assert_int_equal(pace_rows(&p, &s, 1), 500);
	for (int i = 0; i < 20; i++)
		pace_shrink(&p, &s);
	assert_int_equal(pace_rows(&p, &s, 1), 10);
}

static void one_stall_is_forgiven(void **state) {
	(void)state;
	struct job_settings s = defaults();
	struct pace p;
	pace_init(&p, &s);
	for (int i = 0; i < 50; i++) {
		int64_t rows = pace_rows(&p, &s, 1);
		pace_batch_done(&p, &s, rows, rows * 100, rows * 100, rows * 200);
	}
	assert_in_range(pace_rows(&p, &s, 1), 2400, 2600);
	pace_batch_done(&p, &s, 2500, 25000000, 25000000, 50000000); /* 100 times as long, once */
	for (int i = 0; i < 5; i++) {
		int64_t rows = pace_rows(&p, &s, 1);
		assert_in_range(rows, 1200, 2600);
		pace_batch_done(&p, &s, rows, rows * 100, rows * 100, rows * 200);
	}
	assert_in_range(pace_rows(&p, &s, 1), 2000, 2600);
}

static void nothing_scanned_teaches_nothing(void **state) {
	(void)state;
	struct job_settings s = defaults();
	struct pace p;
	pace_init(&p, &s);
	pace_batch_done(&p, &s, 0, 0, 100, 0);
	pace_batch_done(&p, &s, 0, 500, 100, 100);
	assert_int_equal(pace_rows(&p, &s, 1), 1000);
	assert_float_equal(p.ms_per_row, 0, 0);
}

static void settings_changed_while_running_bind_at_once(void **state) {
	(void)state;
	struct job_settings s = defaults();
	struct pace p;
	pace_init(&p, &s);
	s.batch.max_rows = 300;
	assert_int_equal(pace_rows(&p, &s, 1), 300);
	s.batch.max_rows = 50000;
	s.batch.min_rows = 5000;
	assert_int_equal(pace_rows(&p, &s, 1), 5000);
}

static void delay_is_the_longest_of_three(void **state) {
	(void)state;
	struct job_settings s = defaults();
	struct pace p;
	pace_init(&p, &s);
	assert_int_equal(pace_delay_us(&p, &s, 1000, 200000), 200000); /* duty 0.5 */
	s.batch.max_duty = 1;
	assert_int_equal(pace_delay_us(&p, &s, 1000, 200000), 0);
	s.batch.delay_ms = 30;
	assert_int_equal(pace_delay_us(&p, &s, 1000, 200000), 30000);
	s.batch.max_rate = 1000;
	assert_int_equal(pace_delay_us(&p, &s, 1000, 200000), 800000);
	assert_int_equal(pace_delay_us(&p, &s, 100, 200000), 30000);
	s.batch.max_duty = 0.1;
	assert_in_range(pace_delay_us(&p, &s, 1000, 200000), 1800000, 1800001);
}

static void rate_counts_the_waiting(void **state) {
	(void)state;
	struct job_settings s = defaults();
	struct pace p;
	pace_init(&p, &s);
	for (int i = 0; i < 100; i++)
		pace_batch_done(&p, &s, 1000, 100000, 100000, 500000);
	assert_float_equal(p.rate_rows_s, 2000, 1);
	assert_int_equal(p.last_batch_us, 100000);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(starts_with_the_configured_rows),     cmocka_unit_test(bytes_bound_the_rows),
		cmocka_unit_test(fixed_size_when_not_adaptive),        cmocka_unit_test(grows_slowly_shrinks_fast),
		cmocka_unit_test(contention_halves_down_to_the_least), cmocka_unit_test(one_stall_is_forgiven),
		cmocka_unit_test(nothing_scanned_teaches_nothing),     cmocka_unit_test(settings_changed_while_running_bind_at_once),
		cmocka_unit_test(delay_is_the_longest_of_three),       cmocka_unit_test(rate_counts_the_waiting),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
