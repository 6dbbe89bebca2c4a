#include "daemon/engine/dialect.h"

#include "common/mem.h"
#include "common/sqlcheck.h"
#include "common/strbuf.h"
#include "daemon/engine/sql_embedded.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SCHEMA_VERSION = 3, IDLE_IN_TRANSACTION_MS = 2000 };

const char *dialect_sql(const struct dialect *dialect, const char *name) {
	char path[96];
	snprintf(path, sizeof path, "%s/%s", dialect->name, name);
	for (const struct sql_embedded *file = sql_embedded; file->name != NULL; file++)
		if (strcmp(file->name, path) == 0)
			return file->text;
	fprintf(stderr, "no SQL text named %s\n", path);
	abort();
}

static void add_ident(struct strbuf *b, const char *name) {
	strbuf_add(b, "\"");
	for (const char *c = name; *c != '\0'; c++) {
		if (*c == '"')
			strbuf_add(b, "\"");
		strbuf_add_n(b, c, 1);
	}
	strbuf_add(b, "\"");
}

static void add_relation(struct strbuf *b, const char *schema, const char *name) {
	if (schema != NULL) {
		add_ident(b, schema);
		strbuf_add(b, ".");
	}
	add_ident(b, name);
}

static char *control_tables(const char *worker) {
	autostrbuf b = {0};
	static const char placeholder[] = ":\"worker\"";
	const char *text = dialect_sql(&dialect_postgres, "control_tables");
	for (const char *at; (at = strstr(text, placeholder)) != NULL; text = at + sizeof placeholder - 1) {
		strbuf_add_n(&b, text, (size_t)(at - text));
		add_ident(&b, worker);
	}
	strbuf_add(&b, text);
	return strbuf_take(&b);
}

static void add_literal(struct strbuf *b, const char *text) {
	strbuf_add(b, "E'");
	for (const char *c = text; *c != '\0'; c++) {
		if (*c == '\'' || *c == '\\')
			strbuf_add_n(b, c, 1);
		strbuf_add_n(b, c, 1);
	}
	strbuf_add(b, "'");
}

/* Everything on which the meaning of a fragment or the text of a key depends is pinned, in every transaction: behind a
 * pooler the next one may run in another session. */
static const struct {
	const char *name, *value;
} pinned[] = {
	{"row_security", "off"},
	{"DateStyle", "ISO, YMD"},
	{"IntervalStyle", "postgres"},
	{"TimeZone", "UTC"},
	{"extra_float_digits", "1"},
	{"bytea_output", "hex"},
	{"lc_monetary", "C"},
	{"standard_conforming_strings", "on"},
	{"jit", "off"},
};

static void add_setting(struct strbuf *b, const char *name, const char *value) {
	strbuf_printf(b, ", pg_catalog.set_config('%s', ", name);
	add_literal(b, value);
	strbuf_add(b, ", true)");
}

static void add_setting_ms(struct strbuf *b, const char *name, int64_t ms) {
	char value[24];
	snprintf(value, sizeof value, "%" PRId64, ms);
	add_setting(b, name, value);
}

/* set_config(…, true) is SET LOCAL: one statement for all. */
static char *settings(const struct table_shape *shape, const struct dialect_session *session) {
	autostrbuf b = {0}, path = {0};
	strbuf_add(&path, "pg_catalog");
	for (size_t i = 0; i < shape->nsearch_path; i++) {
		if (strcmp(shape->search_path[i], "pg_catalog") == 0)
			continue;
		strbuf_add(&path, ", ");
		add_ident(&path, shape->search_path[i]);
	}
	strbuf_add(&b, "SELECT 1");
	add_setting(&b, "search_path", path.data);
	for (size_t i = 0; i < sizeof pinned / sizeof *pinned; i++)
		add_setting(&b, pinned[i].name, pinned[i].value);
	add_setting_ms(&b, "statement_timeout", session->statement_timeout_ms);
	add_setting_ms(&b, "lock_timeout", session->lock_timeout_ms);
	/* A stalled daemon must not keep the site's rows locked. */
	add_setting_ms(&b, "idle_in_transaction_session_timeout", IDLE_IN_TRANSACTION_MS);
	/* Off is safe, as rows and checkpoint share the commit: a crash loses both or neither.
	 * https://www.postgresql.org/docs/15/wal-async-commit.html */
	add_setting(&b, "synchronous_commit", session->wait_for_disk ? "on" : "off");
	return strbuf_take(&b);
}

