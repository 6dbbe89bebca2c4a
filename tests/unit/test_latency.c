#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "daemon/throttle/latency.h"
#include "daemon/throttle/phases.h"
#include "daemon/throttle/trend.h"

#include <string.h>

static const int64_t second_us = 1000000;
static struct latency l;
static int64_t now_us;

static int begin(void **state) {
	(void)state;
	l = (struct latency){0};
	now_us = 1000 * second_us;
	return 0;
}

/* So many seconds of 50 samples, of 1 ms and one in ten of `slow_us`: P95 is theirs. */
static void run(double seconds, int64_t slow_us, enum latency_mode mode) {
	for (int i = 0; i < seconds * 50; i++) {
		now_us += 20000;
		latency_add(&l, i % 10 == 0 ? slow_us : 1000, 0, mode, now_us);
	}
}

static struct reading estimate(void) {
	struct reading reading = {.state = READING_KNOWN, .nature = READING_LATENCY};
	latency_estimate(&l, now_us, &reading);
	return reading;
}

static struct reading as_read(double max_increase, int64_t max_ms, int64_t learn_ms) {
	struct throttle_settings settings = {.max_p95_increase = max_increase, .max_p95_ms = max_ms, .latency_learn_ms = learn_ms};
	struct reading reading = estimate();
	struct readings readings = {0};
	latency_add_reading(&l, &reading, &settings, &readings);
	reading = readings.list[0];
	readings_free(&readings);
	return reading;
}

static void baseline_is_learned_at_rest_alone(void **state) {
	(void)state;
	run(5, 90000, LATENCY_WORK);
	run(1, 90000, LATENCY_SETTLE);
	assert_float_equal(l.baseline.value, 0, 0);
	run(10, 2000, LATENCY_IDLE);
	assert_true(latency_idle_us(&l) > 9 * second_us);
	run(1, 90000, LATENCY_WORK);
	assert_true(l.baseline.value > 1.9 && l.baseline.value < 2.1);
	assert_int_equal(latency_idle_us(&l), 0);
}

static void few_samples_are_no_phase(void **state) {
	(void)state;
	run(0.5, 2000, LATENCY_IDLE);
	run(1, 2000, LATENCY_WORK);
	assert_float_equal(l.baseline.value, 0, 0);
}

static void a_long_rest_is_several_phases(void **state) {
	(void)state;
	run(31, 2000, LATENCY_IDLE);
	assert_true(l.baseline.value > 1.9 && l.baseline.value < 2.1);
	run(31, 3000, LATENCY_IDLE);
	assert_int_equal(l.baseline.count, 2);
}

/* The window is the last 15 s at work; a phase between does not shorten it, and what was before is forgotten. */
static void window_slides_over_work(void **state) {
	(void)state;
	run(40, 2000, LATENCY_WORK);
	assert_true(estimate().value < 2.1);
	assert_in_range(estimate().samples, 14 * 50, 15 * 50); /* the newest second has just begun */
	run(16, 8000, LATENCY_WORK);
	assert_true(estimate().value > 7.5);
	run(3, 1000, LATENCY_WORK);
	run(1, 1000, LATENCY_SETTLE);
	run(5, 1000, LATENCY_IDLE);
	assert_true(estimate().value < 1.1); /* at rest it is the phase's */
	run(1, 1000, LATENCY_WORK);
	assert_true(estimate().value > 7.5); /* 11 of the 15 s are those of before */
}

static void it_stretches_until_there_are_enough(void **state) {
	(void)state;
	for (int i = 0; i < 5 * 40; i++) {
		now_us += 200000;
		latency_add(&l, 1000, 0, LATENCY_WORK, now_us);
	}
	struct reading reading = estimate();
	assert_int_equal(reading.samples, 200);
	assert_false(reading.sure);
	assert_true(reading.error > 0.1);
	run(20, 1000, LATENCY_WORK);
	assert_true(estimate().sure);
}

static void without_a_baseline_it_is_learning(void **state) {
	(void)state;
	run(4, 2000, LATENCY_IDLE);
	struct reading reading = as_read(0.2, 0, 30000);
	assert_true(reading.counts && reading.learning && reading.state == READING_UNKNOWN);
	assert_string_equal(reading.why, "learning what it is without us, 27 s to go");
	reading = as_read(0, 5, 30000); /* an absolute limit needs none */
	assert_true(reading.counts && !reading.learning && reading.state == READING_KNOWN);
	assert_true(reading.limit == 5 && reading.ok == 0);
	reading = as_read(0, 0, 30000);
	assert_false(reading.counts);
}

