#include "daemon/job/plan_check.h"

#include "common/mem.h"
#include "daemon/engine/facts.h"
#include "daemon/job/boundary.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
	LOCK_TIMEOUT_MS = 900,
	LARGE_ROWS = 10000,   /* of another table, which every batch reads */
	BATCHES_OF_SCANS = 20 /* a sequential scan is right when a batch is a good part of the table */
};

static const char of_boundary[] = "the look-up of a batch's end", of_work[] = "the batch";

enum error_code plan_check_code_of(enum engine_error error) {
	switch (error) {
	case ENGINE_ERROR_CONTENTION:
	case ENGINE_ERROR_TIMEOUT:
	case ENGINE_ERROR_READ_ONLY:
	case ENGINE_ERROR_RESOURCE:
	case ENGINE_ERROR_DISK_FULL:
		return ERROR_TRY_AGAIN;
	default:
		return ERROR_DATA;
	}
}

static void clear_texts(struct plan_check *check) {
	free(check->settings);
	free(check->explain_boundary);
	free(check->boundary);
	free(check->row_check);
	free(check->explain_work);
	check->settings = check->explain_boundary = check->boundary = check->row_check = check->explain_work = NULL;
	window_clear(&check->window);
}

void plan_check_clear(struct plan_check *check) {
	clear_texts(check);
	plan_key_clear(&check->behind);
	plan_key_clear(&check->through);
}

/* ---- Judging ---- */

static bool is_bounded(const struct explain_verdict *v, bool of_order) {
	return !v->reads || (v->by_key && !(of_order && v->sorts));
}

/* A sequential scan, or an index of something else: fine on what is small, otherwise the user's to decide. */
static bool accept_scan(struct plan_check *check, const struct explain_verdict *v, bool by_key, const char *what) {
	const struct shape_leaf *leaf = check->leaf;
	int64_t small = check->rows * BATCHES_OF_SCANS;
	if (small < check->small_rows)
		small = check->small_rows;
	if ((by_key || v->whole_index) && check->table_rows <= small)
		return true;
	const char *how = by_key ? "though the key's index could be used" : "no index on the key bounds it";
	if (check->job->allow_no_index) {
		if (check->warnings != NULL)
			fact_warn(check->warnings, "%s reads %s.%s beyond its range each time: %s %s, %s", what, leaf->schema, leaf->name,
			          v->scan, v->index, how);
		return true;
	}
	check->end = PLAN_CHECK_BEYOND;
	error_set(&check->err, ERROR_DATA, "%s would read %s.%s (%" PRId64 " rows) beyond its range each time: %s%s%s, %s", what,
	          leaf->schema, leaf->name, check->table_rows, v->scan, v->index[0] != '\0' ? " of " : "", v->index, how);
	return error_hint(&check->err,
	                  "ANALYZE the table, take a smaller batch.rows, simplify `where`; or say allow_no_index = true");
}

static bool read_plan(struct plan_check *check, const struct engine_result *result, struct explain_verdict *v) {
	const char *text = result->nrows == 1 ? engine_value(result, 0, 0) : NULL;
	return check->dialect->judge_plan(text != NULL ? text : "", check->shape, check->leaf, v, &check->err);
}

static bool depends(struct plan_check *check, const struct explain_verdict *v) {
	if (v->depends[0] == '\0')
		return false;
	check->end = PLAN_CHECK_BEYOND;
	error_set(&check->err, ERROR_DATA, "the result would depend on which rows share a batch: the plan has a node %s over them",
	          v->depends);
	error_hint(&check->err, "aggregates and window functions belong in a subquery of their own");
	return true;
}

/* The planner's own choice. True: goes on, perhaps to ask for another. */
static bool judge(struct plan_check *check, const struct explain_verdict *v, const char *what) {
	if (check->empty || is_bounded(v, what == of_boundary))
		return true;
	check->asks_again = check->dialect->plans_again;
	return check->asks_again || accept_scan(check, v, false, what);
}

/* What it chose when it was left no choice: the last word. */
static bool judge_again(struct plan_check *check, const struct engine_result *result, const char *what) {
	struct explain_verdict v;
	return read_plan(check, result, &v) && accept_scan(check, &v, is_bounded(&v, what == of_boundary), what);
}

/* ---- The transaction's steps ---- */

static bool absorb_boundary_plan(void *context, const struct engine_result *result) {
	struct plan_check *check = context;
	struct explain_verdict v;
	return read_plan(check, result, &v) && judge(check, &v, of_boundary);
}

static bool absorb_boundary_plan_again(void *context, const struct engine_result *result) {
	return judge_again(context, result, of_boundary);
}

static bool absorb_boundary(void *context, const struct engine_result *result) {
	struct plan_check *check = context;
	if (!boundary_read(result, &check->through, check->rows, &check->window))
		window_from_rest(&check->window, &check->through, 0);
	return true;
}

/* Where it goes on it has to ask again. Otherwise that was all, and nothing of it is to stay: the transaction is rolled back. */
static bool absorb_work_plan(void *context, const struct engine_result *result) {
	struct plan_check *check = context;
	struct explain_verdict v;
	if (!read_plan(check, result, &v) || depends(check, &v))
		return false;
	if (v.other_rows > LARGE_ROWS && check->warnings != NULL)
		fact_warn(check->warnings, "each batch reads all of %s (about %.0f rows)", v.other, v.other_rows);
	if (judge(check, &v, of_work) && !check->asks_again)
		check->end = PLAN_CHECK_FINE;
	return check->asks_again;
}

