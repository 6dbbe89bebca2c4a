#include "daemon/job/preflight.h"

#include "common/mem.h"
#include "common/sqlcheck.h"
#include "daemon/engine/dialect.h"
#include "daemon/engine/facts.h"
#include "daemon/job/preflight_rules.h"

#include <ev.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
	CONNECT_TIMEOUT_S = 10,
	STATEMENT_TIMEOUT_MS = 10 * 1000,
	LOCK_TIMEOUT_MS = 900,
	ANSWER_TIMEOUT_MS = 15 * 1000,
	SMALL_ROWS = 10000,   /* below, reading all of a table is no matter */
	BATCHES_OF_SCANS = 20 /* a sequential scan is right when a batch is a good part of the table */
};

/* Which plan is asked for. */
enum plan_of { PLAN_BOUNDARY, PLAN_ROW_CHECK, PLAN_WORK };

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
	answer_fn *answer;  /* of the statement in flight */
	answer_fn *refused; /* if set, called when the server refuses it */
	const char *doing;  /* for messages */

	struct preflight_write write;
	json_t *server, *table, *written, *warnings;
	struct table_shape *shape;

	size_t chosen[2]; /* the leaves whose plans are looked at: the first, the largest */
	size_t nchosen, leaf;
	bool empty;                            /* the leaf has no rows: its plans tell nothing */
	char *keys[3 * SHAPE_MAX_KEY_COLUMNS]; /* first, end of the first window, last; NULL when empty */

	enum plan_of plan;
	bool forced;            /* without sequential scans: is there a path at all? */
	struct jobfile variant; /* the job with one fragment alone, to see which one the server refuses */
	size_t fragment;        /* its number; nset + ncolumns = where */
	struct error refusal;   /* of the whole */
};

static void explain(struct preflight *p);
static void next_leaf(struct preflight *p);

/* ---- Beginning and end ---- */

static void clear_keys(struct preflight *p) {
	for (size_t i = 0; i < sizeof p->keys / sizeof *p->keys; i++) {
		free(p->keys[i]);
		p->keys[i] = NULL;
	}
}

