#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "daemon/engine/dialect.h"
#include "daemon/engine/transaction.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* An engine that keeps what it is sent; the test answers. */
static struct {
	char sent[400]; /* "BEGIN;one(7,NULL);" */
	int timeout_ms;
	engine_result_fn *fn;
	engine_flown_fn *flown;
	void *context;
} wire;

static void add_sent(const char *text) {
	size_t length = strlen(wire.sent);
	snprintf(wire.sent + length, sizeof wire.sent - length, "%s", text);
}

static void add_statement(const char *sql, const char *const *params, size_t nparams) {
	add_sent(sql);
	for (size_t i = 0; i < nparams; i++) {
		add_sent(i == 0 ? "(" : ",");
		add_sent(params[i] != NULL ? params[i] : "NULL");
	}
	add_sent(nparams > 0 ? ");" : ";");
}

static void scripted_execute(struct engine_conn *conn, const char *sql, const char *const *params, size_t nparams, int timeout_ms,
                             engine_result_fn *fn, void *context) {
	(void)conn;
	assert_true(wire.fn == NULL && wire.flown == NULL); /* one at a time */
	add_statement(sql, params, nparams);
	wire.timeout_ms = timeout_ms;
	wire.fn = fn;
	wire.context = context;
}

static void scripted_fly(struct engine_conn *conn, const struct engine_statement *statements, size_t count, int timeout_ms,
                         engine_flown_fn *fn, void *context) {
	(void)conn;
	assert_true(wire.fn == NULL && wire.flown == NULL);
	for (size_t i = 0; i < count; i++) {
		add_sent(statements[i].strict ? "strict " : "");
		add_statement(statements[i].sql, statements[i].params, statements[i].nparams);
	}
	add_sent("| ");
	wire.timeout_ms = timeout_ms;
	wire.flown = fn;
	wire.context = context;
}

static const struct engine scripted = {
	.name = "scripted", .dialect = &dialect_postgres, .execute = scripted_execute, .fly = scripted_fly};
static struct engine_conn conn = {.engine = &scripted};

static void answer_with(struct engine_result result) {
	engine_result_fn *fn = wire.fn;
	assert_non_null(fn);
	wire.fn = NULL;
	if (result.message == NULL)
		result.message = "";
	fn(wire.context, &result);
}

static void done_rows(int64_t affected) {
	answer_with((struct engine_result){.outcome = ENGINE_DONE, .affected = affected});
}

static void refused(void) {
	answer_with((struct engine_result){
		.outcome = ENGINE_REFUSED, .error = ENGINE_ERROR_CONTENTION, .sqlstate = "55P03", .message = "lock timeout"});
}

static void lost(void) {
	answer_with((struct engine_result){.outcome = ENGINE_LOST, .message = "connection reset"});
}

/* The first `done` of a flight are done; then comes `last`, if it has a message. */
static void flown(size_t done, struct engine_result last) {
	struct engine_result results[8] = {0};
	size_t count = 0;
	for (; count < done; count++)
		results[count] = (struct engine_result){.outcome = ENGINE_DONE, .message = "", .affected = 1};
	if (last.message != NULL)
		results[count++] = last;
	engine_flown_fn *fn = wire.flown;
	assert_non_null(fn);
	wire.flown = NULL;
	fn(wire.context, results, count);
}

static const struct engine_result nothing = {0};
static const struct engine_result no = {.outcome = ENGINE_REFUSED, .sqlstate = "22012", .message = "division by zero"};
static const struct engine_result gone = {.outcome = ENGINE_LOST, .message = "connection reset"};

static struct transaction_result ended;
static int ends;

static void on_done(void *context, const struct transaction_result *result) {
	assert_string_equal(context, "done");
	ended = *result;
	ends++;
}

static struct transaction *begin(const char *text) {
	memset(&wire, 0, sizeof wire);
	ends = 0;
	return transaction_new("test", text);
}

static void run(struct transaction *t) {
	transaction_run(t, &conn, 1234, (char *)"hooks", on_done, (char *)"done");
	assert_int_equal(ends, 0); /* never before it returns */
}