static void the_lower_limit_holds(void **state) {
	(void)state;
	run(10, 10000, LATENCY_IDLE);
	run(20, 10000, LATENCY_WORK);
	struct reading reading = as_read(0.5, 0, 1);
	assert_true(reading.limit > 14.5 && reading.limit < 15.5 && reading.ok > 9.5);
	assert_float_equal(as_read(0.5, 12, 1).limit, 12, 1e-9);
	assert_float_equal(as_read(0.5, 40, 1).limit, reading.limit, 1e-9);
}

static void baseline_rises_slowly_and_falls_at_once(void **state) {
	(void)state;
	struct baseline b = {0};
	baseline_add(&b, 2, 1000, now_us);
	assert_float_equal(b.value, 2, 1e-9);
	baseline_add(&b, 8, 1000, now_us + 60 * second_us);
	assert_true(b.value > 2.0199 && b.value < 2.0201); /* 10 % in 10 min */
	struct baseline c = {0};
	baseline_add(&c, 2, 1000, now_us);
	baseline_add(&c, 1, 3000, now_us + second_us);
	assert_float_equal(c.value, 1.25, 1e-9);
	baseline_add(&c, 1.3, 1000, now_us + 900 * second_us); /* those before are forgotten */
	assert_float_equal(c.value, 1.3, 1e-9);
	baseline_add(&c, 0, 0, now_us + 901 * second_us);
	assert_float_equal(c.value, 1.3, 1e-9);
	struct baseline d;
	baseline_restore(&d, 5, now_us);
	assert_float_equal(d.value, 5, 0);
}

/* Six seconds in each minute, more or less, and never less than 40 s apart. */
static void phases_come_again_and_again(void **state) {
	(void)state;
	struct phases phases = {0};
	int begun = 0;
	int64_t off_us = 0, step_us = 100000, last_us = now_us;
	bool was_off = false;
	for (int i = 0; i < 36000; i++, now_us += step_us) {
		bool off = phases_off(&phases, now_us, (double)(i % 11) / 10);
		if (off && !was_off) {
			assert_true(now_us - last_us >= 40 * second_us);
			last_us = now_us;
			begun++;
		}
		off_us += off ? step_us : 0;
		was_off = off;
	}
	assert_in_range(begun, 55, 65);
	assert_in_range(off_us / begun, 6 * second_us, 61 * second_us / 10);
}

static void trend_is_seen_through_jitter(void **state) {
	(void)state;
	struct trend t = {0};
	for (int i = 0; i < 40; i++)
		trend_add(&t, 0.1, now_us + i * 100000); /* four seconds: too short to tell */
	assert_float_equal(trend_slope(&t, 7 * second_us), 0, 0);
	t = (struct trend){0};
	for (int i = 0; i < 200; i++)
		trend_add(&t, 0.5 * i / 10. + (i % 2 ? 0.05 : -0.05), now_us + i * 100000);
	assert_float_equal(trend_slope(&t, 7 * second_us), 0.5, 0.02);
	for (int i = 0; i < 200; i++)
		trend_add(&t, 3 + (i % 2 ? 0.05 : -0.05), now_us + (200 + i) * 100000);
	assert_float_equal(trend_slope(&t, 7 * second_us), 0, 0.02);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(baseline_is_learned_at_rest_alone, begin),
		cmocka_unit_test_setup(few_samples_are_no_phase, begin),
		cmocka_unit_test_setup(a_long_rest_is_several_phases, begin),
		cmocka_unit_test_setup(window_slides_over_work, begin),
		cmocka_unit_test_setup(it_stretches_until_there_are_enough, begin),
		cmocka_unit_test_setup(without_a_baseline_it_is_learning, begin),
		cmocka_unit_test_setup(the_lower_limit_holds, begin),
		cmocka_unit_test_setup(baseline_rises_slowly_and_falls_at_once, begin),
		cmocka_unit_test_setup(phases_come_again_and_again, begin),
		cmocka_unit_test_setup(trend_is_seen_through_jitter, begin),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