static void add_key_list(struct strbuf *b, const struct table_shape *shape, const char *suffix) {
	for (size_t i = 0; i < shape->nkey; i++) {
		if (i > 0)
			strbuf_add(b, ", ");
		add_ident(b, shape->key[i].name);
		strbuf_add(b, suffix);
	}
}

/* (k1, k2) OP ($n::type, $n+1::type): a row comparison range-scans the key's index.
 * https://www.postgresql.org/docs/15/functions-comparisons.html#ROW-WISE-COMPARISON */
static void add_comparison(struct strbuf *b, const struct table_shape *shape, const char *alias, const char *operator,
                           size_t * parameter) {
	strbuf_add(b, shape->nkey > 1 ? "ROW(" : "(");
	for (size_t i = 0; i < shape->nkey; i++) {
		if (i > 0)
			strbuf_add(b, ", ");
		if (alias != NULL) {
			add_ident(b, alias);
			strbuf_add(b, ".");
		}
		add_ident(b, shape->key[i].name);
	}
	strbuf_printf(b, ") %s %s(", operator, shape->nkey> 1 ? "ROW" : "");
	for (size_t i = 0; i < shape->nkey; i++)
		strbuf_printf(b, "%s$%zu::%s", i > 0 ? ", " : "", (*parameter)++, shape->key[i].type);
	strbuf_add(b, ")");
}

/* The range (after, through]. Returns the number of the next free parameter. */
static size_t add_range(struct strbuf *b, const struct table_shape *shape, const char *alias, bool has_after) {
	size_t parameter = 1;
	if (has_after) {
		add_comparison(b, shape, alias, ">", &parameter);
		strbuf_add(b, " AND ");
	}
	add_comparison(b, shape, alias, "<=", &parameter);
	return parameter;
}

static void add_from(struct strbuf *b, const struct shape_leaf *leaf) {
	strbuf_add(b, " FROM ONLY ");
	add_relation(b, leaf->schema, leaf->name);
}

/* Which relation the name means now, and of what types and collations its key is. The work has locked the relation, so that both
 * hold until the commit. */
static char *checkpoint(const struct table_shape *shape) {
	autostrbuf b = {0}, columns = {0};
	strbuf_printf(&b, "WITH moved AS (%s", dialect_sql(&dialect_postgres, "checkpoint"));
	for (size_t i = 0; i < shape->nkey; i++) {
		strbuf_add(&columns, i > 0 ? ", " : "");
		add_literal(&columns, shape->key[i].name);
	}
	strbuf_printf(&b,
	              " AND (SELECT string_agg(concat_ws('/', atttypid, atttypmod, attcollation), ' ' ORDER BY "
	              "array_position(ARRAY[%s]::name[], attname)) FROM pg_attribute WHERE attrelid = $10::oid AND attname = ANY "
	              "(ARRAY[%s]::name[])) = $13::text RETURNING ctid) SELECT (SELECT ctid FROM moved), 1 / (SELECT count(*) FROM "
	              "moved)",
	              columns.data, columns.data);
	return strbuf_take(&b);
}

static char *last_key(const struct table_shape *shape, const struct shape_leaf *leaf, bool has_after) {
	autostrbuf b = {0};
	strbuf_add(&b, "SELECT ");
	add_key_list(&b, shape, "");
	add_from(&b, leaf);
	if (has_after) {
		size_t parameter = 1;
		strbuf_add(&b, " WHERE ");
		add_comparison(&b, shape, NULL, ">", &parameter);
	}
	strbuf_add(&b, " ORDER BY ");
	add_key_list(&b, shape, " DESC");
	strbuf_add(&b, " LIMIT 1");
	return strbuf_take(&b);
}

static char *boundary(const struct table_shape *shape, const struct shape_leaf *leaf, bool has_after) {
	autostrbuf b = {0};
	strbuf_add(&b, "SELECT ");
	add_key_list(&b, shape, "");
	add_from(&b, leaf);
	strbuf_add(&b, " WHERE ");
	size_t parameter = add_range(&b, shape, NULL, has_after);
	strbuf_add(&b, " ORDER BY ");
	add_key_list(&b, shape, "");
	strbuf_printf(&b, " OFFSET $%zu::bigint LIMIT 2", parameter);
	return strbuf_take(&b);
}

