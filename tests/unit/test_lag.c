#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "daemon/throttle/lag.h"

static const int64_t second_us = 1000000;

static void heartbeat_lag(void **state) {
	(void)state;
	assert_float_equal(lag_heartbeat_ms(5000000, 4700000, 0), 300, 1e-9);
	assert_float_equal(lag_heartbeat_ms(605000000, 4700000, 600000000), 300, 1e-9); /* delayed by 10 min on purpose */
	assert_float_equal(lag_heartbeat_ms(5000000, 4700000, 600000000), 0, 1e-9);
}

static void caught_up_is_no_lag(void **state) {
	(void)state;
	struct lag_standby s = {0};
	double ms = -1;
	assert_true(lag_standby_sample(&s, 100, 0, LAG_NULL, second_us, &ms));
	assert_float_equal(ms, 0, 1e-9);
	/* the manual: the last value is shown for a while after all was replayed */
	assert_true(lag_standby_sample(&s, 100, 0, 5000000, 2 * second_us, &ms));
	assert_float_equal(ms, 0, 1e-9);
	/* long idle, then work: the idle time is not lag */
	assert_true(lag_standby_sample(&s, 100, 0, LAG_NULL, 1000 * second_us, &ms));
	assert_true(lag_standby_sample(&s, 100, 50, LAG_NULL, 1001 * second_us, &ms));
	assert_float_equal(ms, 1000, 1e-9);
}

static void advancing_is_believed(void **state) {
	(void)state;
	struct lag_standby s = {0};
	double ms = -1;
	assert_true(lag_standby_sample(&s, 100, 0, LAG_NULL, second_us, &ms));
	for (int i = 2; i < 20; i++) {
		assert_true(lag_standby_sample(&s, 100 * i, 1000, 250000, i * second_us, &ms));
		assert_float_equal(ms, 250, 1e-9);
	}
}

static void frozen_replay_ages(void **state) {
	(void)state;
	struct lag_standby s = {0};
	double ms = -1;
	assert_true(lag_standby_sample(&s, 100, 0, LAG_NULL, second_us, &ms));
	for (int i = 2; i < 20; i++) {
		/* replay_lag stays at its last value while the distance grows */
		assert_true(lag_standby_sample(&s, 100, 1000 * i, 250000, i * second_us, &ms));
		assert_float_equal(ms, (float)(i - 1) * 1000, 1e-9);
	}
	assert_true(lag_standby_sample(&s, 200, 20000, 19000000, 20 * second_us, &ms));
	assert_float_equal(ms, 19000, 1e-9);
	assert_true(lag_standby_sample(&s, 20200, 0, 250000, 21 * second_us, &ms));
	assert_float_equal(ms, 0, 1e-9);
}

static void frozen_before_we_came_is_unknown(void **state) {
	(void)state;
	struct lag_standby s = {0};
	double ms = -1;
	for (int i = 1; i < 10; i++)
		assert_false(lag_standby_sample(&s, 100, 1000, LAG_NULL, i * second_us, &ms));
	assert_float_equal(ms, -1, 1e-9);
	assert_true(lag_standby_sample(&s, 200, 900, 500000, 10 * second_us, &ms));
	assert_float_equal(ms, 500, 1e-9);
}

static void names_that_count(void **state) {
	(void)state;
	char *some[] = {"r1", "r2"}, *without[] = {"!r1"}, *both[] = {"r1", "!r2"};
	struct throttle_settings all = {0}, named = {.replicas = some, .nreplicas = 2},
							 left_out = {.replicas = without, .nreplicas = 1}, mixed = {.replicas = both, .nreplicas = 2};
	assert_true(lag_counts(&all, "r9"));
	assert_true(lag_counts(&named, "r2"));
	assert_false(lag_counts(&named, "r9"));
	assert_false(lag_counts(&left_out, "r1"));
	assert_true(lag_counts(&left_out, "r9"));
	assert_true(lag_counts(&mixed, "r1"));
	assert_false(lag_counts(&mixed, "r2"));
	assert_false(lag_counts(&mixed, "r9"));
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(heartbeat_lag),
		cmocka_unit_test(caught_up_is_no_lag),
		cmocka_unit_test(advancing_is_believed),
		cmocka_unit_test(frozen_replay_ages),
		cmocka_unit_test(frozen_before_we_came_is_unknown),
		cmocka_unit_test(names_that_count),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
