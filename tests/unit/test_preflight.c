/* test_preflight.c: what preflight refuses, warns of and finds out, against a real server of its own. */
#include "daemon/job/preflight.h"

#include "tests/unit/postgres_server.h"

#include <ev.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

/* How a preflight ended. */
struct outcome {
	bool called;
	struct table_shape *shape;
	char *warnings;
	struct error err;
};

static void done(void *context, struct table_shape *shape, const json_t *warnings, const struct error *err) {
	struct outcome *o = context;
	assert_false(o->called);
	o->called = true;
	o->shape = shape;
	o->warnings = json_dumps(warnings, 0);
	if (err != NULL)
		o->err = *err;
	ev_break(EV_DEFAULT, EVBREAK_ALL);
}

static struct outcome check_at(const struct jobfile *job, const char *url) {
	struct outcome o = {0};
	preflight_start(EV_DEFAULT, &engine_postgres, url, job, done, &o);
	assert_false(o.called);
	while (!o.called)
		ev_run(EV_DEFAULT, EVRUN_ONCE);
	return o;
}

static void outcome_free(struct outcome *o) {
	shape_free(o->shape);
	free(o->warnings);
}

/* A job as a test writes it: strings only. */
struct sample {
	const char *name;  /* the table */
	const char *setup; /* run before; NULL = nothing */
	const char *column, *expr, *where;
	const char *into, *statement;
	const char *key, *conflict_key;
	enum on_conflict on_conflict;
	bool triggers, cascades, no_index, del;
	bool as_worker;       /* the role without rights */
	enum error_code code; /* 0: must pass */
	const char *part;     /* of message or hint; when it passes, of the warnings */
};

static struct outcome check(const struct sample *c) {
	struct assignment assignment = {(char *)c->column, (char *)c->expr};
	char *key = (char *)c->key, *conflict_key = (char *)c->conflict_key;
	bool assigns = c->statement == NULL;
	struct jobfile job = {
		.id = (char *)"20261121_x",
		.target = (char *)"t",
		.schema = (char *)"public",
		.table = (char *)c->name,
		.kind = c->statement != NULL ? JOB_STATEMENT
	            : c->into != NULL    ? JOB_INSERT
	                                 : JOB_UPDATE,
		.set = &assignment,
		.nset = assigns && c->into == NULL,
		.columns = &assignment,
		.ncolumns = assigns && c->into != NULL,
		.where = (char *)c->where,
		.into_schema = (char *)"public",
		.into_table = (char *)c->into,
		.statement = (char *)c->statement,
		.key = &key,
		.nkey = c->key != NULL,
		.conflict_key = &conflict_key,
		.nconflict_key = c->conflict_key != NULL,
		.on_conflict = c->on_conflict,
		.allow_triggers = c->triggers,
		.allow_cascades = c->cascades,
		.allow_no_index = c->no_index,
		.allow_delete = c->del,
		.settings = {.batch = {.rows = 1000}},
	};
	if (c->setup != NULL)
		free(ask(c->setup));
	autofree char *as = url(c->as_worker ? "worker@" : "postgres@", "postgres");
	return check_at(&job, as);
}

static void check_all(const struct sample *cases, size_t count) {
	size_t wrong = 0;
	for (size_t i = 0; i < count; i++) {
		const struct sample *c = &cases[i];
		struct outcome o = check(c);
		bool ok = o.err.code == c->code && (o.shape != NULL) == (c->code == ERROR_NONE);
		const char *part = c->part != NULL ? c->part : "";
		ok = ok && (strstr(o.err.message, part) != NULL || strstr(o.err.hint, part) != NULL || strstr(o.warnings, part) != NULL);
		if (!ok) {
			wrong++;
			print_error("case %zu (%s, wanted %d \"%s\"): %d \"%s\" hint \"%s\" warnings %s\n", i, c->name, c->code, part,
			            o.err.code, o.err.message, o.err.hint, o.warnings);
		}
		outcome_free(&o);
	}
	assert_int_equal(wrong, 0);
}

