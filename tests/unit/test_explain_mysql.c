/* test_explain_mysql.c: what is made of the plans of MariaDB and MySQL. The tables:
 * k1 (id bigint unsigned PRIMARY KEY, k varchar(32), v bigint, KEY (k)), k2 (…, PRIMARY KEY (a, b)), k3 (…, PRIMARY KEY (a, b,
 * c)), parts (id int PRIMARY KEY) with two partitions, uq (id int PRIMARY KEY, u int UNIQUE, k int, KEY (k)); other and tgt. */
#include "daemon/engine/explain.h"

#include "daemon/engine/dialect_mysql_plan.h"
#include "tests/unit/explain_mysql_plans.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct table_shape shapes[] = {
	{.name = (char *)"k1", .key = {{.name = (char *)"id"}}, .nkey = 1},
	{.name = (char *)"k2", .key = {{.name = (char *)"a"}, {.name = (char *)"b"}}, .nkey = 2},
	{.name = (char *)"k3", .key = {{.name = (char *)"a"}, {.name = (char *)"b"}, {.name = (char *)"c"}}, .nkey = 3},
	{.name = (char *)"parts", .key = {{.name = (char *)"id"}}, .nkey = 1},
	{.name = (char *)"uq", .key_index = (char *)"u", .key = {{.name = (char *)"u"}}, .nkey = 1},
};

static const struct table_shape *shape_of(const char *table) {
	for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
		if (strcmp(shapes[i].name, table) == 0)
			return &shapes[i];
	fail_msg("no table %s", table);
	return NULL;
}

static bool judge(const char *json, const char *table, struct explain_verdict *v, struct error *err) {
	const struct shape_leaf leaf = {.schema = (char *)"preflight", .name = (char *)table};
	return explain_mysql_judge(json, shape_of(table), &leaf, v, err);
}

static struct explain_verdict verdict_of(const char *name, const char *table, int server) {
	struct explain_verdict v = {0};
	struct error err = {0};
	for (size_t i = 0; i < sizeof plans / sizeof *plans; i++)
		if (strcmp(plans[i].name, name) == 0) {
			if (!judge(plans[i].json[server], table, &v, &err))
				fail_msg("%s, server %d: %s", name, server, err.message);
			return v;
		}
	fail_msg("no plan %s", name);
	return v;
}

static void by_key(void **state) {
	(void)state;
	static const char *const cases[][2] = {{"update1", "k1"},  {"boundary1", "k1"},    {"boundary2", "k2"}, {"update3", "k3"},
	                                       {"insert", "k1"},   {"partition", "parts"}, {"point", "k1"},     {"derived", "k2"},
	                                       {"subquery", "k1"}, {"semijoin", "k1"},     {"self", "k1"}};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		for (int server = 0; server < SERVERS; server++) {
			struct explain_verdict v = verdict_of(cases[i][0], cases[i][1], server);
			if (!v.reads || !v.by_key || v.sorts || v.proven_empty || v.depends[0] != '\0')
				fail_msg("%s, server %d: %s of %s", cases[i][0], server, v.scan, v.index);
		}
}

