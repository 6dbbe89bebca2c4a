/* test_preflight_rules.c: the rules over a table as the catalogue described it, one fact changed at a time. */
#include "daemon/job/preflight_rules.h"

#include "common/mem.h"
#include "daemon/engine/facts.h"
#include "tests/unit/change_fact.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* CREATE TABLE fx (id bigint, tenant int, note text, n int, g int GENERATED …, f float8 NOT NULL UNIQUE, PRIMARY KEY
 * (tenant, id)), a unique index on n, a trigger BEFORE UPDATE OF n, a foreign key to n with ON UPDATE CASCADE. */
static const char table_json[] =
	"{\"oid\":16571,\"kind\":\"r\",\"name\":\"fx\",\"rules\":[],\"leaves\":[{\"oid\":16571,\"kind\":\"r\","
	"\"name\":\"fx\",\"rules\":[],\"schema\":\"public\",\"columns\":[{\"name\":\"id\",\"type\":\"bigint\","
	"\"float\":false,\"collated\":false,\"not_null\":true,\"generated\":false,\"may_insert\":true,"
	"\"may_select\":true,\"may_update\":true,\"identity_always\":false},{\"name\":\"tenant\",\"type\":\"integer\","
	"\"float\":false,\"collated\":false,\"not_null\":true,\"generated\":false,\"may_insert\":true,"
	"\"may_select\":true,\"may_update\":true,\"identity_always\":false},{\"name\":\"note\",\"type\":\"text\","
	"\"float\":false,\"collated\":true,\"not_null\":false,\"generated\":false,\"may_insert\":true,"
	"\"may_select\":true,\"may_update\":true,\"identity_always\":false},{\"name\":\"n\",\"type\":\"integer\","
	"\"float\":false,\"collated\":false,\"not_null\":false,\"generated\":false,\"may_insert\":true,"
	"\"may_select\":true,\"may_update\":true,\"identity_always\":false},{\"name\":\"g\",\"type\":\"integer\","
	"\"float\":false,\"collated\":false,\"not_null\":false,\"generated\":true,\"may_insert\":true,"
	"\"may_select\":true,\"may_update\":true,\"identity_always\":false},{\"name\":\"f\","
	"\"type\":\"double precision\",\"float\":true,\"collated\":false,\"not_null\":true,\"generated\":false,"
	"\"may_insert\":true,\"may_select\":true,\"may_update\":true,\"identity_always\":false}],"
	"\"cascades\":[{\"name\":\"fxk_n_fkey\",\"table\":\"public.fxk\",\"delete\":false,\"update\":true,"
	"\"columns\":[\"n\"]}],\"triggers\":[{\"name\":\"fx_t\",\"delete\":false,\"insert\":false,\"update\":true,"
	"\"columns\":[\"n\"]}],\"row_bytes\":100,\"may_delete\":true,\"persistence\":\"p\",\"row_security\":false,"
	"\"estimated_rows\":0,\"may_use_schema\":true,\"publishes_delete\":false,\"publishes_update\":false,"
	"\"replica_identity\":true}],\"schema\":\"public\",\"columns\":[{\"name\":\"id\",\"type\":\"bigint\","
	"\"float\":false,\"collated\":false,\"not_null\":true,\"generated\":false,\"may_insert\":true,"
	"\"may_select\":true,\"may_update\":true,\"identity_always\":false},{\"name\":\"tenant\",\"type\":\"integer\","
	"\"float\":false,\"collated\":false,\"not_null\":true,\"generated\":false,\"may_insert\":true,"
	"\"may_select\":true,\"may_update\":true,\"identity_always\":false},{\"name\":\"note\",\"type\":\"text\","
	"\"float\":false,\"collated\":true,\"not_null\":false,\"generated\":false,\"may_insert\":true,"
	"\"may_select\":true,\"may_update\":true,\"identity_always\":false},{\"name\":\"n\",\"type\":\"integer\","
	"\"float\":false,\"collated\":false,\"not_null\":false,\"generated\":false,\"may_insert\":true,"
	"\"may_select\":true,\"may_update\":true,\"identity_always\":false},{\"name\":\"g\",\"type\":\"integer\","
	"\"float\":false,\"collated\":false,\"not_null\":false,\"generated\":true,\"may_insert\":true,"
	"\"may_select\":true,\"may_update\":true,\"identity_always\":false},{\"name\":\"f\","
	"\"type\":\"double precision\",\"float\":true,\"collated\":false,\"not_null\":true,\"generated\":false,"
	"\"may_insert\":true,\"may_select\":true,\"may_update\":true,\"identity_always\":false}],"
	"\"indexes\":[{\"name\":\"fx_pkey\",\"btree\":true,\"valid\":true,\"columns\":[{\"name\":\"tenant\",\"order\":0,"
	"\"same_collation\":true,\"default_opclass\":true,\"operator_schemas\":[\"pg_catalog\"]},{\"name\":\"id\","
	"\"order\":0,\"same_collation\":true,\"default_opclass\":true,\"operator_schemas\":[\"pg_catalog\"]}],"
	"\"partial\":false,\"primary\":true,\"immediate\":true,\"expressions\":false},{\"name\":\"fx_f_key\","
	"\"btree\":true,\"valid\":true,\"columns\":[{\"name\":\"f\",\"order\":0,\"same_collation\":true,"
	"\"default_opclass\":true,\"operator_schemas\":[\"pg_catalog\"]}],\"partial\":false,\"primary\":false,"
	"\"immediate\":true,\"expressions\":false},{\"name\":\"fx_n\",\"btree\":true,\"valid\":true,"
	"\"columns\":[{\"name\":\"n\",\"order\":0,\"same_collation\":true,\"default_opclass\":true,"
	"\"operator_schemas\":[\"pg_catalog\"]}],\"partial\":false,\"primary\":false,\"immediate\":true,"
	"\"expressions\":false}],\"cascades\":[{\"name\":\"fxk_n_fkey\",\"table\":\"public.fxk\",\"delete\":false,"
	"\"update\":true,\"columns\":[\"n\"]}],\"children\":[],\"triggers\":[{\"name\":\"fx_t\",\"delete\":false,"
	"\"insert\":false,\"update\":true,\"columns\":[\"n\"]}],\"row_bytes\":100,\"may_delete\":true,"
	"\"persistence\":\"p\",\"row_security\":false,\"estimated_rows\":0,\"may_use_schema\":true,"
	"\"publishes_delete\":false,\"publishes_update\":false,\"replica_identity\":true}";
