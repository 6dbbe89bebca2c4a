#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "daemon/throttle/histogram.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static void empty_has_no_quantile(void **state) {
	(void)state;
	struct histogram h = {0};
	assert_float_equal(histogram_quantile_us(&h, 0.95), 0, 0);
}

/* Whatever the size, the step that a value is counted in is not wider than 1/32 of it. */
static void every_size_is_kept_within_three_percent(void **state) {
	(void)state;
	for (double us = 1; us < 1e8; us *= 1.07) {
		struct histogram h = {0};
		int64_t whole = (int64_t)us;
		histogram_add(&h, whole);
		double low = histogram_quantile_us(&h, 0), high = histogram_quantile_us(&h, 1);
		assert_true(low <= (double)whole && (double)whole <= high);
		assert_true(high - low <= fmax(1, (double)whole / 32 + 1e-9));
	}
}

static void beyond_its_range_counts_as_the_longest(void **state) {
	(void)state;
	struct histogram h = {0};
	histogram_add(&h, -5);
	assert_true(histogram_quantile_us(&h, 1) <= 1);
	histogram_add(&h, INT64_MAX);
	assert_int_equal(h.total, 2);
	assert_true(histogram_quantile_us(&h, 1) > 1e8);
}

static int by_value(const void *a, const void *b) {
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

static void quantiles_are_those_of_the_sorted_values(void **state) {
	(void)state;
	enum { N = 5000 };
	static double values[N];
	struct histogram h = {0};
	srand48(7);
	for (int i = 0; i < N; i++) {
		values[i] = exp(drand48() * 12);
		histogram_add(&h, (int64_t)values[i]);
	}
	qsort(values, N, sizeof *values, by_value);
	for (double q = 0.05; q < 1; q += 0.05) {
		double truth = values[(int)(q * N)], found = histogram_quantile_us(&h, q);
		assert_true(fabs(found - truth) <= truth * 0.04 + 1);
	}
}

static void merged_is_as_counted_together(void **state) {
	(void)state;
	struct histogram a = {0}, b = {0}, both = {0};
	for (int i = 1; i < 1000; i++) {
		histogram_add(i % 3 == 0 ? &a : &b, i * 17);
		histogram_add(&both, i * 17);
	}
	histogram_merge(&a, &b);
	assert_memory_equal(&a, &both, sizeof a);
	struct histogram many = {0}, one_by_one = {0};
	histogram_add_many(&many, 123, 3);
	for (int i = 0; i < 3; i++)
		histogram_add(&one_by_one, 123);
	assert_memory_equal(&many, &one_by_one, sizeof many);
}

/* One that hung for a second in a series of one each 20 ms: 49 more would have waited, for 20 to 980 ms. */
static void who_waited_for_a_hang_is_counted(void **state) {
	(void)state;
	struct histogram h = {0};
	histogram_add_expected(&h, 1000000, 20000);
	assert_int_equal(h.total, 50);
	assert_true(fabs(histogram_quantile_us(&h, 0.5) - 500000) < 20000);
	struct histogram quick = {0};
	histogram_add_expected(&quick, 19000, 20000);
	histogram_add_expected(&quick, 39000, 20000); /* the next one was begun late, and took less than a period of it */
	histogram_add_expected(&quick, 1000000, 0);
	assert_int_equal(quick.total, 3);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(empty_has_no_quantile),
		cmocka_unit_test(every_size_is_kept_within_three_percent),
		cmocka_unit_test(beyond_its_range_counts_as_the_longest),
		cmocka_unit_test(quantiles_are_those_of_the_sorted_values),
		cmocka_unit_test(merged_is_as_counted_together),
		cmocka_unit_test(who_waited_for_a_hang_is_counted),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
