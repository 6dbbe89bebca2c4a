#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "daemon/throttle/control.h"

#include <math.h>

static struct control c;
static int64_t now_us;

static int begin(void **state) {
	(void)state;
	now_us = 1000000;
	control_init(&c, 1000, 250);
	return 0;
}

static void tick(struct control_input input) {
	now_us += control_tick_us;
	if (input.batch_ms == 0)
		input.batch_ms = 250;
	control_tick(&c, &input, now_us);
}

/* Everything that is allowed is used, and the pressure is the latency's. */
static void tick_at(double pressure) {
	tick((struct control_input){
		.pressure = pressure, .latency_binds = true, .latency_watched = true, .used_rows_s = c.rate_rows_s});
}

static bool near(double a, double b) {
	return fabs(a - b) <= 1e-6 * fabs(b);
}

static void starts_fast_until_it_is_felt(void **state) {
	(void)state;
	tick_at(0);
	assert_true(near(c.rate_rows_s, 1650));
	tick_at(0.29);
	assert_true(near(c.rate_rows_s, 1650 * 1.65));
	tick_at(0.3);
	assert_true(near(c.rate_rows_s, 1650 * 1.65));
	tick_at(0);
	assert_true(near(c.rate_rows_s, 1650 * 1.65 * exp(0.06))); /* the start is over */
}

static void holds_around_the_set_point(void **state) {
	(void)state;
	tick_at(0.5);
	tick_at(0.6);
	tick_at(0.7);
	assert_true(near(c.rate_rows_s, 1000) && near(c.batch_ms, 5));
	tick_at(0.4);
	assert_true(near(c.rate_rows_s, 1000 * exp(0.15 * 0.2)));
}

static void shorter_comes_before_fewer(void **state) {
	(void)state;
	double before;
	tick_at(0.8);
	assert_true(near(c.batch_ms, 3.5) && near(c.rate_rows_s, 1000));
	for (int i = 0; i < 3; i++)
		tick_at(0.8);
	assert_true(near(c.batch_ms, 2));
	before = c.rate_rows_s;
	tick_at(0.8);
	assert_true(near(c.batch_ms, 2) && near(c.rate_rows_s, before * exp(-0.15 * 0.2)));
}

static void lag_does_not_shorten(void **state) {
	(void)state;
	tick((struct control_input){.pressure = 0.8, .latency_watched = true, .used_rows_s = 1000});
	assert_true(near(c.batch_ms, 5) && c.rate_rows_s < 1000);
}

static void unwatched_latency_leaves_batches_long(void **state) {
	(void)state;
	tick((struct control_input){.pressure = 0.6, .used_rows_s = 1000});
	assert_true(near(c.batch_ms, 250));
	tick((struct control_input){.pressure = 0.6, .used_rows_s = 1000, .batch_ms = 40});
	assert_true(near(c.batch_ms, 40));
}

static void one_moment_above_the_limit_is_not_two(void **state) {
	(void)state;
	tick_at(1.2); /* smoothed 0.6: nothing hurts for long yet */
	assert_true(near(c.rate_rows_s, 1000) && near(c.batch_ms, 3.5));
	tick_at(1.6); /* smoothed 1.1 */
	assert_true(near(c.rate_rows_s, 750));
	tick_at(1.6); /* it rests, for what was done to show */
	tick_at(0.1);
	assert_true(near(c.rate_rows_s, 750));
	tick_at(1.6);
	tick_at(1.6);
	assert_true(c.rate_rows_s < 750);
}

static void far_above_it_halves(void **state) {
	(void)state;
	tick_at(2.6);
	assert_true(near(c.rate_rows_s, 500));
}

static void going_blind_halves_each_tick(void **state) {
	(void)state;
	struct control_input input = {.pressure = 0.1, .growth = GROWTH_HALVE, .used_rows_s = 1000, .latency_watched = true};
	tick(input);
	tick(input);
	assert_true(near(c.rate_rows_s, 250));
	input.growth = GROWTH_NONE;
	tick(input);
	assert_true(near(c.rate_rows_s, 250));
}

static void who_does_not_use_it_gets_no_more(void **state) {
	(void)state;
	struct control_input input = {.pressure = 0, .used_rows_s = 690, .latency_watched = true};
	tick(input);
	assert_true(near(c.rate_rows_s, 1000) && near(c.batch_ms, 5));
	input.duty_bound = true; /* longer batches make it */
	tick(input);
	assert_true(near(c.rate_rows_s, 1000) && near(c.batch_ms, 5 * 1.65));
	input.used_rows_s = 710;
	tick(input);
	assert_true(near(c.rate_rows_s, 1650));
}

