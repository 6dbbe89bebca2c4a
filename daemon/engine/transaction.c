#include "daemon/engine/transaction.h"

#include "common/mem.h"
#include "common/strbuf.h"
#include "common/text.h"
#include "daemon/base/failpoint.h"
#include "daemon/engine/dialect.h"

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
	bool flies, commits_along;
	/* What is on its way, or was answered just now. */
	struct {
		bool begins, commits;
		size_t *steps; /* indices */
		size_t count;
	} flight;
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
	free(t->flight.steps);
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

void transaction_fly(struct transaction *t, bool commits_along) {
	t->flies = true;
	t->commits_along = commits_along;
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

static const char *text(const struct transaction *t, const char *name) {
	return dialect_sql(t->conn->engine->dialect, name);
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
		engine_execute(t->conn, text(t, "rollback"), NULL, 0, t->timeout_ms, rolled_back, t);
}

static void commit_answered(struct transaction *t, const struct engine_result *r) {
	if (r->outcome == ENGINE_DONE)
		reach(t, "commit", "done");
	/* COMMIT that fails (a deferred constraint, a serialization failure) has rolled back. */
	fill_result(t, r->outcome == ENGINE_DONE ? TRANSACTION_COMMITTED : TRANSACTION_REFUSED, "commit", r);
	finish(t);
}

/* False: the transaction ends. */
static bool step_answered(struct transaction *t, const struct step *step, const struct engine_result *r) {
	const char *name = step->statement.name;
	statement_absorb_fn *absorb = step->absorb;
	reach(t, name, "done");
	if (r->outcome == ENGINE_REFUSED) {
		fill_result(t, TRANSACTION_REFUSED, name, r);
		roll_back(t);
		return false;
	}
	if (absorb != NULL && !absorb(t->context, r)) { /* may have added steps: `step` is stale */
		fill_result(t, TRANSACTION_DECLINED, name, r);
		roll_back(t);
		return false;
	}
	return true;
}

static bool begin_answered(struct transaction *t, const struct engine_result *r) {
	if (r->outcome == ENGINE_DONE) {
		reach(t, "begin", "done");
		return true;
	}
	fill_result(t, TRANSACTION_REFUSED, "begin", r);
	roll_back(t);
	return false;
}

static void flight_lost(struct transaction *t, const struct engine_result *r) {
	const char *last = t->flight.commits     ? "commit"
	                   : t->flight.count > 0 ? t->steps[t->flight.steps[t->flight.count - 1]].statement.name
	                                         : "begin";
	/* A statement that commits by itself may have been committed. */
	fill_result(t, t->flight.commits || t->begin == NULL ? TRANSACTION_UNKNOWN : TRANSACTION_LOST, last, r);
	finish(t);
}

/* Behind the first answer that isn't "done" there are none. */
static void flown(void *context, const struct engine_result *results, size_t count) {
	struct transaction *t = context;
	size_t i = 0;
	if (results[0].outcome == ENGINE_LOST) {
		flight_lost(t, results);
		return;
	}
	if (t->flight.begins && !begin_answered(t, &results[i++]))
		return;
	for (size_t s = 0; s < t->flight.count && i < count; s++)
		if (!step_answered(t, &t->steps[t->flight.steps[s]], &results[i++]))
			return;
	if (t->flight.commits)
		commit_answered(t, &results[i]);
	else
		send_next(t);
}

static void answered(void *context, const struct engine_result *result) {
	flown(context, result, 1);
}

static void add_to_flight(struct transaction *t, size_t step) {
	t->flight.steps = mem_resize(t->flight.steps, t->flight.count + 1, sizeof *t->flight.steps);
	t->flight.steps[t->flight.count++] = step;
}

/* The steps up to the first whose answer is looked at; or one, if the transaction doesn't fly. */
static void gather_flight(struct transaction *t, bool begins) {
	bool full = begins && !t->flies, looked_at = false;
	t->flight.begins = begins;
	t->flight.count = 0;
	while (!full && t->next < t->nsteps) {
		struct step *step = &t->steps[t->next++];
		if (step->prepare != NULL && !step->prepare(t->context, &step->statement))
			continue;
		if (step->statement.sql[0] == '\0')
			continue;
		add_to_flight(t, t->next - 1);
		looked_at = step->absorb != NULL;
		full = looked_at || !t->flies;
	}
	bool empty = !begins && t->flight.count == 0;
	bool rides = t->flies && t->next == t->nsteps && (!looked_at || t->commits_along);
	t->flight.commits = t->begin != NULL && (empty || rides);
}

static void reach_all(const struct transaction *t, const char *point) {
	if (t->flight.begins)
		reach(t, "begin", point);
	for (size_t i = 0; i < t->flight.count; i++)
		reach(t, t->steps[t->flight.steps[i]].statement.name, point);
	if (t->flight.commits)
		reach(t, "commit", point);
}

static struct engine_statement to_send(const struct statement *s) {
	return (struct engine_statement){.sql = s->sql,
	                                 .params = (const char *const *)s->params,
	                                 .nparams = s->nparams,
	                                 .repeated = s->repeated,
	                                 .stands = s->stands,
	                                 .strict = s->strict};
}

static void send_flight(struct transaction *t) {
	size_t count = 0;
	autofree struct engine_statement *all = mem_alloc((t->flight.count + 2) * sizeof *all);
	if (t->flight.begins)
		all[count++] = (struct engine_statement){.sql = t->begin};
	for (size_t i = 0; i < t->flight.count; i++)
		all[count++] = to_send(&t->steps[t->flight.steps[i]].statement);
	if (t->flight.commits)
		all[count++] = (struct engine_statement){.sql = text(t, "commit")};
	reach_all(t, "before");
	if (t->flies || all[0].strict)
		engine_fly(t->conn, all, count, t->timeout_ms, flown, t);
	else
		engine_execute(t->conn, all[0].sql, all[0].params, all[0].nparams, t->timeout_ms, answered, t);
	reach_all(t, "sent");
}

static void send_next(struct transaction *t) {
	gather_flight(t, false);
	if (t->flight.count > 0 || t->flight.commits) {
		send_flight(t);
		return;
	}
	fill_result(t, TRANSACTION_COMMITTED, "commit", NULL);
	finish(t);
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
	gather_flight(t, true);
	send_flight(t);
}

void transaction_abandon(struct transaction *t) {
	transaction_free(t);
}