static void not_by_key(void **state) {
	(void)state;
	static const struct {
		const char *name, *table, *scan, *index[SERVERS];
	} cases[] = {
		{"full", "k1", "access type index", {"PRIMARY", "PRIMARY"}},
		{"self_full", "k1", "access type ALL", {"", ""}},
		{"other_index", "k1", NULL, {"k", "intersect(k,PRIMARY)"}},
		{"merged", "k1", NULL, {"k", "union(k,PRIMARY)"}},
		/* One column of two: all of tenant 1, for each batch of it. */
		{"half_key", "k2", "access type range", {"PRIMARY", "PRIMARY"}},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		for (int server = 0; server < SERVERS; server++) {
			struct explain_verdict v = verdict_of(cases[i].name, cases[i].table, server);
			if (!v.reads || v.by_key || strcmp(v.index, cases[i].index[server]) != 0 ||
			    v.whole_index != (cases[i].scan != NULL && strcmp(cases[i].scan, "access type index") == 0) ||
			    (cases[i].scan != NULL && strcmp(v.scan, cases[i].scan) != 0))
				fail_msg("%s, server %d: %d, %s of %s", cases[i].name, server, v.by_key, v.scan, v.index);
		}
}

/* MariaDB reads a range of another index first, to leave out rows that are not in it. */
static void filter_of_another_index(void **state) {
	(void)state;
	struct explain_verdict v = verdict_of("filtered", "uq", MARIADB);
	assert_true(v.reads && !v.by_key);
	assert_string_equal(v.index, "u");
}

static void proven_empty(void **state) {
	(void)state;
	static const char *const cases[] = {"impossible", "no_key", "no_row"};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		for (int server = 0; server < SERVERS; server++) {
			struct explain_verdict v = verdict_of(cases[i], "k1", server);
			assert_true(v.proven_empty && !v.reads && !v.by_key);
			assert_string_equal(v.depends, "");
		}
}

static void sorts(void **state) {
	(void)state;
	for (int server = 0; server < SERVERS; server++)
		assert_true(verdict_of("sorted", "k1", server).sorts);
}

/* Ours, around the rows of an insert that leaves or updates what is there. */
static void windows(void **state) {
	(void)state;
	for (int server = 0; server < SERVERS; server++) {
		struct explain_verdict v = verdict_of("window", "k1", server);
		assert_true(v.reads && v.by_key);
		assert_string_equal(v.depends, "");
	}
}

/* As MariaDB 10.11 writes it; of a descending index it names no parts. */
static struct explain_verdict verdict_of_condition(const char *condition, const char *parts) {
	static const char document[] = "{\n"
								   "  \"query_block\": {\n"
								   "    \"select_id\": 1,\n"
								   "    \"table\": {\n"
								   "      \"update\": 1,\n"
								   "      \"table_name\": \"k3\",\n"
								   "      \"access_type\": \"range\",\n"
								   "      \"attached_condition\": \"%s\",\n"
								   "      \"possible_keys\": [\"PRIMARY\", \"q%s\"],\n"
								   "      \"key\": \"PRIMARY\",\n"
								   "      \"key_length\": \"28\",\n"
								   "%s"
								   "      \"others\": [\n"
								   "        \"o\"ther\",\n"
								   "        \"'\\'\"\n"
								   "      ],\n"
								   "      \"rows\": 1,\n"
								   "      \"index_condition\": \"%s\"\n"
								   "    }\n"
								   "  }\n"
								   "}";
	struct explain_verdict v = {0};
	struct error err = {0};
	char json[2000];
	snprintf(json, sizeof json, document, condition, condition, parts, condition);
	if (!judge(json, "k3", &v, &err))
		fail_msg("%s: %s", condition, err.message);
	return v;
}

static void check_condition(const char *condition) {
	static const char parts[] = "      \"used_key_parts\": [\"a\", \"b\", \"c\"],\n";
	struct explain_verdict v = verdict_of_condition(condition, parts);
	if (!v.reads || !v.by_key)
		fail_msg("%s: %s of %s", condition, v.scan, v.index);
	assert_false(verdict_of_condition(condition, "      \"used_key_parts\": [\"a\"],\n").by_key);
	assert_false(verdict_of_condition(condition, "").by_key);
}

/* Each byte but that of the end of a line, in a literal, behind a backslash, and at the end; and none of it is taken for a
 * member. */
static void conditions_of_any_bytes(void **state) {
	(void)state;
	char condition[32];
	for (int byte = 1; byte < 256; byte++) {
		if (byte == '\n')
			continue;
		snprintf(condition, sizeof condition, "id > 'a%cb'", byte);
		check_condition(condition);
		snprintf(condition, sizeof condition, "id > '\\%c%c%c'", byte, byte, byte);
		check_condition(condition);
		snprintf(condition, sizeof condition, "id > \\%c", byte);
		check_condition(condition);
	}
	static const char *const texts[] = {"",
	                                    "\"",
	                                    "\\",
	                                    "\\\\",
	                                    "id > '\\0\\Z\\n\\''",
	                                    "\\u12",
	                                    "\\u00e4",
	                                    "x\": \"y",
	                                    "\", \"key\": \"k",
	                                    "\", \"rowid_filter\": { \"a\": \"b",
	                                    "\xc3\xa4\xf0\x9f\x98\x80\xff\xc3"};
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		check_condition(texts[i]);
}

/* MySQL's document is JSON: it stays as it is. */
static void names_that_are_escaped(void **state) {
	(void)state;
	struct table_shape shape = {
		.name = (char *)"t", .nkey = 2, .key = {{.name = (char *)"a\"\\"}, {.name = (char *)"\xc3\xa4\tb"}}};
	const struct shape_leaf leaf = {.name = (char *)"t"};
	static const char json[] =
		"{\n  \"query_block\": {\n    \"table\": {\n      \"table_name\": \"t\",\n      \"access_type\": \"range\",\n"
		"      \"key\": \"PRIMARY\",\n      \"used_key_parts\": [\n        \"a\\\"\\\\\",\n        \"\xc3\xa4\\tb\"\n"
		"      ]\n    }\n  }\n}";
	struct explain_verdict v = {0};
	struct error err = {0};
	if (!explain_mysql_judge(json, &shape, &leaf, &v, &err))
		fail_msg("%s", err.message);
	assert_true(v.by_key);
}

static void descending_key(void **state) {
	(void)state;
	static const char json[] =
		"{\n  \"query_block\": {\n    \"table\": {\n      \"table_name\": \"k1\",\n      \"access_type\": \"range\",\n"
		"      \"key\": \"PRIMARY\",\n      \"key_length\": \"8\"\n    }\n  }\n}";
	struct explain_verdict v = {0};
	struct error err = {0};
	assert_true(judge(json, "k1", &v, &err));
	assert_true(v.by_key);
}

static void other_tables(void **state) {
	(void)state;
	static const char *const cases[][2] = {{"subquery", "other"}, {"semijoin", "other"}, {"self", "x"}};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		for (int server = 0; server < SERVERS; server++) {
			struct explain_verdict v = verdict_of(cases[i][0], "k1", server);
			assert_string_equal(v.other, cases[i][1]);
			assert_true(v.other_rows > 9000);
		}
	/* The table that is inserted into is not read. */
	assert_string_equal(verdict_of("insert", "k1", MYSQL).other, "");
}

static void unreadable(void **state) {
	(void)state;
	static const char *const cases[] = {
		"", "[]", "{}", "{\"query_block\": 1}",
		/* Another table's plan, and MySQL's version 2 of an UPDATE. */
		"{\"query_block\": {\"table\": {\"table_name\": \"k2\", \"access_type\": \"ALL\"}}}",
		"{\"query_plan\": {\"operation\": \"<not executable by iterator executor>\"}, \"json_schema_version\": \"2.0\"}"};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct explain_verdict v;
		struct error err = {0};
		assert_false(judge(cases[i], "k1", &v, &err));
		assert_int_equal(err.code, ERROR_INTERNAL);
	}
}

