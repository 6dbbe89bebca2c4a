#include "daemon/job/preflight.h"

#include "common/mem.h"
#include "common/sqlcheck.h"
#include "daemon/engine/dialect.h"
#include "daemon/engine/facts.h"
#include "daemon/job/plan_check.h"
#include "daemon/job/preflight_rules.h"

#include <ev.h>
#include <stdlib.h>
#include <string.h>

enum {
	CONNECT_TIMEOUT_S = 10,
	STATEMENT_TIMEOUT_MS = 10 * 1000,
	LOCK_TIMEOUT_MS = 900,
	ANSWER_TIMEOUT_MS = 15 * 1000,
	SMALL_TABLE_ROWS = 10000, /* below, reading all of a table is no matter */
};

typedef void answer_fn(struct preflight *p, const struct engine_result *result);

struct preflight {
	struct ev_loop *loop;
	const struct engine *engine;
	char *url;
	const struct jobfile *job;
	preflight_done_fn *done;
	void *context;

	ev_timer start;
	struct engine_connecting *connecting;
	struct engine_conn *conn;
	answer_fn *answer; /* of the statement in flight */
	const char *doing; /* for messages */

	struct preflight_write write;
	json_t *server, *table, *written, *warnings;
	struct table_shape *shape;

	size_t chosen[2]; /* the leaves whose plans are looked at: the first, the largest */
	size_t nchosen, leaf;
	struct plan_check check;
	struct transaction *checking; /* the check's, while it runs */
	struct jobfile variant;       /* the job with one fragment alone, to see which one the server refuses */
	size_t fragment;              /* its number; nset + ncolumns = where */
	struct error refusal;         /* of the whole */
};

static void next_leaf(struct preflight *p);

/* ---- Beginning and end ---- */

static void preflight_free(struct preflight *p) {
	ev_timer_stop(p->loop, &p->start);
	if (p->connecting != NULL)
		p->engine->connect_abandon(p->connecting);
	engine_close(p->conn);
	if (p->checking != NULL)
		transaction_abandon(p->checking);
	plan_check_clear(&p->check);
	preflight_write_free(&p->write);
	json_decref(p->server);
	json_decref(p->table);
	json_decref(p->written);
	json_decref(p->warnings);
	shape_free(p->shape);
	free(p->url);
	free(p);
}

void preflight_abandon(struct preflight *preflight) {
	if (preflight != NULL)
		preflight_free(preflight);
}

/* Nothing of `p` may be touched afterwards. */
static void finish(struct preflight *p, const struct error *err) {
	struct table_shape *shape = NULL;
	if (err == NULL) {
		shape = p->shape;
		p->shape = NULL;
	}
	p->done(p->context, shape, p->warnings, err);
	preflight_free(p);
}

static void finish_internal(struct preflight *p, const char *what) {
	struct error err;
	error_set(&err, ERROR_INTERNAL, "preflight: %s", what);
	finish(p, &err);
}

/* ---- Statements ---- */

static void answered(void *context, const struct engine_result *result) {
	struct preflight *p = context;
	if (result->outcome == ENGINE_DONE) {
		p->answer(p, result);
		return;
	}
	struct error err;
	error_set(&err, result->outcome == ENGINE_LOST ? ERROR_TRY_AGAIN : plan_check_code_of(result->error), "%s: %s", p->doing,
	          result->message);
	finish(p, &err);
}

static void run(struct preflight *p, const char *doing, const char *sql, const char *const *params, size_t nparams,
                answer_fn *answer) {
	p->doing = doing;
	p->answer = answer;
	engine_execute(p->conn, sql, params, nparams, ANSWER_TIMEOUT_MS, answered, p);
}

static json_t *read_json(const struct engine_result *result) {
	const char *text = result->nrows == 1 ? engine_value(result, 0, 0) : NULL;
	return text != NULL ? json_loads(text, 0, NULL) : NULL;
}

static const char *schema_of(const json_t *relation) {
	return json_string_value(json_object_get(relation, "schema"));
}

/* Opens a transaction that only looks, with the settings of a batch; what one refused before is rolled back. */
static void begin(struct preflight *p, const struct table_shape *shape, answer_fn *answer) {
	const struct dialect_session session = {
		.statement_timeout_ms = STATEMENT_TIMEOUT_MS, .lock_timeout_ms = LOCK_TIMEOUT_MS, .row_image = p->job->binlog_row_image};
	const struct dialect *dialect = p->engine->dialect;
	autofree char *settings = dialect->settings(shape, &session);
	autofree char *sql = mem_printf("%s; %s", dialect_sql(dialect, "begin_plan"), settings);
	run(p, "opening a transaction", sql, NULL, 0, answer);
}

static void roll_back(struct preflight *p, answer_fn *answer) {
	run(p, "rolling back", dialect_sql(p->engine->dialect, "rollback"), NULL, 0, answer);
}

/* ---- Plans ---- */

static void check_plans(struct preflight *p, transaction_done_fn *done) {
	p->checking = plan_check_transaction(&p->check);
	transaction_run(p->checking, p->conn, PLAN_CHECK_ANSWER_MS, &p->check, done, p);
}