static const char server_json[] = "{\"role\": \"worker\", \"schema\": \"public\", \"database\": \"db\", \"similar\": null,"
								  "\"encoding\": \"UTF8\", \"read_only\": false, \"in_recovery\": false}";

struct sample {
	const char *path[3], *value[3]; /* changes; paths that begin with "server/" are the server's */
	const char *column;
	const char *key;
	bool triggers, cascades;
	const char *part; /* of message, hint or warnings; NULL: passes without a warning */
	bool passes;
};

static bool judge(const struct sample *c, json_t *warnings, struct table_shape **shape, struct error *err) {
	struct assignment set = {(char *)(c->column != NULL ? c->column : "note"), (char *)"1"};
	char *key = (char *)c->key;
	struct jobfile job = {.table = (char *)"fx",
	                      .set = &set,
	                      .nset = 1,
	                      .key = &key,
	                      .nkey = c->key != NULL,
	                      .allow_triggers = c->triggers,
	                      .allow_cascades = c->cascades};
	json_t *both = json_object();
	json_object_set_new(both, "table", json_loads(table_json, 0, NULL));
	json_object_set_new(both, "server", json_loads(server_json, 0, NULL));
	for (size_t i = 0; i < 3 && c->path[i] != NULL; i++)
		change(both, c->path[i], c->value[i]);
	struct preflight_write write;
	assert_true(preflight_write_of(&sqlcheck_postgres, &job, &write, err));
	const struct preflight_facts facts = {
		.rules = &rules_postgres, .server = json_object_get(both, "server"), .table = json_object_get(both, "table")};
	bool ok = preflight_rules_server(&job, facts.rules, facts.server, warnings, err) &&
	          preflight_rules(&job, &write, &facts, warnings, shape, err);
	preflight_write_free(&write);
	json_decref(both);
	return ok;
}

