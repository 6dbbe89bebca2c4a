#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "daemon/throttle/jump.h"

static const int64_t second = 1000000;

/* Batches of 1000 rows, so many ms each, all at the same time: true if the last one is a jump, and none before it was. */
static bool after(struct jump *jump, int batches, int64_t ms, int64_t now_us) {
	bool jumped = false;
	for (int i = 0; i < batches; i++) {
		assert_false(jumped);
		jumped = jump_batch_done(jump, 1000, ms * 1000, now_us);
	}
	return jumped;
}

static void two_slow_batches_in_a_row(void **state) {
	(void)state;
	struct jump jump = {0};
	assert_false(after(&jump, 3, 20, 0));
	assert_false(after(&jump, 1, 80, 0));
	assert_true(after(&jump, 1, 80, 0));
}

static void one_slow_batch_is_none(void **state) {
	(void)state;
	struct jump jump = {0};
	for (int i = 0; i < 100; i++) {
		assert_false(after(&jump, 3, 20, 0));
		assert_false(after(&jump, 1, 9000, 0));
	}
}

static void less_than_four_times_the_usual_is_none(void **state) {
	(void)state;
	struct jump jump = {0};
	assert_false(after(&jump, 5, 200, 0));
	assert_false(after(&jump, 100, 799, 0));
}

static void what_hurts_nobody_is_none(void **state) {
	(void)state;
	struct jump jump = {0};
	assert_false(after(&jump, 20, 1, 0));
	assert_false(after(&jump, 20, 49, 0));
}

static void it_is_the_time_of_a_row(void **state) {
	(void)state;
	struct jump jump = {0};
	assert_false(after(&jump, 10, 20, 0));
	for (int i = 0; i < 20; i++)
		assert_false(jump_batch_done(&jump, 10000, 10 * 20000, 0)); /* a larger batch */
	assert_false(jump_batch_done(&jump, 100, 50000, 0));
	assert_true(jump_batch_done(&jump, 100, 50000, 0)); /* as long, and a hundredth of the rows */
	assert_false(jump_batch_done(&jump, 0, second, 0));
}

static void what_comes_slowly_is_learned(void **state) {
	(void)state;
	struct jump jump = {0};
	for (int64_t ms = 10; ms < 5000; ms += ms / 10)
		assert_false(after(&jump, JUMP_REMEMBERS, ms, 0));
}

static void the_first_batches_are_not_judged(void **state) {
	(void)state;
	struct jump jump = {0};
	assert_false(after(&jump, 2, 1, 0));
	assert_false(after(&jump, 1, 500, 0));
	assert_false(after(&jump, 1, 500, 0)); /* the median of 1, 1 and 500 is 1: slow for the first time */
	assert_true(after(&jump, 1, 500, 0));
}

static void where_it_was_no_plan_the_slow_is_usual(void **state) {
	(void)state;
	struct jump jump = {0};
	assert_false(after(&jump, 10, 20, 0));
	assert_true(after(&jump, 2, 500, 0));
	jump_excuse(&jump, 0);
	assert_false(after(&jump, 100, 500, 100 * second));
	assert_true(after(&jump, 2, 2000, 100 * second));
}

static void not_again_for_a_minute(void **state) {
	(void)state;
	struct jump jump = {0};
	jump_excuse(&jump, 5 * second);
	assert_false(jump_timed_out(&jump, 64 * second));
	assert_false(after(&jump, 10, 20, 6 * second));
	assert_false(after(&jump, 50, 500, 64 * second)); /* seen, and not forgotten */
	assert_true(jump_timed_out(&jump, 65 * second));
	assert_true(after(&jump, 1, 500, 65 * second));
}

static void a_time_out_is_one_at_once(void **state) {
	(void)state;
	const struct jump jump = {0};
	assert_true(jump_timed_out(&jump, 0));
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(two_slow_batches_in_a_row),
		cmocka_unit_test(one_slow_batch_is_none),
		cmocka_unit_test(less_than_four_times_the_usual_is_none),
		cmocka_unit_test(what_hurts_nobody_is_none),
		cmocka_unit_test(it_is_the_time_of_a_row),
		cmocka_unit_test(what_comes_slowly_is_learned),
		cmocka_unit_test(the_first_batches_are_not_judged),
		cmocka_unit_test(where_it_was_no_plan_the_slow_is_usual),
		cmocka_unit_test(not_again_for_a_minute),
		cmocka_unit_test(a_time_out_is_one_at_once),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
