/* test_preflight_rules_mysql.c: the rules over a table as MariaDB's catalogue described it, one fact changed at a time. */
#include "daemon/job/preflight_rules.h"

#include "common/mem.h"
#include "tests/unit/change_fact.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* CREATE TABLE fx (id bigint unsigned AUTO_INCREMENT, tenant int NOT NULL, note varchar(30), n int, g int AS (n + 1) STORED,
 * f double NOT NULL, c char(10) COLLATE utf8mb4_bin NOT NULL, at timestamp … ON UPDATE CURRENT_TIMESTAMP, PRIMARY KEY (tenant,
 * id)), unique keys on f, n, c and the beginning of note; a trigger AFTER DELETE, a foreign key to n with ON UPDATE CASCADE; and
 * another table whose engine is MyISAM. */
static const char table_json[] =
	"{\"schema\":\"db\",\"name\":\"fx\",\"type\":\"BASE TABLE\",\"engine\":\"InnoDB\",\"row_format\":\"Dynamic\","
	"\"kind\":\"r\",\"columns\":[{\"name\":\"id\",\"type\":\"bigint(20) unsigned\",\"data_type\":\"bigint\","
	"\"collation\":null,\"not_null\":true,\"generated\":false,\"auto_increment\":true,\"on_update\":false,"
	"\"may_select\":true,\"may_update\":true,\"may_insert\":true},{\"name\":\"tenant\",\"type\":\"int(11)\","
	"\"data_type\":\"int\",\"collation\":null,\"not_null\":true,\"generated\":false,\"auto_increment\":false,"
	"\"on_update\":false,\"may_select\":true,\"may_update\":true,\"may_insert\":true},{\"name\":\"note\","
	"\"type\":\"varchar(30)\",\"data_type\":\"varchar\",\"collation\":\"latin1_swedish_ci\",\"not_null\":false,"
	"\"generated\":false,\"auto_increment\":false,\"on_update\":false,\"may_select\":true,\"may_update\":true,"
	"\"may_insert\":true},{\"name\":\"n\",\"type\":\"int(11)\",\"data_type\":\"int\",\"collation\":null,"
	"\"not_null\":false,\"generated\":false,\"auto_increment\":false,\"on_update\":false,\"may_select\":true,"
	"\"may_update\":true,\"may_insert\":true},{\"name\":\"g\",\"type\":\"int(11)\",\"data_type\":\"int\","
	"\"collation\":null,\"not_null\":false,\"generated\":true,\"auto_increment\":false,\"on_update\":false,"
	"\"may_select\":true,\"may_update\":true,\"may_insert\":true},{\"name\":\"f\",\"type\":\"double\","
	"\"data_type\":\"double\",\"collation\":null,\"not_null\":true,\"generated\":false,\"auto_increment\":false,"
	"\"on_update\":false,\"may_select\":true,\"may_update\":true,\"may_insert\":true},{\"name\":\"c\","
	"\"type\":\"char(10)\",\"data_type\":\"char\",\"collation\":\"utf8mb4_bin\",\"not_null\":true,"
	"\"generated\":false,\"auto_increment\":false,\"on_update\":false,\"may_select\":true,\"may_update\":true,"
	"\"may_insert\":true},{\"name\":\"at\",\"type\":\"timestamp\",\"data_type\":\"timestamp\",\"collation\":null,"
	"\"not_null\":true,\"generated\":false,\"auto_increment\":false,\"on_update\":true,\"may_select\":true,"
	"\"may_update\":true,\"may_insert\":true}],\"indexes\":[{\"name\":\"PRIMARY\",\"primary\":true,\"btree\":1,"
	"\"hidden\":0,\"expressions\":0,\"columns\":[{\"name\":\"tenant\",\"prefix\":null,\"descending\":false},"
	"{\"name\":\"id\",\"prefix\":null,\"descending\":false}]},{\"name\":\"fx_c\",\"primary\":false,\"btree\":1,"
	"\"hidden\":0,\"expressions\":0,\"columns\":[{\"name\":\"c\",\"prefix\":null,\"descending\":false}]},"
	"{\"name\":\"fx_f\",\"primary\":false,\"btree\":1,\"hidden\":0,\"expressions\":0,\"columns\":[{\"name\":\"f\","
	"\"prefix\":null,\"descending\":false}]},{\"name\":\"fx_n\",\"primary\":false,\"btree\":1,\"hidden\":0,"
	"\"expressions\":0,\"columns\":[{\"name\":\"n\",\"prefix\":null,\"descending\":false}]},{\"name\":\"fx_note\","
	"\"primary\":false,\"btree\":1,\"hidden\":0,\"expressions\":0,\"columns\":[{\"name\":\"note\",\"prefix\":5,"
	"\"descending\":false}]}],\"triggers\":[{\"name\":\"fx_t\",\"insert\":false,\"update\":false,\"delete\":true,"
	"\"timing\":\"AFTER\",\"definer\":\"root@localhost\",\"statement\":\"insert into fxlog values (old.n)\"}],"
	"\"sees_triggers\":true,\"not_transactional\":[{\"name\":\"fxlog\",\"engine\":\"MyISAM\"}],"
	"\"cascades\":[{\"name\":\"fxk_ibfk_1\",\"table\":\"db.fxk\",\"update\":true,\"delete\":false,"
	"\"columns\":[\"n\"]}],\"leaves\":[{\"schema\":\"db\",\"name\":\"fx\",\"partition\":null,\"method\":null,"
	"\"oid\":2122983206,\"estimated_rows\":0,\"bytes\":16384,\"row_bytes\":100}]}";
