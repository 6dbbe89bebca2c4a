#include "daemon/engine/transaction.h"

#include "common/mem.h"
#include "common/strbuf.h"
#include "common/text.h"
#include "daemon/base/failpoint.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct step {
	struct statement statement;
	statement_prepare_fn *prepare;
	statement_absorb_fn *absorb;
};

struct transaction {
	char *name;
	char *begin;
	struct step *steps;
	size_t nsteps;
	size_t next; /* the step to send next */
	struct engine_conn *conn;
	int timeout_ms;
	void *context;
	transaction_done_fn *done;
	void *done_context;
	struct transaction_result result;
};

static void send_next(struct transaction *t);

void statement_add_text(struct statement *statement, const char *value) {
	statement->params = mem_resize(statement->params, statement->nparams + 1, sizeof *statement->params);
	statement->params[statement->nparams++] = mem_dup(value);
}

void statement_add_int(struct statement *statement, int64_t value) {
	char text[24];
	snprintf(text, sizeof text, "%" PRId64, value);
	statement_add_text(statement, text);
}

void statement_clear_params(struct statement *statement) {
	mem_free_strings(statement->params, statement->nparams);
	statement->params = NULL;
	statement->nparams = 0;
}

struct transaction *transaction_new(const char *name, const char *begin) {
	struct transaction *t = mem_alloc(sizeof *t);
	t->name = mem_dup(name);
	t->begin = mem_dup(begin);
	return t;
}

void transaction_free(struct transaction *t) {
	if (t == NULL)
		return;
	for (size_t i = 0; i < t->nsteps; i++)
		statement_clear_params(&t->steps[i].statement);
	free(t->steps);
	free(t->begin);
	free(t->name);
	free(t);
}

struct statement *transaction_add(struct transaction *t, const char *name, const char *sql, statement_prepare_fn *prepare,
                                  statement_absorb_fn *absorb) {
	t->steps = mem_resize(t->steps, t->nsteps + 1, sizeof *t->steps);
	struct step *step = &t->steps[t->nsteps++];
	*step = (struct step){.statement = {.name = name, .sql = sql}, .prepare = prepare, .absorb = absorb};
	return &step->statement;
}

bool transaction_expect_one(void *context, const struct engine_result *result) {
	(void)context;
	return result->affected == 1;
}

/* Tells a test where we are: "batch.checkpoint.sent". To fail there is to lose the connection. */
static void reach(const struct transaction *t, const char *step, const char *point) {
#ifdef BACKFILLD_FAILPOINTS
	char name[128];
	snprintf(name, sizeof name, "%s.%s.%s", t->name, step, point);
	if (FAILPOINT_FAILS(name))
		t->conn->engine->cut(t->conn);
#else
	(void)t, (void)step, (void)point;
#endif
}

static void finish(struct transaction *t) {
	if (t->done != NULL)
		t->done(t->done_context, &t->result);
	transaction_free(t);
}

static void fill_result(struct transaction *t, enum transaction_end end, const char *step, const struct engine_result *r) {
	bool broken = end == TRANSACTION_LOST || end == TRANSACTION_UNKNOWN;
	t->result = (struct transaction_result){.end = end, .step = step, .broken = broken};
	if (r == NULL)
		return;
	t->result.error = r->error;
	memcpy(t->result.sqlstate, r->sqlstate, sizeof t->result.sqlstate);
	if (end != TRANSACTION_COMMITTED)
		text_format(t->result.message, sizeof t->result.message, "%s", r->message);
}

static void rolled_back(void *context, const struct engine_result *r) {
	struct transaction *t = context;
	/* If even ROLLBACK finds no connection, the server ends the transaction by itself: the verdict stands. */
	t->result.broken = r->outcome == ENGINE_LOST;
	finish(t);
}

static void roll_back(struct transaction *t) {
	if (t->begin == NULL)
		finish(t);
	else
		engine_execute(t->conn, "ROLLBACK", NULL, 0, t->timeout_ms, rolled_back, t);
}

static void commit_answered(void *context, const struct engine_result *r) {
	struct transaction *t = context;
	if (r->outcome == ENGINE_DONE) {
		reach(t, "commit", "done");
		fill_result(t, TRANSACTION_COMMITTED, "commit", r);
		finish(t);
	} else if (r->outcome == ENGINE_REFUSED) {
		/* COMMIT that fails (a deferred constraint, a serialization failure) has rolled back. */
		fill_result(t, TRANSACTION_REFUSED, "commit", r);
		finish(t);
	} else {
		fill_result(t, TRANSACTION_UNKNOWN, "commit", r);
		finish(t);
	}
}

static void answered(void *context, const struct engine_result *r) {
	struct transaction *t = context;
	struct step *step = &t->steps[t->next];
	const char *name = step->statement.name;
	statement_absorb_fn *absorb = step->absorb;

	if (r->outcome == ENGINE_LOST) {
		/* A statement that commits by itself may have been committed. */
		fill_result(t, t->begin == NULL ? TRANSACTION_UNKNOWN : TRANSACTION_LOST, name, r);
		finish(t);
		return;
	}
	reach(t, name, "done");
	if (r->outcome == ENGINE_REFUSED) {
		fill_result(t, TRANSACTION_REFUSED, name, r);
		roll_back(t);
		return;
	}
	t->next++;
	if (absorb != NULL && !absorb(t->context, r)) { /* may have added steps: `step` is stale */
		fill_result(t, TRANSACTION_DECLINED, name, r);
		roll_back(t);
		return;
	}
	send_next(t);
}

static void send_next(struct transaction *t) {
	while (t->next < t->nsteps) {
		struct step *step = &t->steps[t->next];
		if (step->prepare != NULL && !step->prepare(t->context, &step->statement)) {
			t->next++;
			continue;
		}
		reach(t, step->statement.name, "before");
		engine_execute(t->conn, step->statement.sql, (const char *const *)step->statement.params, step->statement.nparams,
		               t->timeout_ms, answered, t);
		reach(t, step->statement.name, "sent");
		return;
	}
	if (t->begin == NULL) {
		fill_result(t, TRANSACTION_COMMITTED, "commit", NULL);
		finish(t);
		return;
	}
	reach(t, "commit", "before");
	engine_execute(t->conn, "COMMIT", NULL, 0, t->timeout_ms, commit_answered, t);
	reach(t, "commit", "sent");
}

static void begun(void *context, const struct engine_result *r) {
	struct transaction *t = context;
	if (r->outcome == ENGINE_DONE) {
		reach(t, "begin", "done");
		send_next(t);
		return;
	}
	fill_result(t, r->outcome == ENGINE_LOST ? TRANSACTION_LOST : TRANSACTION_REFUSED, "begin", r);
	if (r->outcome == ENGINE_LOST)
		finish(t);
	else
		roll_back(t);
}

void transaction_run(struct transaction *t, struct engine_conn *conn, int timeout_ms, void *context, transaction_done_fn *done,
                     void *done_context) {
	t->conn = conn;
	t->timeout_ms = timeout_ms;
	t->context = context;
	t->done = done;
	t->done_context = done_context;
	if (t->begin == NULL) {
		send_next(t);
		return;
	}
	reach(t, "begin", "before");
	engine_execute(conn, t->begin, NULL, 0, timeout_ms, begun, t);
	reach(t, "begin", "sent");
}

void transaction_abandon(struct transaction *t) {
	transaction_free(t);
}
