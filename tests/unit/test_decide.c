#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "daemon/throttle/decide.h"

#include <string.h>

static const int64_t now_us = 1000000000;

static struct reading known(const char *probe, double lag_ms) {
	struct reading r = {.what = "replica lag",
	                    .unit = UNIT_SECONDS,
	                    .state = READING_KNOWN,
	                    .value = lag_ms / 1000,
	                    .limit = 2,
	                    .sure = true,
	                    .at_us = now_us,
	                    .samples = 1,
	                    .counts = true};
	strncpy(r.probe, probe, sizeof r.probe - 1);
	return r;
}

static struct reading unknown(const char *probe, const char *why) {
	struct reading r = {.what = "replica lag", .state = READING_UNKNOWN, .limit = 2, .counts = true};
	strncpy(r.probe, probe, sizeof r.probe - 1);
	strncpy(r.why, why, sizeof r.why - 1);
	return r;
}

static void nothing_watched_does_not_hold(void **state) {
	(void)state;
	struct throttle_verdict v = {0};
	decide(NULL, 0, now_us, &v);
	assert_false(v.held);
	assert_string_equal(v.probe, "");
	assert_string_equal(v.reason, "");
}

static void highest_pressure_is_named(void **state) {
	(void)state;
	struct reading r[] = {known("lag:r1", 100), known("lag:r2", 1000), known("lag:r3", 200)};
	struct throttle_verdict v = {0};
	decide(r, 3, now_us, &v);
	assert_false(v.held);
	assert_string_equal(v.probe, "lag:r2");
	assert_float_equal(v.pressure, 0.5, 1e-9);
	assert_float_equal(v.lag_s, 1, 1e-9);
}

static void over_the_limit_holds(void **state) {
	(void)state;
	struct reading r[] = {known("lag:r1", 3200)};
	struct throttle_verdict v = {0};
	decide(r, 1, now_us, &v);
	assert_true(v.held);
	assert_string_equal(v.reason, "replica lag 3.2 s > 2 s (r1)");
	r[0].value = 2; /* at the limit counts too */
	v = (struct throttle_verdict){0};
	decide(r, 1, now_us, &v);
	assert_true(v.held);
}

static void released_below_four_fifths(void **state) {
	(void)state;
	struct reading r[] = {known("lag:r1", 1700)};
	struct throttle_verdict v = {0};
	decide(r, 1, now_us, &v);
	assert_false(v.held);
	r[0].value = 2.1;
	decide(r, 1, now_us, &v);
	assert_true(v.held);
	r[0].value = 1.7;
	decide(r, 1, now_us, &v);
	assert_true(v.held);
	assert_string_equal(v.reason, "replica lag 1.7 s, going on below 1.6 s (r1)");
	r[0].value = 1.599;
	decide(r, 1, now_us, &v);
	assert_false(v.held);
	assert_string_equal(v.reason, "");
	r[0].value = 1.7;
	decide(r, 1, now_us, &v);
	assert_false(v.held);
}

static void silence_is_lag(void **state) {
	(void)state;
	struct reading r[] = {known("lag:r1", 50)};
	assert_float_equal(reading_value(&r[0], now_us + 10000), 0.05, 1e-9);
	assert_float_equal(reading_value(&r[0], now_us + 2500000), 2.5, 1e-9);
	struct throttle_verdict v = {0};
	decide(r, 1, now_us + 2500000, &v);
	assert_true(v.held);
	r[0].period_us = 1000000;
	assert_float_equal(reading_value(&r[0], now_us + 1000000), 0.05, 1e-9);
	assert_float_equal(reading_value(&r[0], now_us + 2500000), 1.5, 1e-9);
}

/* An old transaction may be there for days: the rate is less meanwhile, and nothing else happens. */
static void what_slows_never_holds(void **state) {
	(void)state;
	struct reading r[] = {known("oldest", 450000), known("lag:r1", 100)};
	r[0] = (struct reading){.what = "oldest transaction",
	                        .nature = READING_SLOWING,
	                        .unit = UNIT_SECONDS,
	                        .state = READING_KNOWN,
	                        .ok = 300,
	                        .limit = 600,
	                        .detail = "pid 7",
	                        .at_us = now_us,
	                        .counts = true};
	static const struct { double value, slowdown; } cases[] = {{0, 0}, {300, 0}, {400, 0.25}, {600, 0.75}, {1e9, 0.75}};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct throttle_verdict v = {0};
		r[0].value = cases[i].value;
		decide(r, 2, now_us, &v);
		assert_false(v.held);
		assert_float_equal(v.slowdown, cases[i].slowdown, 1e-9);
		assert_float_equal(v.pressure, 0.05, 1e-9);
		assert_string_equal(v.probe, "lag:r1");
		assert_int_equal(v.slowed[0] != '\0', cases[i].slowdown > 0);
	}
	struct throttle_verdict v = {0};
	r[0].value = 700;
	decide(r, 2, now_us, &v);
	assert_string_equal(v.slowed, "slowed to 25 %: oldest transaction 700 s, limit 600 s (pid 7)");
	r[0].state = READING_UNKNOWN;
	decide(r, 2, now_us, &v);
	assert_true(!v.held && v.slowdown == 0 && v.slowed[0] == '\0');
}