static const char server_json[] =
	"{\"mariadb\":true,\"version\":\"10.11.19-MariaDB-0+deb12u1-log\",\"version_number\":101100,\"read_only\":false,"
	"\"session_read_only\":false,\"log_bin\":true,\"binlog_format\":\"ROW\",\"wsrep\":false,\"role\":\"'w'@'%'\","
	"\"database\":\"db\",\"schema\":\"db\",\"similar\":\"preflight.fx\",\"control_tables_elsewhere\":null}";

struct sample {
	const char *path[3], *value[3]; /* changes; paths begin with table/, server/ or into/ */
	const char *column;             /* what is set, or mapped */
	const char *key;
	const char *conflict_key;
	enum on_conflict on_conflict;
	bool inserts; /* into `into`, which is described as the table is */
	bool triggers, cascades, durable, keeps;
	const char *part; /* of message, hint or warnings; NULL: passes without a warning */
	bool passes;
};

static bool judge(const struct sample *c, json_t *warnings, struct table_shape **shape, struct error *err) {
	struct assignment assignment = {(char *)(c->column != NULL ? c->column : "note"), (char *)"1"};
	char *key = (char *)c->key, *conflict_key = (char *)c->conflict_key;
	struct jobfile job = {.table = (char *)"fx",
	                      .kind = c->inserts ? JOB_INSERT : JOB_UPDATE,
	                      .set = &assignment,
	                      .nset = !c->inserts,
	                      .into_table = (char *)"into",
	                      .columns = &assignment,
	                      .ncolumns = c->inserts,
	                      .on_conflict = c->on_conflict,
	                      .key = &key,
	                      .nkey = c->key != NULL,
	                      .conflict_key = &conflict_key,
	                      .nconflict_key = c->conflict_key != NULL,
	                      .keep_old_values = c->keeps,
	                      .allow_triggers = c->triggers,
	                      .allow_cascades = c->cascades,
	                      .durability = c->durable ? DURABILITY_BATCH : DURABILITY_JOB};
	json_t *all = json_object();
	json_object_set_new(all, "table", json_loads(table_json, 0, NULL));
	json_object_set_new(all, "into", json_loads(table_json, 0, NULL));
	json_object_set_new(all, "server", json_loads(server_json, 0, NULL));
	change(all, "into/name", "\"into\"");
	for (size_t i = 0; i < 3 && c->path[i] != NULL; i++)
		change(all, c->path[i], c->value[i]);
	struct preflight_write write;
	assert_true(preflight_write_of(&sqlcheck_mysql, &job, &write, err));
	const struct preflight_facts facts = {.rules = &rules_mysql,
	                                      .server = json_object_get(all, "server"),
	                                      .table = json_object_get(all, "table"),
	                                      .written = c->inserts ? json_object_get(all, "into") : NULL};
	bool ok = preflight_rules_server(&job, facts.rules, facts.server, warnings, err) &&
	          preflight_rules(&job, &write, &facts, warnings, shape, err);
	preflight_write_free(&write);
	json_decref(all);
	return ok;
}

#define NOT_ALONE "ON UPDATE" /* what every update of the table is warned of */