static void an_unused_allowance_is_no_measure(void **state) {
	(void)state;
	tick((struct control_input){.pressure = 2.6, .used_rows_s = 100, .latency_watched = true});
	assert_true(near(c.rate_rows_s, 50));
}

static void near_what_was_too_much_it_creeps(void **state) {
	(void)state;
	control_exceeded(&c);
	assert_true(near(c.rate_rows_s, 500) && near(c.bad_rate, 1000) && !c.slow_start);
	c.rate_rows_s = 950;
	c.ticked_us = now_us;
	tick_at(0);
	assert_true(near(c.rate_rows_s, 950 * exp(0.06 * 0.3)));
	for (int i = 0; i < 12; i++)
		tick_at(0.6); /* a minute later it is 10 % up */
	assert_true(c.bad_rate > 1090 && c.bad_rate < 1120);
}

/* What passed by itself was hardly our rate. A lag was: there it creeps from anywhere. */
static void what_a_stall_took_is_soon_regained(void **state) {
	(void)state;
	tick_at(3);
	assert_true(near(c.bad_rate, 1000) && near(c.rate_rows_s, 500));
	tick_at(3);
	assert_true(c.bad_rate > 1000 && c.bad_rate < 1010); /* the first one alone, aging */
	assert_true(near(c.rate_rows_s, 250));
	tick_at(0);
	tick_at(0);
	assert_true(near(c.rate_rows_s, 250 * 1.25));
	control_exceeded(&c);
	double before = c.rate_rows_s;
	c.bad_rate = 1000;
	c.rest_ticks = 0;
	tick_at(0);
	assert_true(near(c.rate_rows_s, before * exp(0.06)));
}

/* Nothing that was felt before is answered a second time, and what was asked for is still uncertain. */
static void the_set_point_goes_by_what_is_sure(void **state) {
	(void)state;
	struct control_input input = {.pressure = 0.65, .latency_binds = true, .latency_watched = true, .used_rows_s = 1000};
	c.slow_start = false;
	input.uncertainty = 0.05; /* as far as 0.8 */
	tick(input);
	assert_true(c.rate_rows_s > 1000);
	c.rate_rows_s = 1000;
	input.uncertainty = 0.3; /* no nearer than 0.5 */
	tick(input);
	assert_true(near(c.rate_rows_s, 1000) && c.batch_ms < 5);
}

static void shares_are_equal_but_for_who_cant_use_his(void **state) {
	(void)state;
	double shares[4];
	control_share(900, (double[]){-1, -1, -1}, shares, 3);
	assert_true(near(shares[0], 300) && near(shares[1], 300) && near(shares[2], 300));
	control_share(900, (double[]){-1, 100, -1}, shares, 3);
	assert_true(near(shares[0], 400) && near(shares[1], 100) && near(shares[2], 400));
	control_share(900, (double[]){250, 0, 2000, -1}, shares, 4);
	assert_true(near(shares[0], 250) && shares[1] == 0 && near(shares[2], 325) && near(shares[3], 325));
	control_share(900, (double[]){10, 20}, shares, 2);
	assert_true(near(shares[0], 10) && near(shares[1], 20));
	control_share(900, NULL, NULL, 0);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(starts_fast_until_it_is_felt, begin),
		cmocka_unit_test_setup(holds_around_the_set_point, begin),
		cmocka_unit_test_setup(shorter_comes_before_fewer, begin),
		cmocka_unit_test_setup(lag_does_not_shorten, begin),
		cmocka_unit_test_setup(unwatched_latency_leaves_batches_long, begin),
		cmocka_unit_test_setup(one_moment_above_the_limit_is_not_two, begin),
		cmocka_unit_test_setup(far_above_it_halves, begin),
		cmocka_unit_test_setup(going_blind_halves_each_tick, begin),
		cmocka_unit_test_setup(who_does_not_use_it_gets_no_more, begin),
		cmocka_unit_test_setup(an_unused_allowance_is_no_measure, begin),
		cmocka_unit_test_setup(near_what_was_too_much_it_creeps, begin),
		cmocka_unit_test_setup(what_a_stall_took_is_soon_regained, begin),
		cmocka_unit_test_setup(the_set_point_goes_by_what_is_sure, begin),
		cmocka_unit_test_setup(shares_are_equal_but_for_who_cant_use_his, begin),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