static struct reading level(const char *probe, double value, int64_t samples, int64_t good) {
	struct reading r = known(probe, 0);
	strcpy(r.what, "x");
	r.nature = READING_LEVEL;
	r.unit = UNIT_COUNT;
	r.value = value;
	r.samples = samples;
	r.good = good;
	r.state = good > 0 ? READING_KNOWN : READING_UNKNOWN;
	return r;
}

/* Only of what was known before: a start waits for one reading alone, and who was over the limit is not blind. */
static void who_was_blind_waits_for_three_readings(void **state) {
	(void)state;
	struct throttle_verdict v = {0};
	struct reading r = level("a", 0, 0, 0);
	decide(&r, 1, now_us, &v);
	assert_true(v.held);
	r = level("a", 0, 1, 1);
	decide(&r, 1, now_us, &v);
	assert_false(v.held);
	r = level("a", 5, 2, 2);
	decide(&r, 1, now_us, &v);
	assert_string_equal(v.reason, "x 5 > 2");
	decide(&r, 1, now_us, &v);
	assert_string_equal(v.reason, "x 5 > 2");
	r = level("a", 0, 3, 3);
	decide(&r, 1, now_us, &v);
	assert_false(v.held);
	r = level("a", 0, 3, 0);
	decide(&r, 1, now_us, &v);
	assert_true(v.held);
	for (int64_t good = 1; good <= 3; good++) {
		r = level("a", 0, 3 + good, good);
		decide(&r, 1, now_us, &v);
		assert_int_equal(v.held, good < 3);
	}
}

static void a_guard_is_told_apart(void **state) {
	(void)state;
	struct reading r = level("disk", 3, 1, 1);
	r.guards = true;
	r.ok = r.limit;
	struct throttle_verdict v = {0};
	decide(&r, 1, now_us, &v);
	assert_true(v.held && v.guarded);
	r.value = 1.99;
	decide(&r, 1, now_us, &v);
	assert_true(!v.held && !v.guarded);
	assert_true(v.pressure == 0);
}

static void unknown_holds_only_if_it_counts(void **state) {
	(void)state;
	struct reading r[] = {known("lag:r1", 50), unknown("lag:r2", "connection refused")};
	struct throttle_verdict v = {0};
	decide(r, 2, now_us, &v);
	assert_true(v.held);
	assert_string_equal(v.probe, "lag:r2");
	assert_string_equal(v.reason, "replica lag unknown (r2): connection refused");
	assert_float_equal(v.lag_s, 0.05, 1e-9);
	r[1].counts = false;
	decide(r, 2, now_us, &v);
	assert_false(v.held);
	r[1] = unknown("lag", "waiting for the first list of replicas");
	decide(r, 2, now_us, &v);
	assert_string_equal(v.reason, "replica lag unknown: waiting for the first list of replicas");
	r[1].counts = false;
	r[0].counts = false;
	r[0].value = 1e3;
	decide(r, 2, now_us, &v);
	assert_false(v.held);
	assert_string_equal(v.probe, "");
}

static struct reading estimate(double value, double recent, double error, bool sure) {
	struct reading r = known("latency", 0);
	r.nature = READING_LATENCY;
	r.unit = UNIT_MILLISECONDS;
	strcpy(r.what, "latency P95");
	r.value = value;
	r.recent = recent;
	r.error = error;
	r.sure = sure;
	r.ok = 10;
	r.limit = 12;
	return r;
}