static char *count(const struct table_shape *shape, const struct shape_leaf *leaf, bool has_after) {
	autostrbuf b = {0};
	strbuf_add(&b, "SELECT count(*) FROM (SELECT 1");
	add_from(&b, leaf);
	strbuf_add(&b, " WHERE ");
	size_t parameter = add_range(&b, shape, NULL, has_after);
	strbuf_add(&b, " ORDER BY ");
	add_key_list(&b, shape, "");
	strbuf_printf(&b, " LIMIT $%zu::bigint) AS scanned", parameter);
	return strbuf_take(&b);
}

static void add_where(struct strbuf *b, const struct jobfile *job, const struct table_shape *shape, bool has_after) {
	strbuf_add(b, " WHERE ");
	add_range(b, shape, NULL, has_after);
	if (job->where != NULL)
		strbuf_printf(b, " AND (%s\n)", job->where);
}

static void add_update(struct strbuf *b, const struct jobfile *job, const struct table_shape *shape,
                       const struct shape_leaf *leaf, bool has_after) {
	strbuf_add(b, "UPDATE ONLY ");
	add_relation(b, leaf->schema, leaf->name);
	for (size_t i = 0; i < job->nset; i++) {
		strbuf_add(b, i == 0 ? " SET " : ", ");
		add_ident(b, job->set[i].column);
		strbuf_printf(b, " = (%s\n)", job->set[i].expr);
	}
	add_where(b, job, shape, has_after);
}

static char *update(const struct jobfile *job, const struct table_shape *shape, const struct shape_leaf *leaf, bool has_after) {
	autostrbuf b = {0};
	add_update(&b, job, shape, leaf, has_after);
	return strbuf_take(&b);
}

static void add_conflict_clause(struct strbuf *b, const struct jobfile *job, const struct table_shape *shape) {
	strbuf_add(b, " ON CONFLICT (");
	for (size_t i = 0; i < shape->nconflict_key; i++) {
		strbuf_add(b, i > 0 ? ", " : "");
		add_ident(b, shape->conflict_key[i]);
	}
	if (job->on_conflict == CONFLICT_SKIP) {
		strbuf_add(b, ") DO NOTHING");
		return;
	}
	strbuf_add(b, ") DO UPDATE");
	for (size_t i = 0; i < job->ncolumns; i++) {
		strbuf_add(b, i == 0 ? " SET " : ", ");
		add_ident(b, job->columns[i].column);
		strbuf_add(b, " = EXCLUDED.");
		add_ident(b, job->columns[i].column);
	}
}

static void add_insert(struct strbuf *b, const struct jobfile *job, const struct table_shape *shape,
                       const struct shape_leaf *leaf, bool has_after) {
	strbuf_add(b, "INSERT INTO ");
	add_relation(b, job->into_schema, job->into_table);
	for (size_t i = 0; i < job->ncolumns; i++) {
		strbuf_add(b, i == 0 ? " (" : ", ");
		add_ident(b, job->columns[i].column);
	}
	strbuf_add(b, ")");
	for (size_t i = 0; i < job->ncolumns; i++)
		strbuf_printf(b, "%s (%s\n)", i == 0 ? " SELECT" : ",", job->columns[i].expr);
	add_from(b, leaf);
	add_where(b, job, shape, has_after);
	strbuf_add(b, " ORDER BY ");
	add_key_list(b, shape, "");
	if (job->on_conflict != CONFLICT_ERROR)
		add_conflict_clause(b, job, shape);
}

/* Was the row there before? A freshly inserted row has xmax 0; one that ON CONFLICT updated has our own transaction in it. */
static void add_met(struct strbuf *b, const struct jobfile *job) {
	bool update = job->kind == JOB_UPDATE;
	strbuf_printf(b, "%s AS met", update ? "true" : job->on_conflict == CONFLICT_UPDATE ? "xmax <> 0" : "false");
}

/* Of the rows of `work`: rows written, rows that met one already there. */
static void add_insert_counts(struct strbuf *b, const struct jobfile *job, const struct table_shape *shape,
                              const struct shape_leaf *leaf, bool has_after) {
	strbuf_add(b, " SELECT count(*), ");
	if (job->on_conflict == CONFLICT_SKIP) {
		strbuf_add(b, "(SELECT count(*)");
		add_from(b, leaf);
		add_where(b, job, shape, has_after);
		strbuf_add(b, ") - count(*)");
	} else {
		strbuf_add(b, "count(*) FILTER (WHERE met)");
	}
}