static void commits(void **state) {
	(void)state;
	struct transaction *t = begin("BEGIN");
	struct statement *s = transaction_add(t, "one", "one", NULL, NULL);
	statement_add_int(s, -7);
	statement_add_text(s, NULL);
	transaction_add(t, "two", "two", NULL, NULL);
	run(t);
	assert_string_equal(wire.sent, "BEGIN;");
	assert_int_equal(wire.timeout_ms, 1234);
	done_rows(0);
	assert_string_equal(wire.sent, "BEGIN;one(-7,NULL);");
	done_rows(0);
	done_rows(0);
	assert_string_equal(wire.sent, "BEGIN;one(-7,NULL);two;COMMIT;");
	assert_int_equal(ends, 0);
	done_rows(0);
	assert_int_equal(ends, 1);
	assert_int_equal(ended.end, TRANSACTION_COMMITTED);
	assert_string_equal(ended.step, "commit");
	assert_string_equal(ended.message, "");
	assert_false(ended.broken);
}

static void declined_by_the_fence(void **state) {
	(void)state;
	struct transaction *t = begin("BEGIN");
	transaction_add(t, "fence", "fence", NULL, transaction_expect_one);
	transaction_add(t, "never", "never", NULL, NULL);
	run(t);
	done_rows(0);
	done_rows(0);
	assert_string_equal(wire.sent, "BEGIN;fence;ROLLBACK;");
	done_rows(0);
	assert_int_equal(ends, 1);
	assert_int_equal(ended.end, TRANSACTION_DECLINED);
	assert_string_equal(ended.step, "fence");
	assert_false(ended.broken);
}

static void fence_wants_exactly_one(void **state) {
	(void)state;
	for (int64_t rows = 0; rows < 3; rows++) {
		const struct engine_result result = {.outcome = ENGINE_DONE, .affected = rows};
		assert_int_equal(transaction_expect_one(NULL, &result), rows == 1);
	}
}

static void refused_rolls_back(void **state) {
	(void)state;
	struct transaction *t = begin("BEGIN");
	transaction_add(t, "one", "one", NULL, NULL);
	transaction_add(t, "never", "never", NULL, NULL);
	run(t);
	done_rows(0);
	refused();
	assert_string_equal(wire.sent, "BEGIN;one;ROLLBACK;");
	assert_int_equal(ends, 0);
	done_rows(0);
	assert_int_equal(ends, 1);
	assert_int_equal(ended.end, TRANSACTION_REFUSED);
	assert_int_equal(ended.error, ENGINE_ERROR_CONTENTION);
	assert_string_equal(ended.sqlstate, "55P03");
	assert_string_equal(ended.step, "one");
	assert_string_equal(ended.message, "lock timeout");
	assert_false(ended.broken);
}

static void refused_begin_rolls_back_too(void **state) {
	(void)state;
	/* BEGIN; SET …: the server may have got past the BEGIN. */
	struct transaction *t = begin("BEGIN");
	transaction_add(t, "never", "never", NULL, NULL);
	run(t);
	refused();
	assert_string_equal(wire.sent, "BEGIN;ROLLBACK;");
	done_rows(0);
	assert_int_equal(ended.end, TRANSACTION_REFUSED);
	assert_string_equal(ended.step, "begin");
}

static void refused_commit_has_rolled_back(void **state) {
	(void)state;
	struct transaction *t = begin("BEGIN");
	run(t);
	done_rows(0);
	refused();
	assert_string_equal(wire.sent, "BEGIN;COMMIT;");
	assert_int_equal(ends, 1);
	assert_int_equal(ended.end, TRANSACTION_REFUSED);
	assert_string_equal(ended.step, "commit");
}

static void lost_before_commit(void **state) {
	(void)state;
	for (int after = 0; after < 2; after++) {
		struct transaction *t = begin("BEGIN");
		transaction_add(t, "one", "one", NULL, NULL);
		run(t);
		for (int i = 0; i < after; i++)
			done_rows(0);
		lost();
		assert_null(wire.fn); /* there is nobody to send ROLLBACK to */
		assert_int_equal(ends, 1);
		assert_int_equal(ended.end, TRANSACTION_LOST);
		assert_string_equal(ended.step, after == 0 ? "begin" : "one");
		assert_string_equal(ended.message, "connection reset");
		assert_true(ended.broken);
	}
}

static void unknown_after_commit(void **state) {
	(void)state;
	struct transaction *t = begin("BEGIN");
	transaction_add(t, "one", "one", NULL, NULL);
	run(t);
	done_rows(0);
	done_rows(0);
	assert_string_equal(wire.sent, "BEGIN;one;COMMIT;");
	lost();
	assert_int_equal(ends, 1);
	assert_int_equal(ended.end, TRANSACTION_UNKNOWN);
	assert_string_equal(ended.step, "commit");
	assert_true(ended.broken);
}

