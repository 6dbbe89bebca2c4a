#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/mem.h"
#include "daemon/job/plan.h"

#include <stdlib.h>
#include <string.h>

static struct plan_key key_of(const char *first, const char *second) {
	struct plan_key key = {.values = {mem_dup(first), mem_dup(second)}, .n = second != NULL ? 2 : 1};
	return key;
}

static void assert_key(const struct plan_key *key, const char *text) {
	autofree char *found = plan_key_to_text(key);
	assert_string_equal(found, text);
}

static void keys_survive_their_text(void **state) {
	(void)state;
	struct plan_key key = key_of("a\"b\\c\n\xc3\xa9", ""), back = {0};
	struct error err;
	autofree char *text = plan_key_to_text(&key);
	assert_true(plan_key_from_text(text, &back, &err));
	assert_int_equal(back.n, 2);
	assert_string_equal(back.values[0], key.values[0]);
	assert_string_equal(back.values[1], "");
	plan_key_clear(&key);
	plan_key_clear(&back);
	assert_int_equal(back.n, 0);
}

static void no_key_is_null(void **state) {
	(void)state;
	struct plan_key key = key_of("7", NULL);
	struct error err;
	assert_true(plan_key_from_text(NULL, &key, &err)); /* clears what was there */
	assert_int_equal(key.n, 0);
	assert_null(plan_key_to_text(&key));
}

static void bad_texts_are_refused(void **state) {
	(void)state;
	static const char *const bad[] = {"",       "[]",        "{}",
	                                  "42",     "[42]",      "[\"1\", null]",
	                                  "[\"1\"", "[\"1\"] x", "[\"1\",\"2\",\"3\",\"4\",\"5\",\"6\",\"7\",\"8\",\"9\"]"};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct plan_key key = {0};
		struct error err = {0};
		assert_false(plan_key_from_text(bad[i], &key, &err));
		assert_int_equal(err.code, ERROR_INTERNAL);
		assert_int_equal(key.n, 0);
	}
}

static void copies_are_their_own(void **state) {
	(void)state;
	struct plan_key from = key_of("1", "x"), to = key_of("old", "older");
	plan_key_copy(&to, &from);
	plan_key_clear(&from);
	assert_key(&to, "[\"1\",\"x\"]");
	plan_key_clear(&to);
}

/* From the segment's start to its end, as batches commit. */
static void segment_goes_from_start_to_end(void **state) {
	(void)state;
	struct segment segment = {.number = 1, .after = key_of("10", NULL), .through = key_of("99", NULL)};
	struct window window = {0};
	assert_key(segment_behind(&segment), "[\"10\"]");

	struct plan_key boundary = key_of("50", NULL);
	window_from_boundary(&window, &boundary, 40);
	assert_key(&window.through, "[\"50\"]");
	assert_int_equal(window.rows_scanned, 40);
	assert_false(window.last);
	segment_advance(&segment, &window, 39, 1);
	assert_key(segment_behind(&segment), "[\"50\"]");
	assert_false(segment.done);
	assert_int_equal(segment.batch_id, 1);

	window_from_rest(&window, &segment.through, 7);
	assert_key(&window.through, "[\"99\"]");
	assert_true(window.last);
	segment_advance(&segment, &window, 7, 0);
	assert_key(segment_behind(&segment), "[\"99\"]");
	assert_true(segment.done);
	assert_int_equal(segment.batch_id, 2);
	assert_int_equal(segment.rows_scanned, 47);
	assert_int_equal(segment.rows_changed, 46);
	assert_int_equal(segment.rows_conflicted, 1);

	plan_key_clear(&boundary);
	window_clear(&window);
	segment_clear(&segment);
}

static void first_segment_begins_at_the_start(void **state) {
	(void)state;
	struct segment segment = {.through = key_of("9", NULL)};
	assert_int_equal(segment_behind(&segment)->n, 0);
	segment_clear(&segment);
}