static char *insert(const struct jobfile *job, const struct table_shape *shape, const struct shape_leaf *leaf, bool has_after) {
	autostrbuf b = {0};
	strbuf_add(&b, "WITH work AS (");
	add_insert(&b, job, shape, leaf, has_after);
	strbuf_add(&b, " RETURNING ");
	add_met(&b, job);
	strbuf_add(&b, ")");
	add_insert_counts(&b, job, shape, leaf, has_after);
	strbuf_add(&b, " FROM work");
	return strbuf_take(&b);
}

static char *statement(const struct jobfile *job, const struct table_shape *shape, bool has_after) {
	autostrbuf b = {0};
	struct sqlcheck_range range;
	bool found = sqlcheck_find_range(job->statement, &range, NULL);
	assert(found); /* preflight has proven it */
	(void)found;
	strbuf_add_n(&b, job->statement, range.offset);
	strbuf_add(&b, "(");
	add_range(&b, shape, range.alias[0] != '\0' ? range.alias : shape->name, has_after);
	strbuf_add(&b, ")");
	strbuf_add(&b, job->statement + range.offset + range.length);
	return strbuf_take(&b);
}

static char *work(const struct jobfile *job, const struct table_shape *shape, const struct shape_leaf *leaf, bool has_after) {
	switch (job->kind) {
	case JOB_UPDATE:
		return update(job, shape, leaf, has_after);
	case JOB_INSERT:
		return insert(job, shape, leaf, has_after);
	case JOB_STATEMENT:
		return statement(job, shape, has_after);
	}
	abort();
}

/* --- kept rows: docs/control-tables.md, backfill.kept --- */

/*
 * The kept arrays are flat, one column behind the other: all first key columns, then all second ones. `prefix` names the
 * texts made of the columns by add_texts: k1, k2 …
 */
static void add_arrays(struct strbuf *b, const char *prefix, size_t count, const char *filter) {
	for (size_t i = 0; i < count; i++)
		strbuf_printf(b, "%sarray_agg(%s%zu)%s", i > 0 ? " || " : "", prefix, i + 1, filter);
}

static void add_qualified(struct strbuf *b, const char *relation, const char *column) {
	if (relation != NULL) {
		add_ident(b, relation);
		strbuf_add(b, ".");
	}
	add_ident(b, column);
}

/* , relation.column::text AS k1 */
static void add_text_of(struct strbuf *b, const char *relation, const char *column, char prefix, size_t i) {
	strbuf_add(b, ", ");
	add_qualified(b, relation, column);
	strbuf_printf(b, "::text AS %c%zu", prefix, i + 1);
}

/* What names a written row, as c1, c2 … for sorting and as text k1, k2 … Qualified, a name means the column. */
static void add_key_texts(struct strbuf *b, const char *relation, const struct jobfile *job, const struct table_shape *shape) {
	size_t count = job->kind == JOB_UPDATE ? shape->nkey : shape->nconflict_key;
	for (size_t i = 0; i < count; i++) {
		const char *column = job->kind == JOB_UPDATE ? shape->key[i].name : shape->conflict_key[i];
		strbuf_add(b, ", ");
		add_qualified(b, relation, column);
		strbuf_printf(b, " AS c%zu", i + 1);
		add_text_of(b, relation, column, 'k', i);
	}
}

static size_t kept_keys(const struct jobfile *job, const struct table_shape *shape) {
	return job->kind == JOB_UPDATE ? shape->nkey : shape->nconflict_key;
}

static size_t kept_columns(const struct jobfile *job) {
	return job->kind == JOB_UPDATE ? job->nset : job->ncolumns;
}

static void add_value_texts(struct strbuf *b, const char *relation, const struct jobfile *job, char prefix) {
	const struct assignment *columns = job->kind == JOB_UPDATE ? job->set : job->columns;
	for (size_t i = 0; i < kept_columns(job); i++)
		add_text_of(b, relation, columns[i].column, prefix, i);
}

static void add_sort(struct strbuf *b, size_t nkeys) {
	for (size_t i = 0; i < nkeys; i++)
		strbuf_printf(b, "%sc%zu", i > 0 ? ", " : "", i + 1);
}