/* ---- Which fragment does the server refuse? ---- */

static size_t fragment_count(const struct jobfile *job) {
	return job->nset + job->ncolumns + (job->where != NULL);
}

/* The job with its fragment number p->fragment alone. A `where` needs something to do: the first assignment stays. */
static void make_variant(struct preflight *p) {
	const struct jobfile *job = p->job;
	size_t i = p->fragment;
	p->variant = *job;
	if (i >= job->nset + job->ncolumns)
		return;
	p->variant.where = NULL;
	if (i < job->nset) {
		p->variant.set += i;
		p->variant.nset = 1;
	} else {
		p->variant.columns += i - job->nset;
		p->variant.ncolumns = 1;
	}
}

static void finish_refused(struct preflight *p, const char *key, const char *column, const char *message) {
	struct error err;
	error_set(&err, ERROR_DATA, "%s%s%s: %s", key, column != NULL ? "." : "", column != NULL ? column : "", message);
	finish(p, &err);
}

static void refuse_fragment(struct preflight *p, const char *message) {
	const struct jobfile *job = p->job;
	size_t i = p->fragment;
	if (i < job->nset)
		finish_refused(p, "set", job->set[i].column, message);
	else if (i < job->nset + job->ncolumns)
		finish_refused(p, "columns", job->columns[i - job->nset].column, message);
	else
		finish_refused(p, "where", NULL, message);
}

static void try_fragment(struct preflight *p);

/* Only whether the server takes it matters, not how it would do it. */
static void fragment_tried(void *context, const struct transaction_result *result) {
	struct preflight *p = context;
	p->checking = NULL;
	plan_check_ended(&p->check, result);
	if (p->check.end == PLAN_CHECK_NO_WORK) {
		refuse_fragment(p, p->check.err.message);
		return;
	}
	if (p->check.end == PLAN_CHECK_UNKNOWN && p->check.err.code == ERROR_TRY_AGAIN) {
		finish(p, &p->check.err);
		return;
	}
	p->fragment++;
	try_fragment(p);
}

static void try_fragment(struct preflight *p) {
	if (p->fragment >= fragment_count(p->job)) {
		finish(p, &p->refusal);
		return;
	}
	make_variant(p);
	check_plans(p, fragment_tried);
}

static void work_refused(struct preflight *p) {
	error_set(&p->refusal, ERROR_DATA, "%s: %s", p->job->kind == JOB_STATEMENT ? "statement" : "the batch", p->check.err.message);
	p->check.job = &p->variant;
	p->check.warnings = NULL;
	p->fragment = 0;
	try_fragment(p);
}

/* ---- Each leaf ---- */

static void checked(void *context, const struct transaction_result *result) {
	struct preflight *p = context;
	p->checking = NULL;
	plan_check_ended(&p->check, result);
	switch (p->check.end) {
	case PLAN_CHECK_FINE:
		p->leaf++;
		next_leaf(p);
		return;
	case PLAN_CHECK_NO_WORK:
		work_refused(p);
		return;
	case PLAN_CHECK_BEYOND:
	case PLAN_CHECK_UNKNOWN:
		finish(p, &p->check.err);
		return;
	}
}

static void rolled_back_keys(struct preflight *p, const struct engine_result *result) {
	(void)result;
	check_plans(p, checked);
}

/* The check has a transaction of its own. */
static void leave_keys(struct preflight *p) {
	p->check.empty = p->check.behind.values[0] == NULL;
	roll_back(p, rolled_back_keys);
}

static void keep_key(struct plan_key *key, const struct engine_result *result) {
	for (size_t i = 0; i < key->n; i++)
		key->values[i] = mem_dup(engine_value(result, 0, (int)i));
}

/* None if it was deleted meanwhile. */
static void got_first(struct preflight *p, const struct engine_result *result) {
	if (result->nrows > 0)
		keep_key(&p->check.behind, result);
	leave_keys(p);
}

static void got_last(struct preflight *p, const struct engine_result *result) {
	struct plan_key *last = &p->check.through;
	if (result->nrows != 1) {
		leave_keys(p);
		return;
	}
	keep_key(last, result);
	const char *params[SHAPE_MAX_KEY_COLUMNS + 1];
	for (size_t i = 0; i < last->n; i++)
		params[i] = last->values[i];
	params[last->n] = "0";
	autofree char *sql = p->engine->dialect->boundary(p->shape, p->check.leaf, false);
	run(p, "looking up the first key", sql, params, last->n + 1, got_first);
}

static void opened_for_keys(struct preflight *p, const struct engine_result *result) {
	(void)result;
	autofree char *sql = p->engine->dialect->last_key(p->shape, p->check.leaf, false);
	run(p, "looking up the last key", sql, NULL, 0, got_last);
}

