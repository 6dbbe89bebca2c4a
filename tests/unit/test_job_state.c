#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "daemon/job/job_state.h"

#include <string.h>

/* What each request does in each state: the state it leads to, or -1 where it is refused. */
static const int expected[JOB_STATES][JOB_REQUESTS] = {
	/*                    start        pause       resume       retry        cancel         complete       fail */
	[JOB_PENDING] = {JOB_RUNNING, -1, -1, -1, JOB_CANCELLED, -1, -1},
	[JOB_RUNNING] = {JOB_RUNNING, JOB_PAUSED, JOB_RUNNING, JOB_RUNNING, JOB_CANCELLED, JOB_COMPLETED, JOB_FAILED},
	[JOB_PAUSED] = {-1, JOB_PAUSED, JOB_RUNNING, JOB_RUNNING, JOB_CANCELLED, -1, -1},
	[JOB_COMPLETED] = {-1, -1, -1, -1, -1, -1, -1},
	[JOB_FAILED] = {-1, -1, -1, JOB_RUNNING, JOB_CANCELLED, -1, -1},
	[JOB_CANCELLED] = {-1, -1, -1, -1, JOB_CANCELLED, -1, -1},
	[JOB_ROLLED_BACK] = {-1, -1, -1, -1, -1, -1, -1},
};

static void table_is_what_the_contract_says(void **state) {
	(void)state;
	for (int from = 0; from < JOB_STATES; from++)
		for (int request = 0; request < JOB_REQUESTS; request++) {
			const struct job_transition *t = job_transition_find((enum job_state)from, (enum job_request)request);
			assert_int_equal(t != NULL ? (int)t->to : -1, expected[from][request]);
		}
}

static void rows_are_sound(void **state) {
	(void)state;
	int rows = 0;
	for (const struct job_transition *t; (t = job_transition_at(rows)) != NULL; rows++) {
		assert_ptr_equal(job_transition_find(t->from, t->request), t); /* no row hides another */
		assert_true(strlen(t->reason) > 0);
		if (t->to == t->from)
			assert_null(t->event);
		else
			assert_int_equal(strncmp(t->event, "job.", 4), 0);
		if (t->to != t->from)
			assert_false(job_state_ended(t->from)); /* what has ended stays so */
	}
	assert_true(rows > 10);
	assert_null(job_transition_at(-1));
	assert_null(job_transition_at(rows + 1));
}

static void names_go_there_and_back(void **state) {
	(void)state;
	for (int i = 0; i < JOB_STATES; i++) {
		enum job_state back = JOB_STATES;
		assert_true(job_state_parse(job_state_name((enum job_state)i), &back));
		assert_int_equal(back, i);
	}
	enum job_state untouched = JOB_FAILED;
	assert_false(job_state_parse("Running", &untouched));
	assert_false(job_state_parse("", &untouched));
	assert_int_equal(untouched, JOB_FAILED);
}

static void refusal_says_what_is_possible(void **state) {
	(void)state;
	struct error err;
	assert_false(job_transition_refuse("j", JOB_PENDING, JOB_PAUSE, &err));
	assert_int_equal(err.code, ERROR_USAGE);
	assert_string_equal(err.message, "job j is pending: it can't pause");
	assert_string_equal(err.hint, "possible now: start, cancel");
	assert_false(job_transition_refuse("j", JOB_COMPLETED, JOB_RESUME, &err));
	assert_non_null(strstr(err.hint, "has ended"));
	assert_false(job_transition_refuse("j", JOB_RUNNING, JOB_START, &err));
	assert_null(strstr(err.hint, "complete")); /* the work asks for that, nobody else */
}

static void ends_are_ends(void **state) {
	(void)state;
	assert_true(job_state_ended(JOB_COMPLETED));
	assert_true(job_state_ended(JOB_CANCELLED));
	assert_true(job_state_ended(JOB_ROLLED_BACK));
	assert_false(job_state_ended(JOB_FAILED)); /* retry */
	assert_false(job_state_ended(JOB_PAUSED));
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(table_is_what_the_contract_says),
		cmocka_unit_test(rows_are_sound),
		cmocka_unit_test(names_go_there_and_back),
		cmocka_unit_test(refusal_says_what_is_possible),
		cmocka_unit_test(ends_are_ends),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