static void asking(void **state) {
	(void)state;
	static const char *const cases[][2] = {
		{"SELECT a FROM t", "X\nSELECT a FROM t"},
		{"SET @a = ';'; UPDATE t SET a = 'it''s; \\';' WHERE `b;` = 1; SELECT 1",
	     "X\nUPDATE t SET a = 'it''s; \\';' WHERE `b;` = 1"},
		{"INSERT INTO t SELECT 1;\nSELECT ROW_COUNT()", "X\nINSERT INTO t SELECT 1"},
		{"SELECT \"a;b\"; SELECT 2", "X\nSELECT \"a;b\""},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char *text = explain_mysql_text("X", cases[i][0]);
		assert_string_equal(text, cases[i][1]);
		free(text);
	}
}

static void row_check(void **state) {
	(void)state;
	struct assignment columns[] = {{(char *)"a", (char *)"max(id)"}, {(char *)"b", (char *)"1 OR 2"}};
	const struct shape_leaf leaf = {.schema = (char *)"s", .name = (char *)"t"};
	struct jobfile job = {.kind = JOB_INSERT, .columns = columns, .ncolumns = 2};
	char *text = row_check_mysql(&job, &leaf);
	assert_string_equal(text, "SELECT 1 FROM `s`.`t` WHERE (max(id)\n) IS NULL OR (1 OR 2\n) IS NULL");
	free(text);
	job.kind = JOB_UPDATE;
	assert_null(row_check_mysql(&job, &leaf));
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(by_key),
		cmocka_unit_test(not_by_key),
		cmocka_unit_test(filter_of_another_index),
		cmocka_unit_test(proven_empty),
		cmocka_unit_test(sorts),
		cmocka_unit_test(windows),
		cmocka_unit_test(conditions_of_any_bytes),
		cmocka_unit_test(names_that_are_escaped),
		cmocka_unit_test(descending_key),
		cmocka_unit_test(other_tables),
		cmocka_unit_test(unreadable),
		cmocka_unit_test(asking),
		cmocka_unit_test(row_check),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