static void rules(void **state) {
	(void)state;
	static const struct sample cases[] = {
		{.passes = true},
		{.column = "n", .part = "fx_t"},
		{.column = "n", .triggers = true, .part = "fxk_n_fkey"},
		{.column = "n", .triggers = true, .cascades = true, .passes = true, .part = "public.fxk"},
		{.column = "g", .part = "generated"},
		{.column = "tenant", .part = "column of the key"},
		{.column = "nott", .part = "did you mean note?"},
		{.key = "n", .part = "may be NULL"},
		{.key = "f", .part = "floating-point"},
		{.key = "note", .part = "no unique index"},
		{.key = "tenant", .part = "no unique index"},
		{.path = {"table/columns/3/not_null"}, .value = {"true"}, .key = "n", .passes = true},
		{.path = {"table/indexes/0/valid"}, .value = {"false"}, .part = "is invalid"},
		{.path = {"table/indexes/0/btree"}, .value = {"false"}, .part = "B-tree"},
		{.path = {"table/indexes/0/partial"}, .value = {"true"}, .part = "is partial"},
		{.path = {"table/indexes/0/expressions"}, .value = {"true"}, .part = "on an expression"},
		{.path = {"table/indexes/0/columns/1/order"}, .value = {"3"}, .part = "mixes ASC and DESC"},
		{.path = {"table/indexes/0/columns/0/order", "table/indexes/0/columns/1/order"}, .value = {"3", "3"}, .passes = true},
		{.path = {"table/indexes/0/columns/0/default_opclass"}, .value = {"false"}, .part = "operator class"},
		{.path = {"table/indexes/0/columns/0/same_collation"}, .value = {"false"}, .part = "collation"},
		{.path = {"table/indexes"}, .value = {"[]"}, .part = "add a primary key"},
		{.path = {"table/kind"}, .value = {"\"v\""}, .part = "is a view"},
		{.path = {"table/persistence"}, .value = {"\"t\""}, .part = "temporary"},
		{.path = {"table/persistence"}, .value = {"\"u\""}, .passes = true, .part = "unlogged"},
		{.path = {"table/schema"}, .value = {"\"pg_catalog\""}, .part = "belongs to the server"},
		{.path = {"table/row_security"}, .value = {"true"}, .part = "row-level security"},
		{.path = {"table/leaves/0/kind"}, .value = {"\"f\""}, .part = "is a foreign table"},
		{.path = {"table/leaves/0/columns/2/may_update"}, .value = {"false"}, .part = "GRANT UPDATE ON"},
		{.path = {"table/leaves/0/columns/1/may_select"}, .value = {"false"}, .part = "GRANT SELECT ON"},
		{.path = {"table/leaves/0/may_use_schema"}, .value = {"false"}, .part = "GRANT USAGE ON SCHEMA"},
		{.path = {"table/leaves"}, .value = {"[]"}, .part = "no partitions"},
		{.path = {"table/children"}, .value = {"[\"public.kid\"]"}, .passes = true, .part = "public.kid"},
		{.path = {"table/rules"}, .value = {"[\"r\"]"}, .part = "rewrite rules"},
		{.path = {"table/publishes_update", "table/replica_identity"}, .value = {"true", "false"}, .part = "replica identity"},
		{.path = {"server/in_recovery"}, .value = {"true"}, .part = "standby"},
		{.path = {"server/read_only"}, .value = {"true"}, .part = "default_transaction_read_only"},
		{.path = {"server/schema", "server/similar"}, .value = {"null", "\"a.FX\""}, .part = "there is a.FX"},
		{.path = {"server/encoding", "table/columns/1/collated"}, .value = {"\"SQL_ASCII\"", "true"}, .part = "SQL_ASCII"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct error err = {0};
		struct table_shape *shape = NULL;
		json_t *warnings = json_array();
		bool ok = judge(&cases[i], warnings, &shape, &err);
		autofree char *text = json_dumps(warnings, 0);
		const char *part = cases[i].part != NULL ? cases[i].part : "[]";
		if (ok != cases[i].passes || (shape != NULL) != ok ||
		    (strstr(err.message, part) == NULL && strstr(err.hint, part) == NULL && strstr(text, part) == NULL))
			fail_msg("case %zu (\"%s\"): %d \"%s\" hint \"%s\" warnings %s", i, part, ok, err.message, err.hint, text);
		shape_free(shape);
		json_decref(warnings);
	}
}

static void shape_of_composite_key(void **state) {
	(void)state;
	struct error err = {0};
	struct table_shape *shape = NULL;
	json_t *warnings = json_array();
	const struct sample c = {.path = {"table/indexes/0/columns/1/operator_schemas"}, .value = {"[\"ext\", \"pg_catalog\"]"}};
	assert_true(judge(&c, warnings, &shape, &err));
	assert_int_equal(shape->nkey, 2);
	assert_string_equal(shape->key[0].name, "tenant");
	assert_string_equal(shape->key[0].type, "integer");
	assert_string_equal(shape->key[1].type, "bigint");
	assert_int_equal(shape->nsearch_path, 3);
	assert_string_equal(shape->search_path[2], "ext");
	assert_int_equal(shape->nleaves, 1);
	shape_free(shape);
	json_decref(warnings);
}

static void warnings_once(void **state) {
	(void)state;
	json_t *warnings = json_array();
	fact_warn(warnings, "%d", 1);
	fact_warn(warnings, "%d", 1);
	fact_warn(warnings, "%d", 2);
	assert_int_equal(json_array_size(warnings), 2);
	json_decref(warnings);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rules),
		cmocka_unit_test(shape_of_composite_key),
		cmocka_unit_test(warnings_once),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