static void passes(void **state) {
	(void)state;
	static const struct sample cases[] = {
		{.name = "big", .column = "v", .expr = "id * 2", .where = "v IS NULL", .part = "[]"},
		{.name = "empty", .column = "v", .expr = "1", .part = "[]"},
		{.name = "small", .column = "v", .expr = "1", .part = "[]"},
		{.name = "parts", .column = "v", .expr = "1", .part = "[]"},
		{.name = "citexts", .column = "v", .expr = "1", .part = "[]"},
		{.name = "unlogged", .column = "v", .expr = "1", .part = "unlogged"},
		{.name = "family", .column = "v", .expr = "1", .part = "inheritance children"},
		{.name = "family", .statement = "UPDATE ONLY family SET v = 1 WHERE {range}", .part = "not touched"},
		{.name = "keys", .column = "v", .expr = "1", .key = "good", .part = "[]"},
		{.name = "keys", .column = "v", .expr = "1", .key = "backwards", .part = "[]"},
		{.name = "trig", .column = "w", .expr = "1", .part = "[]"},
		{.name = "trig", .column = "v", .expr = "1", .triggers = true, .part = "trig_v"},
		{.name = "parent", .column = "id2", .expr = "id", .cascades = true, .part = "write to other tables"},
		{.name = "big", .into = "copy", .column = "id", .expr = "id", .part = "[]"},
		{.name = "big", .into = "copy", .column = "id", .expr = "id", .on_conflict = CONFLICT_SKIP, .part = "[]"},
		{.name = "big", .into = "copy", .column = "id", .expr = "id", .on_conflict = CONFLICT_UPDATE, .part = "[]"},
		{.name = "big", .into = "copy", .column = "u", .expr = "id", .on_conflict = CONFLICT_SKIP, .conflict_key = "u"},
		{.name = "big", .statement = "INSERT INTO copy (id) SELECT b.id FROM big b WHERE {range b}", .part = "[]"},
		{.name = "big",
	     .statement = "INSERT INTO copy (id) SELECT (SELECT max(s.id) FROM small s) FROM big WHERE {range}",
	     .part = "[]"},
		{.name = "big", .statement = "DELETE FROM big USING small WHERE {range big} AND small.id = big.id", .del = true},
		{.name = "big", .column = "v", .expr = "1", .where = "k = 'abc'", .no_index = true, .part = "beyond its range"},
	};
	check_all(cases, sizeof cases / sizeof *cases);
}