static void progress_is_one_only_when_done(void **state) {
	(void)state;
	assert_float_equal(plan_progress(0, 100, false), 0, 1e-9);
	assert_float_equal(plan_progress(25, 100, false), 0.25, 1e-9);
	assert_float_equal(plan_progress(100, 100, false), 0.99, 1e-9);
	assert_float_equal(plan_progress(5000, 100, false), 0.99, 1e-9);
	assert_float_equal(plan_progress(0, 0, false), 0, 1e-9);
	assert_float_equal(plan_progress(3, -1, false), -1, 1e-9);
	assert_float_equal(plan_progress(3, -1, true), 1, 1e-9);
	assert_float_equal(plan_progress(1, 100, true), 1, 1e-9);
}

static void eta_is_unknown_without_rate(void **state) {
	(void)state;
	assert_float_equal(plan_eta_s(100, 1100, 50), 20, 1e-9);
	assert_float_equal(plan_eta_s(1100, 1000, 50), 0, 1e-9);
	assert_float_equal(plan_eta_s(100, 1100, 0), -1, 1e-9);
	assert_float_equal(plan_eta_s(100, -1, 50), -1, 1e-9);
}

static void rounds_follow_until_one_is_no_more_than_a_batch(void **state) {
	(void)state;
	static const struct {
		int round;
		enum phase phase;
		int64_t batches; /* of the second leaf's last segment */
		bool follow, sweep;
		int next; /* -1: that was all */
	} cases[] = {
		{0, PHASE_FULL, 9, false, false, PHASE_FULL},
		{1, PHASE_FULL, 9, false, false, -1},
		{1, PHASE_FULL, 9, false, true, PHASE_SWEEP},
		{1, PHASE_FULL, 9, true, false, PHASE_FOLLOW},
		{1, PHASE_FULL, 0, true, true, PHASE_FOLLOW},
		{2, PHASE_FOLLOW, 2, true, true, PHASE_FOLLOW},
		{2, PHASE_FOLLOW, 1, true, true, PHASE_SWEEP},
		{2, PHASE_FOLLOW, 1, true, false, -1},
		{2, PHASE_FOLLOW, 2, false, true, PHASE_SWEEP},
		{3, PHASE_FOLLOW, 9, true, false, -1}, /* it found nothing */
		{3, PHASE_SWEEP, 9, true, true, -1},
		{3, PHASE_SWEEP, 9, false, false, -1},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct segment segments[] = {
			{.number = 1, .round = 1, .batch_id = 5},
			{.number = 2, .round = cases[i].round == 3 ? 2 : cases[i].round, .batch_id = cases[i].batches}};
		enum phase next = PHASE_FULL;
		bool more = plan_next_phase(cases[i].round, cases[i].phase, segments, 2, cases[i].follow, cases[i].sweep, &next);
		if ((more ? (int)next : -1) != cases[i].next)
			fail_msg("case %zu: %d", i, more ? (int)next : -1);
	}
}

static void phases_have_names(void **state) {
	(void)state;
	struct error err;
	enum phase phase = PHASE_FULL;
	assert_true(phase_parse(phase_name(PHASE_SWEEP), &phase, &err));
	assert_int_equal(phase, PHASE_SWEEP);
	assert_false(phase_parse("rollback", &phase, &err));
	assert_non_null(strstr(err.message, "rollback"));
	assert_int_equal(phase, PHASE_SWEEP);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys_survive_their_text),
		cmocka_unit_test(no_key_is_null),
		cmocka_unit_test(bad_texts_are_refused),
		cmocka_unit_test(copies_are_their_own),
		cmocka_unit_test(segment_goes_from_start_to_end),
		cmocka_unit_test(first_segment_begins_at_the_start),
		cmocka_unit_test(progress_is_one_only_when_done),
		cmocka_unit_test(eta_is_unknown_without_rate),
		cmocka_unit_test(rounds_follow_until_one_is_no_more_than_a_batch),
		cmocka_unit_test(phases_have_names),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