/* Of few samples: not faster, and slower only when it is surely above its limit. */
static void an_estimate_counts_as_far_as_it_is_sure(void **state) {
	(void)state;
	struct reading r[] = {estimate(13, 0, 0.05, true)};
	struct throttle_verdict v = {0};
	decide(r, 1, now_us, &v);
	assert_float_equal(v.pressure, 1.5, 1e-9);
	assert_true(v.growth == GROWTH_FREE && v.latency_binds && !v.held);
	r[0].sure = false; /* 13 - 2 * 0.65 = 11.7: perhaps not above 12 */
	decide(r, 1, now_us, &v);
	assert_float_equal(v.pressure, 0.6, 1e-6);
	assert_int_equal(v.growth, GROWTH_NONE);
	r[0].error = 0.02; /* 12.48 */
	decide(r, 1, now_us, &v);
	assert_float_equal(v.pressure, 1.24, 1e-6);
	assert_false(v.held);
}

static void what_is_over_is_not_answered_again(void **state) {
	(void)state;
	struct reading r[] = {estimate(16, 10.5, 0.01, true)}; /* the last seconds are fine */
	struct throttle_verdict v = {0};
	decide(r, 1, now_us, &v);
	assert_float_equal(v.pressure, 0.6, 1e-6);
	r[0].recent = 13;
	decide(r, 1, now_us, &v);
	assert_float_equal(v.pressure, 1.5, 1e-9);
	r[0].recent = 30;
	decide(r, 1, now_us, &v);
	assert_float_equal(v.pressure, 3, 1e-9);
	r[0].value = 11; /* nor is a moment: the window is */
	decide(r, 1, now_us, &v);
	assert_float_equal(v.pressure, 0.5, 1e-9);
}

/* Late by two periods: not faster; by 15 s: half each time; by 30 s: held, until three readings in a row are good. */
static void a_late_reading_slows_and_then_holds(void **state) {
	(void)state;
	struct reading r[] = {estimate(10, 10, 0.01, true)};
	struct throttle_verdict v = {0};
	r[0].period_us = 1000000;
	decide(r, 1, now_us + 2000000, &v);
	assert_int_equal(v.growth, GROWTH_FREE);
	decide(r, 1, now_us + 2100000, &v);
	assert_int_equal(v.growth, GROWTH_NONE);
	decide(r, 1, now_us + 15100000, &v);
	assert_true(v.growth == GROWTH_HALVE && !v.held);
	decide(r, 1, now_us + 30100000, &v);
	assert_true(v.held && !v.excess);
	assert_string_equal(v.reason, "latency P95 unknown: no reading for 30 s");
	r[0].good = r[0].samples = 500;
	for (int i = 0; i < 3; i++) {
		assert_true(v.held);
		reading_set_known(&r[0], now_us + (40 + i) * 1000000);
		decide(r, 1, r[0].at_us, &v);
		if (v.held)
			assert_string_equal(v.reason, "latency P95 unknown: it was unknown; 3 good readings in a row are wanted");
	}
	assert_false(v.held);
}

/* A lag that will be at its limit even if we stop now; from a quarter of the limit on. */
static void what_is_coming_holds(void **state) {
	(void)state;
	struct reading r[] = {known("lag:r1", 700)};
	struct throttle_verdict v = {0};
	r[0].coming = 2.3;
	decide(r, 1, now_us, &v);
	assert_true(v.held && v.excess);
	assert_string_equal(v.reason, "replica lag 0.7 s and rising, 2.3 s to come > 2 s (r1)");
	v = (struct throttle_verdict){0};
	r[0].value = 0.4;
	decide(r, 1, now_us, &v);
	assert_false(v.held);
}

static void measured_excess_names_the_reason(void **state) {
	(void)state;
	struct reading r[] = {unknown("lag:r2", "connection refused"), known("lag:r1", 5000)};
	struct throttle_verdict v = {0};
	decide(r, 2, now_us, &v);
	assert_true(v.held);
	assert_string_equal(v.probe, "lag:r1");
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_watched_does_not_hold),
		cmocka_unit_test(highest_pressure_is_named),
		cmocka_unit_test(over_the_limit_holds),
		cmocka_unit_test(released_below_four_fifths),
		cmocka_unit_test(silence_is_lag),
		cmocka_unit_test(what_slows_never_holds),
		cmocka_unit_test(who_was_blind_waits_for_three_readings),
		cmocka_unit_test(a_guard_is_told_apart),
		cmocka_unit_test(unknown_holds_only_if_it_counts),
		cmocka_unit_test(an_estimate_counts_as_far_as_it_is_sure),
		cmocka_unit_test(what_is_over_is_not_answered_again),
		cmocka_unit_test(a_late_reading_slows_and_then_holds),
		cmocka_unit_test(what_is_coming_holds),
		cmocka_unit_test(measured_excess_names_the_reason),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
