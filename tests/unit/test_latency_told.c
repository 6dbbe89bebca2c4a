#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "daemon/throttle/latency_told.h"

static const int64_t second_us = 1000000;
static struct latency_told told;
static int64_t now_us;

static int begin(void **state) {
	(void)state;
	told = (struct latency_told){.every_us = second_us, .window_us = 2 * second_us};
	now_us = 1000 * second_us;
	return 0;
}

static void tell(double ms, enum latency_mode mode) {
	now_us += told.every_us;
	latency_told_add(&told, ms, mode, now_us);
}

static void run(int values, double ms, enum latency_mode mode) {
	for (int i = 0; i < values; i++)
		tell(ms, mode);
}

static struct reading estimate(void) {
	struct reading reading = {.value = -1};
	if (!latency_told_estimate(&told, now_us, &reading))
		assert_true(reading.value == -1);
	return reading;
}

static void the_first_phase_is_all_rest(void **state) {
	(void)state;
	assert_true(estimate().value == -1);
	run(10, 4, LATENCY_IDLE);
	assert_int_equal(latency_told_idle_us(&told), 9 * second_us);
	assert_float_equal(told.baseline.value, 0, 0);
	assert_float_equal(estimate().value, 4, 1e-9);
	latency_told_end_phase(&told, now_us);
	assert_float_equal(told.baseline.value, 4, 1e-9);
	assert_int_equal(latency_told_idle_us(&told), 0);
}

/* What is told in the first seconds of a later one was measured while we worked. */
static void a_phase_begins_a_window_later(void **state) {
	(void)state;
	run(10, 4, LATENCY_IDLE);
	run(20, 9, LATENCY_WORK);
	tell(9, LATENCY_SETTLE);
	tell(9, LATENCY_IDLE);
	assert_float_equal(estimate().value, 9, 1e-9);
	run(4, 6, LATENCY_IDLE);
	assert_float_equal(estimate().value, 6, 1e-9);
	run(1, 9, LATENCY_WORK);
	/* 10 values of 4, 4 of 6 would be 4.57; but it rises slowly */
	assert_true(told.baseline.value > 4 && told.baseline.value < 4.1);
}

static void a_longer_window_than_a_phase_tells_nothing(void **state) {
	(void)state;
	told.window_us = 15 * second_us;
	run(30, 4, LATENCY_IDLE);
	for (int i = 0; i < 5; i++) {
		run(40, 8, LATENCY_WORK);
		run(6, 8, LATENCY_IDLE);
	}
	run(1, 8, LATENCY_WORK);
	assert_float_equal(told.baseline.value, 4, 1e-9);
	assert_float_equal(estimate().value, 8, 1e-9);
	assert_true(estimate().sure);
}

static void two_values_are_no_phase(void **state) {
	(void)state;
	run(2, 4, LATENCY_IDLE);
	run(1, 4, LATENCY_WORK);
	assert_float_equal(told.baseline.value, 0, 0);
}

static void a_long_phase_is_counted_in_parts(void **state) {
	(void)state;
	told.every_us = second_us / 5;
	run(5 * 100, 4, LATENCY_IDLE);
	assert_float_equal(told.baseline.value, 4, 1e-9);
	assert_true(latency_told_idle_us(&told) < 31 * second_us);
}

static void the_value_is_the_median_at_work(void **state) {
	(void)state;
	run(30, 2, LATENCY_WORK);
	tell(500, LATENCY_WORK); /* one checkpoint */
	struct reading r = estimate();
	assert_float_equal(r.value, 2, 1e-9);
	assert_int_equal(r.samples, 15);
	assert_true(r.sure);
	run(7, 5, LATENCY_WORK);
	r = estimate();
	assert_float_equal(r.value, 5, 1e-9);
	assert_float_equal(r.recent, 5, 1e-9);
}

/* At rest nothing of ours is felt: it is the last seconds of work that count, however long ago. */
static void phases_don_t_count_at_work(void **state) {
	(void)state;
	run(10, 8, LATENCY_WORK);
	run(10, 2, LATENCY_IDLE);
	run(3, 8, LATENCY_WORK);
	struct reading r = estimate();
	assert_float_equal(r.value, 8, 1e-9);
	assert_int_equal(r.samples, 13);
	now_us += 200 * second_us;
	tell(3, LATENCY_WORK);
	r = estimate();
	assert_float_equal(r.value, 3, 1e-9);
	assert_int_equal(r.samples, 1);
	assert_false(r.sure);
}

static void five_values_are_sure(void **state) {
	(void)state;
	told.every_us = 10 * second_us;
	for (int i = 0; i < 5; i++) {
		tell(2 + i % 2, LATENCY_WORK);
		assert_int_equal(estimate().sure, i == 4);
	}
	tell(2, LATENCY_WORK);
	assert_int_equal(estimate().samples, 5); /* 15 s would be one */
}

static void values_that_scatter_are_worth_less(void **state) {
	(void)state;
	tell(10, LATENCY_WORK);
	assert_float_equal(estimate().error, 1, 0);
	run(14, 10, LATENCY_WORK);
	double exact = estimate().error;
	assert_true(exact > 0 && exact < 0.05);
	for (int i = 0; i < 15; i++)
		tell(i % 2 == 0 ? 8 : 12, LATENCY_WORK);
	double near = estimate().error;
	for (int i = 0; i < 15; i++)
		tell(i % 2 == 0 ? 5 : 15, LATENCY_WORK);
	double far = estimate().error;
	assert_true(exact < near && near < far && far < 1);
	told.window_us = 15 * second_us; /* all of them tell of the same time */
	assert_true(estimate().error > 2 * far);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(the_first_phase_is_all_rest, begin),
		cmocka_unit_test_setup(a_phase_begins_a_window_later, begin),
		cmocka_unit_test_setup(a_longer_window_than_a_phase_tells_nothing, begin),
		cmocka_unit_test_setup(two_values_are_no_phase, begin),
		cmocka_unit_test_setup(a_long_phase_is_counted_in_parts, begin),
		cmocka_unit_test_setup(the_value_is_the_median_at_work, begin),
		cmocka_unit_test_setup(phases_don_t_count_at_work, begin),
		cmocka_unit_test_setup(five_values_are_sure, begin),
		cmocka_unit_test_setup(values_that_scatter_are_worth_less, begin),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