static void add_kept_insert(struct strbuf *b, const char *columns, size_t parameter) {
	strbuf_printf(b, "INSERT INTO backfill.kept (job_id, segment, batch_id, %s) SELECT $%zu::text, $%zu::integer, $%zu::bigint, ",
	              columns, parameter, parameter + 1, parameter + 2);
}

static size_t range_parameters(const struct table_shape *shape, bool has_after) {
	return 1 + shape->nkey * (has_after ? 2 : 1);
}

static const struct assignment *find_column(const struct jobfile *job, const char *name) {
	for (size_t i = 0; i < job->ncolumns; i++)
		if (strcmp(job->columns[i].column, name) == 0)
			return &job->columns[i];
	return NULL;
}

/* The rows of `into` that the batch's rows will meet. A key column that the job leaves to its default meets nothing. */
static void add_met_rows(struct strbuf *b, const struct jobfile *job, const struct table_shape *shape,
                         const struct shape_leaf *leaf, bool has_after) {
	strbuf_add(b, " FROM ");
	add_relation(b, job->into_schema, job->into_table);
	strbuf_add(b, " AS met WHERE (");
	for (size_t i = 0; i < shape->nconflict_key; i++) {
		strbuf_add(b, i > 0 ? ", " : "");
		add_qualified(b, "met", shape->conflict_key[i]);
	}
	strbuf_add(b, ") IN (SELECT ");
	for (size_t i = 0; i < shape->nconflict_key; i++) {
		const struct assignment *column = find_column(job, shape->conflict_key[i]);
		strbuf_printf(b, "%s(%s\n)", i > 0 ? ", " : "", column != NULL ? column->expr : "NULL");
	}
	add_from(b, leaf);
	add_where(b, job, shape, has_after);
	strbuf_add(b, ")");
}

static bool wants_old(const struct jobfile *job) {
	return job->keep_old_values && ((job->kind == JOB_UPDATE && !job->old_values_null) ||
	                                (job->kind == JOB_INSERT && job->on_conflict == CONFLICT_UPDATE));
}

/*
 * Since PostgreSQL 18 a statement returns of the very row that it changes what it was, too. Up to 18.4 at least that is a lie if
 * the row was changed while we waited for it and the table has a BEFORE trigger; 18.6 is right.
 * https://www.postgresql.org/docs/18/dml-returning.html
 */
enum { RETURNS_OLD = 180006 };

static bool returns_old(const struct jobfile *job, const struct table_shape *shape) {
	return wants_old(job) && shape->server_version >= RETURNS_OLD;
}

static char *capture(const struct jobfile *job, const struct table_shape *shape, const struct shape_leaf *leaf, bool has_after) {
	if (!wants_old(job) || returns_old(job, shape))
		return NULL;
	autostrbuf b = {0};
	bool update = job->kind == JOB_UPDATE;
	const char *relation = update ? leaf->name : "met"; /* its own name: `where` may say it */
	add_kept_insert(&b, "rows, existing, keys, old_values", range_parameters(shape, has_after));
	strbuf_add(&b, "count(*), count(*), ");
	add_arrays(&b, "k", kept_keys(job, shape), "");
	strbuf_add(&b, ", ");
	add_arrays(&b, "o", kept_columns(job), "");
	strbuf_add(&b, " FROM (SELECT 1");
	add_key_texts(&b, relation, job, shape);
	add_value_texts(&b, relation, job, 'o');
	if (update) {
		add_from(&b, leaf);
		add_where(&b, job, shape, has_after);
	} else {
		add_met_rows(&b, job, shape, leaf, has_after);
	}
	strbuf_add(&b, " ORDER BY ");
	add_sort(&b, kept_keys(job, shape));
	strbuf_printf(&b, " FOR NO KEY UPDATE) AS locked%s", update ? " HAVING count(*) > 0" : "");
	return strbuf_take(&b);
}

/*
 * `written` is what was written, the rows that were there before first, each part in key order; it completes the captured
 * row, if the rows that were there are exactly the captured ones. An UPDATE's all were: its keys are kept already.
 */