static void refuses_tables(void **state) {
	(void)state;
	static const struct sample cases[] = {
		{.name = "missing", .column = "v", .expr = "1", .code = ERROR_DATA, .part = "does not exist"},
		{.name = "Big", .column = "v", .expr = "1", .code = ERROR_DATA, .part = "there is public.big"},
		{.name = "a_view", .column = "v", .expr = "1", .code = ERROR_DATA, .part = "is a view"},
		{.name = "a_mat", .column = "v", .expr = "1", .code = ERROR_DATA, .part = "a materialized view"},
		{.name = "a_seq", .column = "v", .expr = "1", .code = ERROR_DATA, .part = "a sequence"},
		{.name = "a_foreign", .column = "v", .expr = "1", .code = ERROR_DATA, .part = "a foreign table"},
		{.name = "childless", .column = "v", .expr = "1", .code = ERROR_DATA, .part = "has no partitions"},
		{.name = "parts", .statement = "UPDATE parts SET v = 1 WHERE {range}", .code = ERROR_DATA, .part = "partitioned"},
		{.name = "family", .statement = "UPDATE family SET v = 1 WHERE {range}", .code = ERROR_DATA, .part = "write ONLY"},
		{.name = "ruled", .column = "v", .expr = "1", .code = ERROR_DATA, .part = "rewrite rules"},
		{.name = "secured", .column = "v", .expr = "1", .as_worker = true, .code = ERROR_DATA, .part = "row-level security"},
		{.name = "published", .column = "v", .expr = "1", .key = "id", .code = ERROR_DATA, .part = "replica identity"},
		{.name = "nokey", .column = "v", .expr = "1", .code = ERROR_DATA, .part = "has no primary key"},
		{.name = "nokey", .column = "v", .expr = "1", .code = ERROR_DATA, .part = "use key = ( \"u\" )"},
		{.name = "floats", .column = "v", .expr = "1", .code = ERROR_DATA, .part = "floating-point"},
		{.name = "wide", .column = "v", .expr = "1", .code = ERROR_DATA, .part = "more than 8 columns"},
		{.name = "keys", .column = "v", .expr = "1", .key = "nullable", .code = ERROR_DATA, .part = "may be NULL"},
		{.name = "keys", .column = "v", .expr = "1", .key = "part", .code = ERROR_DATA, .part = "is partial"},
		{.name = "keys", .column = "v", .expr = "1", .key = "pattern", .code = ERROR_DATA, .part = "operator class"},
		{.name = "keys", .column = "v", .expr = "1", .key = "coll", .code = ERROR_DATA, .part = "another collation"},
		{.name = "keys", .column = "v", .expr = "1", .key = "nf", .code = ERROR_DATA, .part = "NULLS FIRST"},
		{.name = "keys", .column = "v", .expr = "1", .key = "v", .code = ERROR_DATA, .part = "no unique index"},
		{.name = "keys", .column = "v", .expr = "1", .key = "god", .code = ERROR_DATA, .part = "did you mean good?"},
	};
	check_all(cases, sizeof cases / sizeof *cases);
}

static void refuses_work(void **state) {
	(void)state;
	static const struct sample cases[] = {
		{.name = "big", .column = "v", .expr = "1; drop table big", .code = ERROR_DATA, .part = "`;`"},
		{.name = "big", .column = "vv", .expr = "1", .code = ERROR_DATA, .part = "did you mean v?"},
		{.name = "big", .column = "id", .expr = "1", .code = ERROR_DATA, .part = "column of the key"},
		{.name = "big", .statement = "UPDATE big SET id = 1 WHERE {range}", .code = ERROR_DATA, .part = "column of the key"},
		{.name = "gen", .column = "g", .expr = "1", .code = ERROR_DATA, .part = "generated column"},
		{.name = "gen", .column = "i", .expr = "1", .code = ERROR_DATA, .part = "GENERATED ALWAYS"},
		{.name = "big", .column = "v", .expr = "nix + 1", .code = ERROR_DATA, .part = "set.v: column \"nix\""},
		{.name = "big", .column = "v", .expr = "1", .where = "nix", .code = ERROR_DATA, .part = "where: column \"nix\""},
		{.name = "big", .column = "v", .expr = "1", .where = "sum(id) > 1", .code = ERROR_DATA, .part = "where: aggregate"},
		{.name = "big", .column = "v", .expr = "max(id)", .code = ERROR_DATA, .part = "set.v: aggregate"},
		{.name = "big", .column = "v", .expr = "'x'::text", .code = ERROR_DATA, .part = "set.v: column \"v\" is of type"},
		{.name = "big", .statement = "UPDATE big SET v = nix WHERE {range}", .code = ERROR_DATA, .part = "statement: column"},
		{.name = "big", .column = "v", .expr = "1", .where = "k = 'abc'", .code = ERROR_DATA, .part = "beyond its range"},
		{.name = "big", .into = "copy", .column = "id", .expr = "max(id)", .code = ERROR_DATA, .part = "columns.id: column"},
		{.name = "big",
	     .statement = "INSERT INTO copy (id) SELECT max(id) FROM big WHERE {range}",
	     .code = ERROR_DATA,
	     .part = "share a batch"},
		{.name = "big",
	     .statement = "INSERT INTO copy (id) SELECT row_number() OVER () FROM big WHERE {range}",
	     .code = ERROR_DATA,
	     .part = "share a batch"},
		{.name = "trig", .column = "v", .expr = "1", .code = ERROR_DATA, .part = "allow_triggers"},
		{.name = "parent", .column = "id2", .expr = "id", .code = ERROR_DATA, .part = "allow_cascades"},
		{.name = "parent", .statement = "DELETE FROM parent WHERE {range}", .del = true, .code = ERROR_DATA, .part = "cascades"},
		{.name = "big", .into = "nix", .column = "id", .expr = "id", .code = ERROR_DATA, .part = "does not exist"},
		{.name = "big", .into = "big", .column = "id", .expr = "id", .code = ERROR_DATA, .part = "inserted into"},
		{.name = "big", .into = "a_view", .column = "id", .expr = "id", .code = ERROR_DATA, .part = "is a view"},
		{.name = "big", .into = "a_foreign", .column = "id", .expr = "id", .code = ERROR_DATA, .part = "foreign table"},
		{.name = "big", .into = "trig", .column = "id", .expr = "id", .code = ERROR_DATA, .part = "trig_i"},
		{.name = "big", .into = "copy", .column = "nix", .expr = "id", .code = ERROR_DATA, .part = "has no column nix"},
		{.name = "big",
	     .into = "copy",
	     .column = "id",
	     .expr = "id",
	     .on_conflict = CONFLICT_SKIP,
	     .conflict_key = "w",
	     .code = ERROR_DATA,
	     .part = "conflict_key"},
		{.name = "big",
	     .into = "nokey",
	     .column = "v",
	     .expr = "id",
	     .on_conflict = CONFLICT_SKIP,
	     .code = ERROR_DATA,
	     .part = "no primary key"},
	};
	check_all(cases, sizeof cases / sizeof *cases);
}