static void lost_amidst_rollback_keeps_the_verdict(void **state) {
	(void)state;
	struct transaction *t = begin("BEGIN");
	transaction_add(t, "one", "one", NULL, NULL);
	run(t);
	done_rows(0);
	refused();
	lost();
	assert_int_equal(ended.end, TRANSACTION_REFUSED);
	assert_string_equal(ended.message, "lock timeout");
	assert_true(ended.broken); /* but the connection is of no use any more */
}

static void single_statement_commits_by_itself(void **state) {
	(void)state;
	for (int i = 0; i < 4; i++) {
		struct transaction *t = begin(NULL);
		transaction_add(t, "one", "one", NULL, i == 3 ? transaction_expect_one : NULL);
		run(t);
		if (i == 1)
			refused();
		else if (i == 2)
			lost();
		else
			done_rows(0);
		static const enum transaction_end expected[] = {TRANSACTION_COMMITTED, TRANSACTION_REFUSED, TRANSACTION_UNKNOWN,
		                                                TRANSACTION_DECLINED};
		assert_string_equal(wire.sent, "one;");
		assert_int_equal(ends, 1);
		assert_int_equal(ended.end, expected[i]);
	}
}

static bool leave_out(void *context, struct statement *statement) {
	(void)statement;
	assert_string_equal(context, "hooks");
	return false;
}

static bool fill_in(void *context, struct statement *statement) {
	assert_string_equal(context, "hooks");
	statement->sql = "filled";
	statement_add_text(statement, "x");
	return true;
}

static void skipped_and_prepared_steps(void **state) {
	(void)state;
	struct transaction *t = begin("BEGIN");
	transaction_add(t, "left out", "left out", leave_out, NULL);
	transaction_add(t, "filled", NULL, fill_in, NULL);
	transaction_add(t, "left out", "left out", leave_out, NULL);
	run(t);
	done_rows(0);
	assert_string_equal(wire.sent, "BEGIN;filled(x);");
	done_rows(0);
	assert_string_equal(wire.sent, "BEGIN;filled(x);COMMIT;");
	done_rows(0);
	assert_int_equal(ended.end, TRANSACTION_COMMITTED);
}

static struct transaction *growing;

/* A step for each row, as changes add an event for each job: so many that the steps' array moves. */
static bool add_steps(void *context, const struct engine_result *result) {
	(void)context;
	for (int64_t i = 0; i < result->affected; i++)
		statement_add_int(transaction_add(growing, "event", "event", NULL, NULL), i);
	return true;
}

static void steps_added_while_it_runs(void **state) {
	(void)state;
	struct transaction *t = growing = begin("BEGIN");
	transaction_add(t, "one", "one", NULL, add_steps);
	transaction_add(t, "two", "two", NULL, NULL);
	run(t);
	done_rows(0);
	done_rows(20);
	for (int i = 0; i < 21; i++)
		done_rows(1);
	assert_int_equal(strncmp(wire.sent, "BEGIN;one;two;event(0);event(1);", 32), 0);
	assert_non_null(strstr(wire.sent, "event(19);COMMIT;"));
	done_rows(0);
	assert_int_equal(ended.end, TRANSACTION_COMMITTED);
}

/* "settings" is looked at by nobody, "work" and "checkpoint" are. */
static struct transaction *flight(bool commits_along, const char *first) {
	struct transaction *t = begin("BEGIN");
	transaction_fly(t, commits_along);
	transaction_add(t, "settings", "settings", NULL, NULL);
	transaction_add(t, "left out", "left out", leave_out, transaction_expect_one);
	transaction_add(t, "work", "work", NULL, transaction_expect_one);
	transaction_add(t, "checkpoint", "checkpoint", fill_in, transaction_expect_one);
	run(t);
	assert_string_equal(wire.sent, first);
	return t;
}

static const char *const first = "BEGIN;settings;work;| ";

static void flies_up_to_what_is_looked_at(void **state) {
	(void)state;
	for (int along = 0; along < 2; along++) {
		flight(along, first);
		assert_int_equal(wire.timeout_ms, 1234);
		flown(3, nothing);
		assert_string_equal(wire.sent,
		                    along ? "BEGIN;settings;work;| filled(x);COMMIT;| " : "BEGIN;settings;work;| filled(x);| ");
		if (!along) {
			flown(1, nothing);
			assert_string_equal(wire.sent, "BEGIN;settings;work;| filled(x);| COMMIT;| ");
		}
		assert_int_equal(ends, 0);
		flown(along ? 2 : 1, nothing);
		assert_int_equal(ends, 1);
		assert_int_equal(ended.end, TRANSACTION_COMMITTED);
		assert_string_equal(ended.step, "commit");
	}
}