static void preflight_free(struct preflight *p) {
	ev_timer_stop(p->loop, &p->start);
	if (p->connecting != NULL)
		p->engine->connect_abandon(p->connecting);
	engine_close(p->conn);
	preflight_write_free(&p->write);
	json_decref(p->server);
	json_decref(p->table);
	json_decref(p->written);
	json_decref(p->warnings);
	shape_free(p->shape);
	clear_keys(p);
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

/* Whether the server's no is about the job. Anything else may pass by itself. */
static enum error_code code_of(enum engine_error error) {
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

static void answered(void *context, const struct engine_result *result) {
	struct preflight *p = context;
	answer_fn *refused = p->refused;
	p->refused = NULL;
	if (result->outcome == ENGINE_DONE) {
		p->answer(p, result);
		return;
	}
	if (result->outcome == ENGINE_REFUSED && refused != NULL && code_of(result->error) == ERROR_DATA) {
		refused(p, result);
		return;
	}
	struct error err;
	error_set(&err, result->outcome == ENGINE_LOST ? ERROR_TRY_AGAIN : code_of(result->error), "%s: %s", p->doing,
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

/* ROLLBACK outside of a transaction is a warning, no error. */
static void roll_back(struct preflight *p, answer_fn *answer) {
	run(p, "rolling back", dialect_sql(p->engine->dialect, "rollback"), NULL, 0, answer);
}

/* ---- Plans ---- */

static const struct shape_leaf *leaf_of(const struct preflight *p) {
	return &p->shape->leaves[p->chosen[p->leaf]];
}

enum { KEY_FIRST, KEY_END, KEY_LAST };

static char **key_of(struct preflight *p, size_t which) {
	return p->keys + which * SHAPE_MAX_KEY_COLUMNS;
}

static void keep_key(struct preflight *p, size_t which, const struct engine_result *result) {
	for (size_t i = 0; i < p->shape->nkey; i++) {
		free(key_of(p, which)[i]);
		key_of(p, which)[i] = mem_dup(engine_value(result, 0, (int)i));
	}
}

/* Copies the key's values to params, at *n. */
static void add_key(struct preflight *p, size_t which, const char **params, size_t *n) {
	for (size_t i = 0; i < p->shape->nkey; i++)
		params[(*n)++] = key_of(p, which)[i];
}

static const char *plan_name(const struct preflight *p) {
	return p->plan == PLAN_BOUNDARY ? "the look-up of a batch's end" : "the batch";
}

/* A sequential scan, or an index of something else: fine on what is small, otherwise the user's to decide. */
static bool accept_scan(struct preflight *p, const struct explain_verdict *v, struct error *err) {
	const struct shape_leaf *leaf = leaf_of(p);
	int64_t small = p->job->settings.batch.rows * BATCHES_OF_SCANS;
	if (small < SMALL_ROWS)
		small = SMALL_ROWS;
	if ((v->by_key || v->whole_index) && leaf->estimated_rows <= small)
		return true;
	const char *how = v->by_key ? "though the key's index could be used" : "no index on the key bounds it";
	if (p->job->allow_no_index) {
		fact_warn(p->warnings, "%s reads %s.%s beyond its range each time: %s %s, %s", plan_name(p), leaf->schema, leaf->name,
		          v->scan, v->index, how);
		return true;
	}
	error_set(err, ERROR_DATA, "%s would read %s.%s (%" PRId64 " rows) beyond its range each time: %s%s%s, %s", plan_name(p),
	          leaf->schema, leaf->name, leaf->estimated_rows, v->scan, v->index[0] != '\0' ? " of " : "", v->index, how);
	return error_hint(err, "ANALYZE the table, take a smaller batch.rows, simplify `where`; or say allow_no_index = true");
}

static void plan_is_fine(struct preflight *p) {
	p->forced = false;
	if (p->plan == PLAN_WORK) {
		p->leaf++;
		next_leaf(p);
		return;
	}
	p->plan = p->plan == PLAN_BOUNDARY ? PLAN_ROW_CHECK : PLAN_WORK;
	explain(p);
}

static void reopened(struct preflight *p, const struct engine_result *result) {
	(void)result;
	plan_is_fine(p);
}

static void rolled_back_forced(struct preflight *p, const struct engine_result *result) {
	(void)result;
	begin(p, p->shape, reopened);
}

static void forced_set(struct preflight *p, const struct engine_result *result) {
	(void)result;
	p->forced = true;
	explain(p);
}

static bool is_bounded(const struct preflight *p, const struct explain_verdict *v) {
	return !v->reads || (v->by_key && !(p->plan == PLAN_BOUNDARY && v->sorts));
}

/* The server's last word. */
static void judge_scan(struct preflight *p, const struct explain_verdict *v) {
	struct explain_verdict shown = *v;
	struct error err;
	shown.by_key = is_bounded(p, v);
	if (!accept_scan(p, &shown, &err))
		finish(p, &err);
	else if (p->forced)
		roll_back(p, rolled_back_forced);
	else
		plan_is_fine(p);
}

static void explained(struct preflight *p, const struct engine_result *result) {
	const char *text = result->nrows == 1 ? engine_value(result, 0, 0) : NULL;
	struct explain_verdict v;
	struct error err;
	const struct dialect *dialect = p->engine->dialect;
	if (!dialect->judge_plan(text != NULL ? text : "", p->shape, leaf_of(p), &v, &err)) {
		finish(p, &err);
		return;
	}
	if (p->forced) {
		judge_scan(p, &v);
		return;
	}
	if (p->plan == PLAN_WORK && v.depends[0] != '\0') {
		error_set(&err, ERROR_DATA, "the result would depend on which rows share a batch: the plan has a node %s over them",
		          v.depends);
		error_hint(&err, "aggregates and window functions belong in a subquery of their own");
		finish(p, &err);
		return;
	}
	if (p->plan == PLAN_WORK && v.other_rows > SMALL_ROWS)
		fact_warn(p->warnings, "each batch reads all of %s (about %.0f rows)", v.other, v.other_rows);
	if (p->empty || is_bounded(p, &v))
		plan_is_fine(p);
	else if (dialect->plans_again)
		run(p, "planning", dialect_sql(dialect, "explain_without_seqscan"), NULL, 0, forced_set);
	else
		judge_scan(p, &v);
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

static void fragment_refused(struct preflight *p, const struct engine_result *result) {
	const struct jobfile *job = p->job;
	size_t i = p->fragment;
	if (i < job->nset)
		finish_refused(p, "set", job->set[i].column, result->message);
	else if (i < job->nset + job->ncolumns)
		finish_refused(p, "columns", job->columns[i - job->nset].column, result->message);
	else
		finish_refused(p, "where", NULL, result->message);
}

static void try_fragment(struct preflight *p, const struct engine_result *result);

static void fragment_passed(struct preflight *p, const struct engine_result *result) {
	(void)result;
	p->fragment++;
	try_fragment(p, NULL);
}

static void try_fragment(struct preflight *p, const struct engine_result *result) {
	(void)result;
	if (p->fragment >= fragment_count(p->job)) {
		finish(p, &p->refusal);
		return;
	}
	make_variant(p);
	explain(p);
	p->answer = fragment_passed;
	p->refused = fragment_refused;
}

static void rolled_back_refused(struct preflight *p, const struct engine_result *result) {
	(void)result;
	begin(p, p->shape, try_fragment);
}

static void work_refused(struct preflight *p, const struct engine_result *result) {
	error_set(&p->refusal, ERROR_DATA, "%s: %s", p->job->kind == JOB_STATEMENT ? "statement" : "the batch", result->message);
	p->fragment = 0;
	roll_back(p, rolled_back_refused);
}

static void row_checked(struct preflight *p, const struct engine_result *result) {
	(void)result;
	plan_is_fine(p);
}

/* Only whether the server takes it matters, not how it would do it. */
static void check_rows(struct preflight *p) {
	const struct dialect *dialect = p->engine->dialect;
	autofree char *sql = dialect->row_check != NULL ? dialect->row_check(&p->variant, leaf_of(p)) : NULL;
	if (sql == NULL) {
		plan_is_fine(p);
		return;
	}
	autofree char *text = dialect->explain(sql);
	run(p, "looking at the fragments", text, NULL, 0, row_checked);
	p->refused = work_refused;
}

/* Asks for the plan of the boundary or the work, over real keys if there are any. */
static void explain(struct preflight *p) {
	const struct dialect *dialect = p->engine->dialect;
	if (p->plan == PLAN_ROW_CHECK) {
		check_rows(p);
		return;
	}
	const char *params[2 * SHAPE_MAX_KEY_COLUMNS + 1];
	size_t nparams = 0;
	autofree char *rows = mem_printf("%" PRId64, p->job->settings.batch.rows - 1);
	autofree char *sql = NULL;
	add_key(p, KEY_FIRST, params, &nparams);
	if (p->plan == PLAN_BOUNDARY) {
		sql = dialect->boundary(p->shape, leaf_of(p), true);
		add_key(p, KEY_LAST, params, &nparams);
		params[nparams++] = rows;
	} else {
		sql = dialect->work(&p->variant, p->shape, leaf_of(p), true);
		add_key(p, KEY_END, params, &nparams);
	}
	autofree char *text = dialect->explain(sql);
	run(p, p->plan == PLAN_BOUNDARY ? "planning the look-up of a batch's end" : "planning the batch", text, params, nparams,
	    explained);
	if (p->plan == PLAN_WORK)
		p->refused = work_refused;
}

/* ---- Real keys ---- */

static void explain_leaf(struct preflight *p) {
	p->plan = PLAN_BOUNDARY;
	p->forced = false;
	p->variant = *p->job;
	explain(p);
}

static void got_end(struct preflight *p, const struct engine_result *result) {
	if (result->nrows > 0) {
		keep_key(p, KEY_END, result);
	} else { /* fewer rows than a batch: the last one is the end */
		for (size_t i = 0; i < p->shape->nkey; i++)
			key_of(p, KEY_END)[i] = mem_dup(key_of(p, KEY_LAST)[i]);
	}
	explain_leaf(p);
}

static void got_first(struct preflight *p, const struct engine_result *result) {
	if (result->nrows == 0) { /* deleted meanwhile */
		p->empty = true;
		clear_keys(p);
		explain_leaf(p);
		return;
	}
	keep_key(p, KEY_FIRST, result);
	const char *params[2 * SHAPE_MAX_KEY_COLUMNS + 1];
	size_t nparams = 0;
	add_key(p, KEY_FIRST, params, &nparams);
	add_key(p, KEY_LAST, params, &nparams);
	autofree char *rows = mem_printf("%" PRId64, p->job->settings.batch.rows - 1);
	params[nparams++] = rows;
	autofree char *sql = p->engine->dialect->boundary(p->shape, leaf_of(p), true);
	run(p, "looking up the first batch's end", sql, params, nparams, got_end);
}

static void got_last(struct preflight *p, const struct engine_result *result) {
	p->empty = result->nrows != 1;
	if (p->empty) {
		explain_leaf(p);
		return;
	}
	keep_key(p, KEY_LAST, result);
	const char *params[SHAPE_MAX_KEY_COLUMNS + 1];
	size_t nparams = 0;
	add_key(p, KEY_LAST, params, &nparams);
	params[nparams++] = "0";
	autofree char *sql = p->engine->dialect->boundary(p->shape, leaf_of(p), false);
	run(p, "looking up the first key", sql, params, nparams, got_first);
}

static void next_leaf(struct preflight *p) {
	if (p->leaf >= p->nchosen) {
		finish(p, NULL);
		return;
	}
	clear_keys(p);
	autofree char *sql = p->engine->dialect->last_key(p->shape, leaf_of(p), false);
	run(p, "looking up the last key", sql, NULL, 0, got_last);
}

/* ---- The catalogue ---- */

static void opened_for_plans(struct preflight *p, const struct engine_result *result) {
	(void)result;
	next_leaf(p);
}

static void rolled_back_described(struct preflight *p, const struct engine_result *result) {
	(void)result;
	begin(p, p->shape, opened_for_plans);
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