static void refuses_privileges(void **state) {
	(void)state;
	static const struct sample cases[] = {
		{.name = "big", .column = "v", .expr = "1", .as_worker = true, .code = ERROR_DATA, .part = "GRANT SELECT ON"},
		{.name = "big",
	     .setup = "GRANT SELECT ON big TO worker",
	     .column = "v",
	     .expr = "1",
	     .as_worker = true,
	     .code = ERROR_DATA,
	     .part = "GRANT UPDATE ON \"public\".\"big\" TO \"worker\""},
		{.name = "big", .setup = "GRANT UPDATE (v) ON big TO worker", .column = "v", .expr = "1", .as_worker = true},
		{.name = "big",
	     .into = "copy",
	     .column = "id",
	     .expr = "1",
	     .as_worker = true,
	     .code = ERROR_DATA,
	     .part = "GRANT INSERT"},
		{.name = "parts",
	     .setup = "GRANT SELECT, UPDATE ON parts TO worker",
	     .column = "v",
	     .expr = "1",
	     .as_worker = true,
	     .code = ERROR_DATA,
	     .part = "public.parts1"},
		{.name = "big",
	     .statement = "DELETE FROM big WHERE {range}",
	     .del = true,
	     .as_worker = true,
	     .code = ERROR_DATA,
	     .part = "DELETE"},
		{.name = "big",
	     .setup = "REVOKE USAGE ON SCHEMA public FROM PUBLIC",
	     .column = "v",
	     .expr = "1",
	     .as_worker = true,
	     .code = ERROR_DATA,
	     .part = "GRANT USAGE ON SCHEMA"},
		{.name = "big",
	     .setup = "GRANT USAGE ON SCHEMA public TO PUBLIC; ALTER ROLE worker SET default_transaction_read_only = on",
	     .column = "v",
	     .expr = "1",
	     .as_worker = true,
	     .code = ERROR_TRY_AGAIN,
	     .part = "takes no writes"},
	};
	check_all(cases, sizeof cases / sizeof *cases);
}