static void commit_flies_with_what_nobody_looks_at(void **state) {
	(void)state;
	struct transaction *t = begin("BEGIN");
	transaction_fly(t, false);
	transaction_add(t, "one", "one", NULL, NULL);
	transaction_add(t, "left out", "left out", leave_out, NULL);
	transaction_add(t, "without a text", "", NULL, transaction_expect_one);
	run(t);
	assert_string_equal(wire.sent, "BEGIN;one;COMMIT;| ");
	flown(3, nothing);
	assert_int_equal(ended.end, TRANSACTION_COMMITTED);
}

static void refused_in_flight_rolls_back(void **state) {
	(void)state;
	static const char *const steps[] = {"begin", "settings", "work", "checkpoint", "commit"};
	for (size_t i = 0; i < 5; i++) {
		flight(true, first);
		if (i > 2)
			flown(3, nothing);
		flown(i > 2 ? i - 3 : i, no);
		if (i < 4) { /* COMMIT that fails has rolled back */
			assert_int_equal(ends, 0);
			assert_non_null(strstr(wire.sent, "| ROLLBACK;"));
			done_rows(0);
		}
		assert_int_equal(ends, 1);
		assert_int_equal(ended.end, TRANSACTION_REFUSED);
		assert_string_equal(ended.step, steps[i]);
		assert_string_equal(ended.sqlstate, "22012");
		assert_false(ended.broken);
	}
}

static void lost_in_flight(void **state) {
	(void)state;
	flight(true, first);
	flown(0, gone);
	assert_int_equal(ended.end, TRANSACTION_LOST);
	assert_string_equal(ended.step, "work");
	flight(true, first);
	flown(3, nothing);
	flown(0, gone); /* COMMIT was on its way with the checkpoint */
	assert_int_equal(ended.end, TRANSACTION_UNKNOWN);
	assert_string_equal(ended.step, "commit");
	flight(false, first);
	flown(3, nothing);
	flown(0, gone); /* here it was not */
	assert_int_equal(ended.end, TRANSACTION_LOST);
	assert_string_equal(ended.step, "checkpoint");
	assert_int_equal(ends, 1);
}

static void abandoned_is_silent(void **state) {
	(void)state;
	struct transaction *t = begin("BEGIN");
	statement_add_text(transaction_add(t, "one", "one", NULL, NULL), "x");
	run(t);
	transaction_abandon(t);
	assert_int_equal(ends, 0);
	transaction_free(begin(NULL)); /* one that never ran */
	transaction_free(NULL);
}

/* engine_execute has no word for it: a strict step flies, alone if need be. */
static void strict_steps_say_so(void **state) {
	(void)state;
	struct transaction *t = begin("BEGIN");
	transaction_add(t, "one", "one", NULL, NULL)->strict = true;
	transaction_add(t, "two", "two", NULL, NULL);
	run(t);
	done_rows(0);
	assert_string_equal(wire.sent, "BEGIN;strict one;| ");
	flown(1, nothing);
	assert_string_equal(wire.sent, "BEGIN;strict one;| two;");
	done_rows(1);
	done_rows(0);
	assert_int_equal(ended.end, TRANSACTION_COMMITTED);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(commits),
		cmocka_unit_test(declined_by_the_fence),
		cmocka_unit_test(fence_wants_exactly_one),
		cmocka_unit_test(refused_rolls_back),
		cmocka_unit_test(refused_begin_rolls_back_too),
		cmocka_unit_test(refused_commit_has_rolled_back),
		cmocka_unit_test(lost_before_commit),
		cmocka_unit_test(unknown_after_commit),
		cmocka_unit_test(lost_amidst_rollback_keeps_the_verdict),
		cmocka_unit_test(single_statement_commits_by_itself),
		cmocka_unit_test(skipped_and_prepared_steps),
		cmocka_unit_test(steps_added_while_it_runs),
		cmocka_unit_test(flies_up_to_what_is_looked_at),
		cmocka_unit_test(commit_flies_with_what_nobody_looks_at),
		cmocka_unit_test(refused_in_flight_rolls_back),
		cmocka_unit_test(lost_in_flight),
		cmocka_unit_test(strict_steps_say_so),
		cmocka_unit_test(abandoned_is_silent),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