static void check_all(const struct sample *cases, size_t count) {
	for (size_t i = 0; i < count; i++) {
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

static void servers(void **state) {
	(void)state;
	static const struct sample cases[] = {
		{.path = {"server/version_number"}, .value = {"100500"}, .part = "too old: MariaDB"},
		{.path = {"server/version_number", "server/mariadb"}, .value = {"50700", "false"}, .part = "too old: MySQL"},
		{.path = {"server/version_number", "server/mariadb"}, .value = {"80000", "false"}, .passes = true, .part = NOT_ALONE},
		{.path = {"server/read_only"}, .value = {"1"}, .part = "takes no writes"},
		{.path = {"server/session_read_only"}, .value = {"true"}, .part = "transaction_read_only"},
		{.path = {"server/binlog_format"}, .value = {"\"STATEMENT\""}, .part = "SET GLOBAL binlog_format"},
		{.path = {"server/binlog_format", "server/log_bin"},
	     .value = {"\"STATEMENT\"", "false"},
	     .passes = true,
	     .part = NOT_ALONE},
		{.path = {"server/binlog_format"}, .value = {"\"MIXED\""}, .passes = true, .part = NOT_ALONE},
		{.path = {"server/control_tables_elsewhere"}, .value = {"\"job (MyISAM)\""}, .part = "job (MyISAM)"},
		{.path = {"server/wsrep"}, .value = {"true"}, .passes = true, .part = "Galera"},
		{.durable = true, .passes = true, .part = "sync_binlog"},
		{.path = {"server/schema", "server/similar"}, .value = {"null", "\"db.FX\""}, .part = "there is db.FX"},
		{.path = {"server/schema", "server/similar"}, .value = {"null", "null"}, .part = "name the database too"},
	};
	check_all(cases, sizeof cases / sizeof *cases);
}

static void tables(void **state) {
	(void)state;
	static const struct sample cases[] = {
		{.passes = true, .part = NOT_ALONE},
		{.column = "at", .passes = true},
		{.path = {"table/engine"}, .value = {"\"MyISAM\""}, .part = "ENGINE = InnoDB"},
		{.path = {"table/engine"}, .value = {"null"}, .part = "not known"},
		{.path = {"table/type", "table/engine"}, .value = {"\"VIEW\"", "null"}, .part = "is a view"},
		{.path = {"table/type"}, .value = {"\"TEMPORARY\""}, .part = "temporary"},
		{.path = {"table/type"}, .value = {"\"SEQUENCE\""}, .part = "a sequence"},
		{.path = {"table/type"}, .value = {"\"SYSTEM VERSIONED\""}, .part = "former rows"},
		{.path = {"table/schema"}, .value = {"\"mysql\""}, .part = "belongs to the server"},
		{.path = {"table/leaves"}, .value = {"[]"}, .part = "no partitions"},
		{.column = "g", .part = "generated"},
		{.column = "tenant", .part = "column of the key"},
		{.column = "nott", .part = "did you mean note?"},
		{.column = "NOTE", .part = "has no column NOTE"},
		{.path = {"table/columns/2/may_update"}, .value = {"false"}, .part = "GRANT UPDATE ON `db`.`fx` TO 'w'@'%'"},
		{.path = {"table/columns/1/may_select"}, .value = {"false"}, .part = "GRANT SELECT ON"},
		{.path = {"into/columns/2/may_insert"}, .value = {"false"}, .inserts = true, .part = "GRANT INSERT ON `db`.`into`"},
		{.path = {"into/engine"}, .value = {"\"MEMORY\""}, .inserts = true, .part = "db.into is MEMORY"},
	};
	check_all(cases, sizeof cases / sizeof *cases);
}

/* "enum('','',…)" */
static const char *enum_of(size_t members) {
	static char type[4000];
	size_t length = (size_t)snprintf(type, sizeof type, "\"enum('");
	for (size_t i = 1; i < members; i++)
		length += (size_t)snprintf(type + length, sizeof type - length, "','");
	snprintf(type + length, sizeof type - length, "')\"");
	return type;
}

static void enums(void **state) {
	(void)state;
	for (size_t members = 1000; members <= 1001; members++) {
		const struct sample cases[] = {{.path = {"table/columns/6/data_type", "table/columns/6/type"},
		                                .value = {"\"enum\"", enum_of(members)},
		                                .key = "c",
		                                .passes = members == 1000,
		                                .part = members == 1000 ? NOT_ALONE : "more than 1000 members"}};
		check_all(cases, 1);
	}
}

static void keys(void **state) {
	(void)state;
	static const struct sample cases[] = {
		{.key = "c", .passes = true, .part = NOT_ALONE},
		{.key = "n", .part = "may be NULL"},
		{.key = "f", .part = "floating-point"},
		{.key = "f", .part = "key = ( \"tenant\", \"id\" )"},
		{.key = "note", .part = "may be NULL"},
		{.path = {"table/columns/2/not_null"}, .value = {"true"}, .key = "note", .part = "the beginning only"},
		{.key = "tenant", .part = "no unique index"},
		{.path = {"table/columns/6/data_type"}, .value = {"\"json\""}, .key = "c", .part = "JSON"},
		{.path = {"table/columns/6/data_type"}, .value = {"\"set\""}, .key = "c", .part = "SET column"},
		{.path = {"table/columns/6/data_type"}, .value = {"\"longtext\""}, .key = "c", .part = "TEXT or BLOB"},
		{.path = {"table/columns/6/data_type"}, .value = {"\"geometry\""}, .key = "c", .part = "type that no key can have"},
		{.path = {"table/columns/6/data_type"}, .value = {"\"uuid\""}, .key = "c", .part = "type that no key can have"},
		{.path = {"table/columns/6/data_type"}, .value = {"\"bit\""}, .key = "c", .passes = true, .part = NOT_ALONE},
		{.path = {"table/columns/6/data_type"}, .value = {"\"enum\""}, .key = "c", .passes = true, .part = NOT_ALONE},
		{.path = {"table/indexes/0/btree"}, .value = {"0"}, .part = "B-tree"},
		{.path = {"table/indexes/0/hidden"}, .value = {"1"}, .part = "invisible"},
		{.path = {"table/indexes/0/expressions"}, .value = {"1"}, .part = "on an expression"},
		{.path = {"table/indexes/0/columns/1/descending"}, .value = {"true"}, .part = "mixes ASC and DESC"},
		{.path = {"table/indexes/0/columns/0/descending", "table/indexes/0/columns/1/descending"},
	     .value = {"true", "true"},
	     .passes = true,
	     .part = NOT_ALONE},
		{.path = {"table/indexes/0/columns/1/name"}, .value = {"\"unseen\""}, .part = "does not get to see"},
		{.path = {"table/indexes"}, .value = {"[]"}, .part = "add a primary key"},
	};
	check_all(cases, sizeof cases / sizeof *cases);
}

static void side_effects(void **state) {
	(void)state;
	static const struct sample cases[] = {
		{.path = {"table/triggers/0/update"}, .value = {"true"}, .part = "fx_t"},
		{.path = {"table/triggers/0/update", "table/triggers/0/statement"},
	     .value = {"true", "\"SET new.n = 1\""},
	     .part = "allow_triggers"},
		{.path = {"table/triggers/0/update", "table/triggers/0/statement"},
	     .value = {"true", "\"SET new.n = 1\""},
	     .triggers = true,
	     .passes = true,
	     .part = "fire for the rows: fx_t"},
		{.path = {"table/triggers/0/update"}, .value = {"true"}, .triggers = true, .part = "names the table fxlog"},
		{.path = {"table/triggers/0/update", "table/triggers/0/statement"},
	     .value = {"true", "\"insert into `FXLOG` values (1)\""},
	     .triggers = true,
	     .part = "names the table fxlog"},
		{.path = {"table/triggers/0/update", "table/triggers/0/statement"},
	     .value = {"true", "\"insert into fxlogs values (1)\""},
	     .triggers = true,
	     .passes = true,
	     .part = "fx_t"},
		{.path = {"table/triggers/0/update", "table/triggers/0/statement"},
	     .value = {"true", "null"},
	     .triggers = true,
	     .passes = true,
	     .part = "what the trigger fx_t writes is not known"},
		{.path = {"table/sees_triggers"}, .value = {"false"}, .part = "GRANT TRIGGER ON `db`.`fx`"},
		{.path = {"table/sees_triggers"}, .value = {"false"}, .triggers = true, .passes = true, .part = "is not known"},
		{.path = {"into/triggers/0/insert"}, .value = {"true"}, .inserts = true, .part = "trigger fx_t of db.into"},
		{.column = "n", .part = "fxk_ibfk_1"},
		{.column = "n", .cascades = true, .passes = true, .part = "db.fxk"},
	};
	check_all(cases, sizeof cases / sizeof *cases);
}

/* The indexes of `into` are PRIMARY (tenant, id AUTO_INCREMENT), fx_c, fx_f, fx_n and fx_note. */
static void conflicts(void **state) {
	(void)state;
	static const char only_two[] =
		"[{\"name\": \"PRIMARY\", \"primary\": true, \"btree\": 1, \"columns\": [{\"name\": \"id\", \"prefix\": null}]},"
		" {\"name\": \"fx_n\", \"btree\": 1, \"columns\": [{\"name\": \"n\", \"prefix\": null}]}]";
	static const struct sample cases[] = {
		{.inserts = true, .passes = true},
		{.inserts = true, .keeps = true, .part = "`columns` doesn't map db.into.tenant"},
		{.inserts = true, .keeps = true, .column = "c", .conflict_key = "c", .passes = true},
		{.inserts = true, .on_conflict = CONFLICT_SKIP, .part = "another unique index, fx_c"},
		{.inserts = true, .on_conflict = CONFLICT_UPDATE, .conflict_key = "c", .part = "another unique index, fx_f"},
		{.inserts = true, .on_conflict = CONFLICT_SKIP, .conflict_key = "note", .part = "no unique index with exactly"},
		{.path = {"into/indexes"}, .value = {only_two}, .inserts = true, .on_conflict = CONFLICT_SKIP, .part = "index, fx_n"},
		/* The server makes up the primary key: nothing is met there. */
		{.path = {"into/indexes"},
	     .value = {only_two},
	     .inserts = true,
	     .column = "n",
	     .on_conflict = CONFLICT_UPDATE,
	     .conflict_key = "n",
	     .cascades = true,
	     .passes = true,
	     .part = "db.fxk"},
		{.path = {"into/indexes"},
	     .value = {only_two},
	     .inserts = true,
	     .column = "id",
	     .on_conflict = CONFLICT_SKIP,
	     .conflict_key = "n",
	     .part = "index, PRIMARY"},
	};
	check_all(cases, sizeof cases / sizeof *cases);
}

static void shape_of_partitions(void **state) {
	(void)state;
	static const char leaves[] =
		"[{\"schema\": \"db\", \"name\": \"fx\", \"partition\": \"p0\", \"oid\": 1, \"estimated_rows\": 5, \"row_bytes\": 9},"
		" {\"schema\": \"db\", \"name\": \"fx\", \"partition\": \"p1\", \"oid\": 2, \"estimated_rows\": 7, \"row_bytes\": 8}]";
	struct error err = {0};
	struct table_shape *shape = NULL, *again = NULL;
	json_t *warnings = json_array();
	const struct sample c = {.path = {"table/kind", "table/leaves"}, .value = {"\"p\"", leaves}};
	assert_true(judge(&c, warnings, &shape, &err));
	json_decref(warnings);
	json_t *json = shape_to_json(shape);
	assert_true(shape_from_json(json, &again, &err));
	json_decref(json);
	shape_free(shape);
	assert_true(again->partitioned);
	assert_null(again->key_index);
	assert_int_equal(again->nwritten, 1);
	assert_string_equal(again->written[0].name, "note");
	assert_string_equal(again->written[0].type, "varchar(30)");
	assert_string_equal(again->written[0].collation, "latin1_swedish_ci");
	assert_int_equal(again->nkey, 2);
	assert_string_equal(again->key[0].name, "tenant");
	assert_string_equal(again->key[1].type, "bigint(20) unsigned");
	assert_int_equal(again->nleaves, 2);
	assert_string_equal(again->leaves[1].partition, "p1");
	assert_int_equal(again->estimated_rows, 12);
	assert_int_equal(again->nsearch_path, 0);
	shape_free(again);
}

static void shape_of_an_insert(void **state) {
	(void)state;
	struct error err = {0};
	struct table_shape *shape = NULL;
	json_t *warnings = json_array();
	const struct sample c = {.inserts = true, .key = "c", .conflict_key = "n"};
	assert_true(judge(&c, warnings, &shape, &err));
	json_decref(warnings);
	assert_string_equal(shape->key_index, "fx_c");
	assert_int_equal(shape->nwritten, 2);
	assert_string_equal(shape->written[0].name, "note");
	assert_string_equal(shape->written[1].name, "n");
	shape_free(shape);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(servers),
		cmocka_unit_test(tables),
		cmocka_unit_test(keys),
		cmocka_unit_test(enums),
		cmocka_unit_test(side_effects),
		cmocka_unit_test(conflicts),
		cmocka_unit_test(shape_of_partitions),
		cmocka_unit_test(shape_of_an_insert),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