static bool absorb_work_plan_again(void *context, const struct engine_result *result) {
	struct plan_check *check = context;
	if (judge_again(check, result, of_work))
		check->end = PLAN_CHECK_FINE;
	return false;
}

static void add_range(const struct plan_check *check, struct statement *statement, const struct plan_key *through) {
	boundary_add_key(statement, &check->behind);
	boundary_add_key(statement, through);
}

static bool prepare_boundary(void *context, struct statement *statement) {
	const struct plan_check *check = context;
	boundary_add_params(statement, &check->behind, &check->through, check->rows - 1);
	return true;
}

static bool prepare_boundary_again(void *context, struct statement *statement) {
	const struct plan_check *check = context;
	return check->asks_again && prepare_boundary(context, statement);
}

static bool prepare_window(void *context, struct statement *statement) {
	const struct plan_check *check = context;
	return !check->empty && prepare_boundary(context, statement);
}

static bool prepare_work(void *context, struct statement *statement) {
	const struct plan_check *check = context;
	add_range(check, statement, check->empty ? &check->through : &check->window.through);
	return true;
}

static bool prepare_work_again(void *context, struct statement *statement) {
	const struct plan_check *check = context;
	return check->asks_again && prepare_work(context, statement);
}

static bool prepare_choice(void *context, struct statement *statement) {
	const struct plan_check *check = context;
	(void)statement;
	return check->asks_again;
}

static bool absorb_choice(void *context, const struct engine_result *result) {
	struct plan_check *check = context;
	(void)result;
	check->asks_again = false;
	return true;
}

static void write_texts(struct plan_check *check) {
	const struct dialect *dialect = check->dialect;
	const struct table_shape *shape = check->shape;
	const struct dialect_session session = {.statement_timeout_ms = PLAN_CHECK_STATEMENT_MS,
	                                        .lock_timeout_ms = LOCK_TIMEOUT_MS,
	                                        .row_image = check->job->binlog_row_image};
	bool has_behind = check->behind.n > 0;
	autofree char *work = dialect->work(check->job, shape, check->leaf, has_behind);
	autofree char *row_check = dialect->row_check != NULL ? dialect->row_check(check->job, check->leaf) : NULL;
	check->settings = dialect->settings(shape, &session);
	check->boundary = dialect->boundary(shape, check->leaf, has_behind);
	check->explain_boundary = dialect->explain(check->boundary);
	check->row_check = row_check != NULL ? dialect->explain(row_check) : NULL;
	check->explain_work = dialect->explain(work);
}

struct transaction *plan_check_transaction(struct plan_check *check) {
	const struct dialect *dialect = check->dialect;
	clear_texts(check);
	write_texts(check);
	check->end = PLAN_CHECK_UNKNOWN;
	check->asks_again = false;
	struct transaction *t = transaction_new(check->name, dialect_sql(dialect, "begin_plan"));
	transaction_add(t, "settings", check->settings, NULL, NULL);
	transaction_add(t, "boundary_plan", check->explain_boundary, prepare_boundary, absorb_boundary_plan);
	if (dialect->plans_again) {
		transaction_add(t, "no_choice", dialect_sql(dialect, "explain_without_seqscan"), prepare_choice, NULL);
		transaction_add(t, "boundary_plan_again", check->explain_boundary, prepare_boundary_again, absorb_boundary_plan_again);
		transaction_add(t, "choice", dialect_sql(dialect, "explain_with_seqscan"), prepare_choice, absorb_choice);
	}
	transaction_add(t, "boundary", check->boundary, prepare_window, absorb_boundary);
	if (check->row_check != NULL)
		transaction_add(t, "row_check", check->row_check, NULL, NULL);
	transaction_add(t, "work_plan", check->explain_work, prepare_work, absorb_work_plan);
	if (dialect->plans_again) {
		transaction_add(t, "no_choice", dialect_sql(dialect, "explain_without_seqscan"), prepare_choice, NULL);
		transaction_add(t, "work_plan_again", check->explain_work, prepare_work_again, absorb_work_plan_again);
	}
	return t;
}

static bool is_of_work(const char *step) {
	return strcmp(step, "row_check") == 0 || strncmp(step, "work_plan", strlen("work_plan")) == 0;
}

void plan_check_ended(struct plan_check *check, const struct transaction_result *result) {
	if (result->end == TRANSACTION_DECLINED)
		return;
	bool refused = result->end == TRANSACTION_REFUSED;
	enum error_code code = refused ? plan_check_code_of(result->error) : ERROR_TRY_AGAIN;
	check->end = code == ERROR_DATA && is_of_work(result->step) ? PLAN_CHECK_NO_WORK : PLAN_CHECK_UNKNOWN;
	if (check->end == PLAN_CHECK_NO_WORK)
		error_set(&check->err, code, "%s", result->message);
	else
		error_set(&check->err, code, "planning %s: %s", is_of_work(result->step) ? of_work : of_boundary, result->message);
}