static void shapes(void **state) {
	(void)state;
	struct outcome o = check(&(struct sample){.name = "citexts", .column = "v", .expr = "1"});
	assert_non_null(o.shape);
	assert_int_equal(o.shape->nkey, 2);
	assert_string_equal(o.shape->key[0].type, "ext.citext");
	assert_string_equal(o.shape->key[1].type, "character(10)");
	assert_int_equal(o.shape->nsearch_path, 3);
	assert_string_equal(o.shape->search_path[0], "pg_catalog");
	assert_string_equal(o.shape->search_path[1], "public");
	assert_string_equal(o.shape->search_path[2], "ext");
	outcome_free(&o);
	o = check(&(struct sample){.name = "parts", .column = "v", .expr = "1"});
	assert_true(o.shape->partitioned);
	assert_int_equal(o.shape->nleaves, 2);
	assert_string_equal(o.shape->leaves[1].name, "parts2");
	json_t *json = shape_to_json(o.shape);
	struct table_shape *again;
	assert_true(shape_from_json(json, &again, NULL));
	json_t *json_again = shape_to_json(again);
	assert_true(json_equal(json, json_again));
	json_decref(json);
	json_decref(json_again);
	shape_free(again);
	outcome_free(&o);
	o = check(&(struct sample){.name = "big", .into = "copy", .column = "id", .expr = "id", .on_conflict = CONFLICT_SKIP});
	assert_int_equal(o.shape->nconflict_key, 1);
	assert_string_equal(o.shape->conflict_key[0], "id");
	assert_in_range(o.shape->estimated_rows, 199000, 201000);
	assert_in_range(o.shape->leaves[0].row_bytes, 60, 120);
	outcome_free(&o);
}

static void unreachable_and_abandoned(void **state) {
	(void)state;
	struct assignment set = {(char *)"v", (char *)"1"};
	struct jobfile job = {.id = (char *)"x", .table = (char *)"big", .set = &set, .nset = 1, .settings = {.batch = {.rows = 10}}};
	struct outcome o = check_at(&job, "postgresql://postgres@/postgres?host=/nonexistent");
	assert_null(o.shape);
	assert_int_equal(o.err.code, ERROR_TRY_AGAIN);
	outcome_free(&o);
	/* Given up at every stage: no callback, no leak. */
	autofree char *superuser = url("postgres@", "postgres");
	for (int turns = 0; turns < 12; turns++) {
		struct outcome none = {0};
		struct preflight *p = preflight_start(EV_DEFAULT, &engine_postgres, superuser, &job, done, &none);
		for (int i = 0; i < turns && !none.called; i++)
			ev_run(EV_DEFAULT, EVRUN_ONCE);
		if (!none.called)
			preflight_abandon(p);
		outcome_free(&none);
	}
	preflight_abandon(NULL);
}