static void add_completion(struct strbuf *b, const struct jobfile *job, const struct table_shape *shape, size_t parameter) {
	size_t nkeys = kept_keys(job, shape);
	bool update = job->kind == JOB_UPDATE;
	strbuf_add(b, ", written AS (SELECT count(*) AS rows, ");
	add_arrays(b, "k", nkeys, "");
	strbuf_add(b, " AS keys, ");
	if (!update) {
		strbuf_add(b, "count(*) FILTER (WHERE met) AS existing, ");
		add_arrays(b, "k", nkeys, " FILTER (WHERE met)");
		strbuf_add(b, " AS existing_keys, ");
	}
	add_arrays(b, "n", kept_columns(job), "");
	strbuf_printf(b, " AS new_values FROM (SELECT * FROM work ORDER BY %s", update ? "" : "NOT met, ");
	add_sort(b, nkeys);
	strbuf_printf(
		b,
		") AS ordered), completed AS (UPDATE backfill.kept AS b SET %snew_values = w.new_values FROM written AS w WHERE "
		"b.job_id = $%zu::text AND b.segment = $%zu::integer AND b.batch_id = $%zu::bigint AND b.keys IS NOT DISTINCT "
		"FROM w.%s RETURNING 1)",
		update ? "" : "rows = w.rows, keys = w.keys, ", parameter, parameter + 1, parameter + 2,
		update ? "keys" : "existing_keys");
}

/* All in one: `work` says of each row what it was and what it is. */
static void add_kept_of_work(struct strbuf *b, const struct jobfile *job, const struct table_shape *shape, size_t parameter) {
	bool update = job->kind == JOB_UPDATE, old = returns_old(job, shape);
	strbuf_add(b, ", kept AS (");
	add_kept_insert(b, old ? "rows, existing, keys, old_values, new_values" : "rows, existing, keys, new_values", parameter);
	strbuf_printf(b, "count(*), count(*) FILTER (WHERE met), ");
	add_arrays(b, "k", kept_keys(job, shape), "");
	if (old) {
		strbuf_add(b, ", ");
		add_arrays(b, "o", kept_columns(job), " FILTER (WHERE met)");
	}
	strbuf_add(b, ", ");
	add_arrays(b, "n", kept_columns(job), "");
	strbuf_printf(b, " FROM %s HAVING count(*) > 0)", update ? "work" : "(SELECT * FROM work ORDER BY NOT met) AS ordered");
}

static char *work_kept(const struct jobfile *job, const struct table_shape *shape, const struct shape_leaf *leaf,
                       bool has_after) {
	autostrbuf b = {0};
	size_t parameter = range_parameters(shape, has_after);
	bool update = job->kind == JOB_UPDATE, old = returns_old(job, shape);
	const char *relation = update ? leaf->name : job->into_table;
	strbuf_add(&b, "WITH work AS (");
	(update ? add_update : add_insert)(&b, job, shape, leaf, has_after);
	strbuf_add(&b, old ? " RETURNING WITH (OLD AS \"was it\") " : " RETURNING ");
	add_met(&b, job);
	add_key_texts(&b, relation, job, shape);
	add_value_texts(&b, relation, job, 'n');
	if (old)
		add_value_texts(&b, "was it", job, 'o');
	strbuf_add(&b, ")");
	if (wants_old(job) && !old) {
		add_completion(&b, job, shape, parameter);
		strbuf_printf(&b, " SELECT rows, %s, EXISTS (SELECT FROM completed)::text FROM written", update ? "0" : "existing");
		return strbuf_take(&b);
	}
	add_kept_of_work(&b, job, shape, parameter);
	if (update)
		strbuf_add(&b, " SELECT count(*), 0");
	else
		add_insert_counts(&b, job, shape, leaf, has_after);
	strbuf_add(&b, ", 'true' FROM work");
	return strbuf_take(&b);
}

static char *explain(const char *sql) {
	return mem_printf("%s\n%s", dialect_sql(&dialect_postgres, "explain"), sql);
}

const struct dialect dialect_postgres = {
	.name = "postgres",
	.schema_version = SCHEMA_VERSION,
	.looks_first = false,
	.fence_fails = true,
	.grammar = &sqlcheck_postgres,
	.control_tables = control_tables,
	.settings = settings,
	.last_key = last_key,
	.boundary = boundary,
	.count = count,
	.work = work,
	.capture = capture,
	.work_kept = work_kept,
	.checkpoint = checkpoint,
	.explain = explain,
	.judge_plan = explain_postgres_judge,
	.plans_again = true,
	.rules = &rules_postgres,
	.replication = &replication_postgres,
};