static void next_leaf(struct preflight *p) {
	if (p->leaf >= p->nchosen) {
		finish(p, NULL);
		return;
	}
	plan_check_clear(&p->check);
	p->check = (struct plan_check){.name = "preflight",
	                               .dialect = p->engine->dialect,
	                               .job = p->job,
	                               .shape = p->shape,
	                               .leaf = &p->shape->leaves[p->chosen[p->leaf]],
	                               .rows = p->job->settings.batch.rows,
	                               .table_rows = p->shape->leaves[p->chosen[p->leaf]].estimated_rows,
	                               .small_rows = SMALL_TABLE_ROWS,
	                               .behind.n = p->shape->nkey,
	                               .through.n = p->shape->nkey,
	                               .warnings = p->warnings};
	begin(p, p->shape, opened_for_keys);
}

/* ---- The catalogue ---- */

static void rolled_back_described(struct preflight *p, const struct engine_result *result) {
	(void)result;
	next_leaf(p);
}

static void choose_leaves(struct preflight *p) {
	size_t largest = 0;
	for (size_t i = 1; i < p->shape->nleaves; i++)
		if (p->shape->leaves[i].estimated_rows > p->shape->leaves[largest].estimated_rows)
			largest = i;
	p->chosen[p->nchosen++] = 0;
	if (largest != 0)
		p->chosen[p->nchosen++] = largest;
}

static void judge_tables(struct preflight *p) {
	const struct preflight_facts facts = {
		.rules = p->engine->dialect->rules, .server = p->server, .table = p->table, .written = p->written};
	struct error err;
	if (!preflight_rules(p->job, &p->write, &facts, p->warnings, &p->shape, &err)) {
		finish(p, &err);
		return;
	}
	choose_leaves(p);
	roll_back(p, rolled_back_described);
}

static void described_written(struct preflight *p, const struct engine_result *result) {
	p->written = read_json(result);
	if (p->written != NULL) {
		judge_tables(p);
		return;
	}
	struct error err;
	const char *schema = p->write.schema != NULL ? p->write.schema : schema_of(p->table);
	error_set(&err, ERROR_DATA, "table %s.%s, which the job writes to, does not exist in database %s", schema, p->write.table,
	          json_string_value(json_object_get(p->server, "database")));
	finish(p, &err);
}

static void described_table(struct preflight *p, const struct engine_result *result) {
	p->table = read_json(result);
	if (p->table == NULL) { /* dropped since it was resolved */
		struct error err;
		error_set(&err, ERROR_DATA, "table %s does not exist", p->job->table);
		finish(p, &err);
		return;
	}
	if (p->write.to_worked_table) {
		judge_tables(p);
		return;
	}
	/* Without a schema it is found in the worked table's: that is the search_path of the batches. */
	const char *params[] = {p->write.schema != NULL ? p->write.schema : schema_of(p->table), p->write.table};
	run(p, "describing the table that is written", dialect_sql(p->engine->dialect, "describe"), params, 2, described_written);
}

static void opened_for_catalogue(struct preflight *p, const struct engine_result *result) {
	(void)result;
	const char *params[] = {schema_of(p->server), p->job->table};
	run(p, "describing the table", dialect_sql(p->engine->dialect, "describe"), params, 2, described_table);
}

static void resolved(struct preflight *p, const struct engine_result *result) {
	struct error err;
	p->server = read_json(result);
	if (p->server == NULL) {
		finish_internal(p, "the server's description can't be read");
		return;
	}
	if (!preflight_rules_server(p->job, p->engine->dialect->rules, p->server, p->warnings, &err)) {
		finish(p, &err);
		return;
	}
	/* No table yet: search_path is pg_catalog alone, as describe.sql wants it. */
	const struct table_shape none = {0};
	begin(p, &none, opened_for_catalogue);
}

static void connected(void *context, struct engine_conn *conn, const struct error *err) {
	struct preflight *p = context;
	p->connecting = NULL;
	if (conn == NULL) {
		finish(p, err);
		return;
	}
	p->conn = conn;
	const char *params[] = {p->job->schema, p->job->table};
	run(p, "looking for the table", dialect_sql(p->engine->dialect, "resolve"), params, 2, resolved);
}

/* In a turn of the loop of its own: the callback never comes before preflight_start returns. */
static void started(struct ev_loop *loop, ev_timer *timer, int events) {
	(void)loop;
	(void)events;
	struct preflight *p = timer->data;
	const struct sqlcheck_grammar *grammar = p->engine->dialect->grammar;
	struct error err;
	if (!sqlcheck_job(grammar, p->job, &err) || !preflight_write_of(grammar, p->job, &p->write, &err)) {
		finish(p, &err);
		return;
	}
	autofree char *name = mem_printf("backfilld preflight %s", p->job->id);
	const struct engine_connect_options options = {.application_name = name, .timeout_s = CONNECT_TIMEOUT_S};
	p->connecting = p->engine->connect(p->loop, p->url, &options, connected, p);
}

struct preflight *preflight_start(struct ev_loop *loop, const struct engine *engine, const char *url, const struct jobfile *job,
                                  preflight_done_fn *done, void *context) {
	struct preflight *p = mem_alloc(sizeof *p);
	*p = (struct preflight){.loop = loop, .engine = engine, .url = mem_dup(url), .job = job, .done = done, .context = context};
	p->warnings = json_array();
	ev_timer_init(&p->start, started, 0.0, 0.0);
	p->start.data = p;
	ev_timer_start(loop, &p->start);
	return p;
}