static const char setup[] =
	"CREATE SCHEMA ext; CREATE EXTENSION citext SCHEMA ext; CREATE EXTENSION file_fdw; CREATE ROLE worker LOGIN;"
	"CREATE SERVER files FOREIGN DATA WRAPPER file_fdw;"
	"CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END';"
	"CREATE TABLE big (id bigint PRIMARY KEY, k text, v bigint);"
	"INSERT INTO big SELECT g, md5(g::text), NULL FROM generate_series(1, 200000) AS g; CREATE INDEX ON big (k); ANALYZE big;"
	"CREATE TABLE empty (id int PRIMARY KEY, v int);"
	"CREATE TABLE small (id int PRIMARY KEY, v int); INSERT INTO small SELECT g FROM generate_series(1, 50) AS g; ANALYZE small;"
	"CREATE TABLE parts (id int, k int, v int, PRIMARY KEY (id, k)) PARTITION BY RANGE (id);"
	"CREATE TABLE parts1 PARTITION OF parts FOR VALUES FROM (0) TO (10000);"
	"CREATE TABLE parts2 PARTITION OF parts FOR VALUES FROM (10000) TO (50000);"
	"INSERT INTO parts SELECT g, g FROM generate_series(1, 40000) AS g; ANALYZE parts;"
	"CREATE TABLE citexts (id ext.citext, c character(10), v int, PRIMARY KEY (id, c));"
	"INSERT INTO citexts SELECT g, g FROM generate_series(1, 30000) AS g; ANALYZE citexts;"
	"CREATE UNLOGGED TABLE unlogged (id int PRIMARY KEY, v int);"
	"CREATE TABLE family (id int PRIMARY KEY, v int); CREATE TABLE child () INHERITS (family);"
	"CREATE TABLE keys (id int PRIMARY KEY, good int NOT NULL UNIQUE, nullable int UNIQUE, part int NOT NULL,"
	" pattern text NOT NULL, coll text NOT NULL, backwards int NOT NULL, nf int NOT NULL, v int);"
	"CREATE UNIQUE INDEX ON keys (part) WHERE v > 0; CREATE UNIQUE INDEX ON keys (pattern text_pattern_ops);"
	"CREATE UNIQUE INDEX ON keys (coll COLLATE \"POSIX\"); CREATE UNIQUE INDEX ON keys (backwards DESC);"
	"CREATE UNIQUE INDEX ON keys (nf NULLS FIRST);"
	"CREATE TABLE nokey (v int, u int NOT NULL UNIQUE); CREATE TABLE floats (id float8 PRIMARY KEY, v int);"
	"CREATE TABLE wide (a int, b int, c int, d int, e int, f int, g int, h int, i int, v int,"
	" PRIMARY KEY (a, b, c, d, e, f, g, h, i));"
	"CREATE TABLE trig (id int PRIMARY KEY, v int, w int);"
	"CREATE TRIGGER trig_v BEFORE UPDATE OF v ON trig FOR EACH ROW EXECUTE FUNCTION nothing();"
	"CREATE TRIGGER trig_i BEFORE INSERT ON trig FOR EACH ROW EXECUTE FUNCTION nothing();"
	"CREATE TABLE parent (id int PRIMARY KEY, id2 int UNIQUE, v int);"
	"CREATE TABLE kid (id int PRIMARY KEY, p int REFERENCES parent (id2) ON UPDATE CASCADE ON DELETE SET NULL);"
	"CREATE TABLE copy (id bigint PRIMARY KEY, u bigint UNIQUE, w int);"
	"CREATE TABLE gen (id int PRIMARY KEY, g int GENERATED ALWAYS AS (id + 1) STORED, i int GENERATED ALWAYS AS IDENTITY);"
	"CREATE VIEW a_view AS SELECT * FROM big; CREATE MATERIALIZED VIEW a_mat AS SELECT 1 AS v; CREATE SEQUENCE a_seq;"
	"CREATE FOREIGN TABLE a_foreign (id bigint, v int) SERVER files OPTIONS (filename '/dev/null');"
	"CREATE TABLE childless (id int PRIMARY KEY, v int) PARTITION BY RANGE (id);"
	"CREATE TABLE ruled (id int PRIMARY KEY, v int); CREATE RULE r AS ON UPDATE TO ruled DO INSTEAD NOTHING;"
	"CREATE TABLE secured (id int PRIMARY KEY, v int); ALTER TABLE secured ENABLE ROW LEVEL SECURITY;"
	"GRANT SELECT, UPDATE ON secured TO worker;"
	"CREATE TABLE published (id int NOT NULL UNIQUE, v int); CREATE PUBLICATION p FOR TABLE published;";

static int start(void **state) {
	start_server(state);
	free(ask(setup));
	return 0;
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(passes),       cmocka_unit_test(refuses_tables),
		cmocka_unit_test(refuses_work), cmocka_unit_test(refuses_privileges),
		cmocka_unit_test(shapes),       cmocka_unit_test(unreachable_and_abandoned),
	};
	return cmocka_run_group_tests(tests, start, stop_server);
}
