#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "daemon/throttle/cumulative.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MYSQL_BUCKETS = 450 };

/* MySQL's: below 10 µs, and then 50 in each power of 10. */
static double bound_us(int number) {
	return number == 0 ? 0 : 10 * pow(10, (number - 1) / 50.);
}

static struct cumulative empty_mysql(void) {
	struct cumulative made = {0};
	for (int i = 0; i < MYSQL_BUCKETS; i++)
		cumulative_set(&made, (size_t)i, bound_us(i), i == MYSQL_BUCKETS - 1 ? 18446744073709.551615 : bound_us(i + 1), 0);
	return made;
}

static void count(struct cumulative *server, double us) {
	int number = MYSQL_BUCKETS - 1;
	while (us < bound_us(number))
		number--;
	server->buckets[number].count++;
}

static int by_value(const void *a, const void *b) {
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

static void quantiles_are_those_of_what_came_since(void **state) {
	(void)state;
	enum { N = 4000 };
	static double values[N];
	struct cumulative server = empty_mysql();
	srand48(3);
	for (int i = 0; i < 100000; i++)
		count(&server, 1e6 * (1 + drand48())); /* long ago */
	struct cumulative before = server;
	for (int i = 0; i < N; i++)
		count(&server, values[i] = exp(3 + drand48() * 8));
	struct histogram since = {0};
	assert_true(cumulative_since(&before, &server, &since));
	assert_int_equal(since.total, N);
	qsort(values, N, sizeof *values, by_value);
	for (double q = 0.05; q < 1; q += 0.05)
		assert_true(fabs(histogram_quantile_us(&since, q) / values[(int)(q * N)] - 1) < 0.06);
}

/* 20 % more are told from 0 %, wherever within the server's buckets they lie. */
static void a_shift_is_seen_wherever_it_is(void **state) {
	(void)state;
	for (double us = 100; us < 1e5; us *= 1.013) {
		struct cumulative empty = empty_mysql(), as_before = empty_mysql(), slower = empty_mysql();
		count(&as_before, us);
		count(&slower, us * 1.2);
		struct histogram a = {0}, b = {0};
		assert_true(cumulative_since(&empty, &as_before, &a) && cumulative_since(&empty, &slower, &b));
		double ratio = histogram_quantile_us(&b, 0.95) / histogram_quantile_us(&a, 0.95);
		assert_true(ratio > 1.1 && ratio < 1.3);
	}
}

static void nothing_new_is_nothing(void **state) {
	(void)state;
	struct cumulative server = empty_mysql();
	count(&server, 500);
	struct histogram since = {0};
	assert_true(cumulative_since(&server, &server, &since));
	assert_int_equal(since.total, 0);
}

/* Empty buckets are not sent. */
static void an_emptied_one_is_begun_anew(void **state) {
	(void)state;
	struct cumulative before = empty_mysql(), none = {0};
	count(&before, 500);
	count(&before, 500);
	struct histogram since = {0};
	assert_false(cumulative_since(&before, &none, &since));
	struct cumulative fewer = empty_mysql();
	count(&fewer, 500);
	count(&fewer, 900);
	assert_false(cumulative_since(&before, &fewer, &since));
	struct cumulative other = {0};
	cumulative_set(&other, 7, bound_us(7), bound_us(8), 100);
	assert_false(cumulative_since(&before, &other, &since));
	assert_int_equal(since.total, 0);
	assert_true(cumulative_since(&none, &before, &since)); /* what came behind it counts */
	assert_int_equal(since.total, 2);
}

static void buckets_of_other_bounds_are_others(void **state) {
	(void)state;
	struct cumulative before = {0}, now = {0};
	cumulative_set(&before, 3, 1000, 10000, 5);
	cumulative_set(&now, 3, 1000, 2000, 6);
	struct histogram since = {0};
	assert_false(cumulative_since(&before, &now, &since));
	assert_int_equal(since.total, 0);
}

static void counts_are_spread_over_their_bucket(void **state) {
	(void)state;
	struct histogram wide = {0}, one = {0}, last = {0}, edge = {0};
	histogram_add_range(&wide, 4000, 8000, 1000);
	assert_int_equal(wide.total, 1000);
	for (double q = 0.1; q < 0.95; q += 0.1)
		assert_true(fabs(histogram_quantile_us(&wide, q) - (4000 + 4000 * q)) < 50);
	histogram_add_range(&one, 4000, 8000, 1);
	assert_true(fabs(histogram_quantile_us(&one, 0.5) - 6000) < 150);
	histogram_add_range(&last, 9120108393.559408, 18446744073709.551615, 3);
	assert_int_equal(last.total, 3);
	assert_true(histogram_quantile_us(&last, 0.5) > 1e8);
	histogram_add_range(&edge, 500, 500, 3);
	assert_int_equal(edge.total, 3);
	assert_true(fabs(histogram_quantile_us(&edge, 0.5) - 500) < 20);
}

static void more_buckets_than_we_know_are_not_written_to(void **state) {
	(void)state;
	struct cumulative server = {0}, none = {0};
	cumulative_set(&server, CUMULATIVE_BUCKETS, 1, 2, 3);
	cumulative_set(&server, SIZE_MAX, 1, 2, 3);
	assert_memory_equal(&server, &none, sizeof server);
}

/* MariaDB's, of the base that it is told. */
static struct cumulative mariadb(double base) {
	struct cumulative made = {0};
	double bounds[64];
	int found = 0;
	for (double us = 1e6; us >= 1; us /= base)
		bounds[found++] = floor(us);
	for (int i = 0; i < found; i++)
		cumulative_set(&made, (size_t)i, i == 0 ? 0 : bounds[found - i], bounds[found - 1 - i], 0);
	return made;
}

static void powers_of_ten_are_coarse(void **state) {
	(void)state;
	struct cumulative none = {0}, mysql = empty_mysql(), two = mariadb(2), three = mariadb(3), ten = mariadb(10);
	assert_false(cumulative_is_coarse(&none) || cumulative_is_coarse(&mysql) || cumulative_is_coarse(&two));
	assert_true(cumulative_is_coarse(&three) && cumulative_is_coarse(&ten));
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(quantiles_are_those_of_what_came_since),
		cmocka_unit_test(a_shift_is_seen_wherever_it_is),
		cmocka_unit_test(nothing_new_is_nothing),
		cmocka_unit_test(an_emptied_one_is_begun_anew),
		cmocka_unit_test(buckets_of_other_bounds_are_others),
		cmocka_unit_test(counts_are_spread_over_their_bucket),
		cmocka_unit_test(more_buckets_than_we_know_are_not_written_to),
		cmocka_unit_test(powers_of_ten_are_coarse),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
