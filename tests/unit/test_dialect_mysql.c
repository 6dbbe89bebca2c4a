/* test_dialect_mysql.c: what the dialect of MySQL and MariaDB writes, as text. What it means is
 * tests/integration/test_mysql_texts.py. */
#include "common/mem.h"
#include "daemon/engine/dialect_mysql.h"
#include "daemon/engine/sql_embedded.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct table_shape shape_of(struct shape_leaf *leaf, size_t nkey) {
	static const struct shape_column columns[] = {
		{.name = (char *)"a", .type = (char *)"bigint(20) unsigned"},
		{.name = (char *)"b`c", .type = (char *)"varchar(20)", .collation = (char *)"latin1_swedish_ci"},
		{.name = (char *)"d", .type = (char *)"binary(16)"},
	};
	*leaf = (struct shape_leaf){.schema = (char *)"app", .name = (char *)"t"};
	struct table_shape shape = {.schema = (char *)"app", .name = (char *)"t", .nkey = nkey, .leaves = leaf, .nleaves = 1};
	for (size_t i = 0; i < nkey; i++)
		shape.key[i] = columns[i];
	return shape;
}

static void expect(char *sql, const char *expected) {
	assert_string_equal(sql, expected);
	free(sql);
}

static void expect_part(char *sql, const char *part) {
	if (strstr(sql, part) == NULL)
		print_message("%s\nis not in\n%s\n", part, sql);
	assert_non_null(strstr(sql, part));
	free(sql);
}

static void test_range_of_one_column(void **state) {
	(void)state;
	struct shape_leaf leaf;
	struct table_shape shape = shape_of(&leaf, 1);
	expect(dialect_mysql.last_key(&shape, &leaf, false),
	       "SELECT CAST(`t`.`a` AS CHAR) FROM `app`.`t` FORCE INDEX (`PRIMARY`) ORDER BY `t`.`a` DESC LIMIT 1");
	expect(
		dialect_mysql.boundary(&shape, &leaf, true),
		"SELECT CAST(`t`.`a` AS CHAR) FROM `app`.`t` FORCE INDEX (`PRIMARY`) WHERE (`t`.`a` > CAST(CONCAT($1) AS UNSIGNED)) AND "
		"(`t`.`a` <= CAST(CONCAT($2) AS UNSIGNED)) ORDER BY `t`.`a` LIMIT 2 OFFSET $3");
	expect(dialect_mysql.count(&shape, &leaf, false), "SELECT COUNT(*) FROM (SELECT 1 FROM `app`.`t` FORCE INDEX (`PRIMARY`) "
	                                                  "WHERE (`t`.`a` <= CAST(CONCAT($1) AS UNSIGNED)) ORDER "
	                                                  "BY `t`.`a` LIMIT $2) AS scanned");
}

static void test_range_of_three_columns(void **state) {
	(void)state;
	struct shape_leaf leaf;
	struct table_shape shape = shape_of(&leaf, 3);
	leaf.partition = (char *)"p0";
	shape.key_index = (char *)"by_all";
	expect(
		dialect_mysql.last_key(&shape, &leaf, true),
		"SELECT CAST(`t`.`a` AS CHAR), CAST(`t`.`b``c` AS CHAR), HEX(`t`.`d`) FROM `app`.`t` PARTITION (`p0`) FORCE INDEX "
		"(`by_all`) "
		"WHERE (`t`.`a` > CAST(CONCAT($1) AS UNSIGNED) OR `t`.`a` = CAST(CONCAT($1) AS UNSIGNED) AND `t`.`b``c` > CONVERT($2 "
		"USING "
		"latin1) COLLATE latin1_swedish_ci OR `t`.`a` = CAST(CONCAT($1) AS UNSIGNED) AND `t`.`b``c` = CONVERT($2 USING latin1) "
		"COLLATE latin1_swedish_ci AND `t`.`d` > UNHEX($3)) ORDER BY `t`.`a` DESC, `t`.`b``c` DESC, `t`.`d` DESC LIMIT 1");
	expect_part(dialect_mysql.boundary(&shape, &leaf, true),
	            "AND `t`.`d` <= UNHEX($6)) ORDER BY `t`.`a`, `t`.`b``c`, `t`.`d` LIMIT 2 "
	            "OFFSET $7");
	expect_part(dialect_mysql.boundary(&shape, &leaf, true), "AND (`t`.`a` < CAST(CONCAT($4) AS UNSIGNED) OR `t`.`a` = ");
}

/* The servers make no range of < and > on an ENUM: its numbers are named, one by one, and 0, which is no member's. */
static void test_range_of_an_enum(void **state) {
	(void)state;
	struct shape_leaf leaf;
	struct table_shape shape = shape_of(&leaf, 2);
	shape.key[0].type = (char *)"enum('a','it''s')";
	shape.key[1].type = (char *)"int";
	expect(
		dialect_mysql.count(&shape, &leaf, false),
		"SELECT COUNT(*) FROM (SELECT 1 FROM `app`.`t` FORCE INDEX (`PRIMARY`) WHERE (`t`.`a` IN (IF(0 < CAST(CONCAT($1) AS "
		"UNSIGNED), 0, NULL), IF(1 < CAST(CONCAT($1) AS UNSIGNED), 1, NULL), IF(2 < CAST(CONCAT($1) AS UNSIGNED), 2, NULL)) OR "
		"`t`.`a` = CAST(CONCAT($1) AS UNSIGNED) AND `t`.`b``c` <= CAST($2 AS SIGNED)) ORDER BY `t`.`a`, `t`.`b``c` LIMIT $3) AS "
		"scanned");
	static const struct {
		const char *type;
		size_t members;
	} types[] = {{"int", 0},
	             {"enum('')", 1},
	             {"enum('a')", 1},
	             {"enum('''','''''')", 2},
	             {"enum(',','')", 2},
	             {"enum('a''','b','''c')", 3},
	             {"enum('\\','(',')')", 3},
	             {"enum('", 1}};
	for (size_t i = 0; i < sizeof types / sizeof *types; i++)
		assert_int_equal(mysql_enum_members(types[i].type), types[i].members);
}

/* A value of each type: as a parameter, out of JSON, as SQL, and its text. */
static void test_types(void **state) {
	(void)state;
	static const struct {
		const char *type, *collation, *parameter, *stored, *expression, *text;
	} cases[] = {
		{"int(11)", NULL, "CAST(v AS SIGNED)", "CAST(v AS SIGNED)", "CAST(v AS SIGNED)", "CAST(v AS CHAR)"},
		{"int unsigned", NULL, "CAST(CONCAT(v) AS UNSIGNED)", "CAST(v AS UNSIGNED)", "CAST(v AS UNSIGNED)", "CAST(v AS CHAR)"},
		{"year(4)", NULL, "CAST(CONCAT(v) AS UNSIGNED)", "CAST(v AS UNSIGNED)", "CAST(v AS UNSIGNED)", "CAST(v AS CHAR)"},
		{"bit(12)", NULL, "CAST(CONCAT(v) AS UNSIGNED)", "CAST(v AS UNSIGNED)", "CAST(v AS UNSIGNED)",
	     "CAST(CAST(v AS UNSIGNED) AS CHAR)"},
		{"enum('a','b')", "latin1_bin", "CAST(CONCAT(v) AS UNSIGNED)", "CAST(v AS UNSIGNED)", "CAST(v AS UNSIGNED)",
	     "CAST(CAST(v AS UNSIGNED) AS CHAR)"},
		{"decimal(20,5) unsigned", NULL, "CAST(v AS DECIMAL(20,5))", "CAST(v AS DECIMAL(20,5))", "CAST(v AS DECIMAL(20,5))",
	     "CAST(v AS CHAR)"},
		{"varbinary(16)", NULL, "UNHEX(v)", "UNHEX(v)", "v", "HEX(v)"},
		{"float", NULL, "v", "v", "v", "CAST(v + 0e0 AS CHAR)"},
		{"datetime(3)", NULL, "v", "CAST(v AS DATETIME(6))", "CAST(v AS DATETIME(6))", "CAST(v AS CHAR)"},
		{"time", NULL, "v", "CAST(v AS TIME(6))", "CAST(v AS TIME(6))", "CAST(v AS CHAR)"},
		{"date", NULL, "v", "CAST(v AS DATE)", "CAST(v AS DATE)", "CAST(v AS CHAR)"},
		{"char(3)", "utf8_bin", "CONVERT(v USING utf8mb3) COLLATE utf8_bin", "CONVERT(v USING utf8mb3) COLLATE utf8_bin",
	     "CONVERT(v USING utf8mb3) COLLATE utf8_bin", "CAST(v AS CHAR)"},
		{"uuid", NULL, "v", "v", "v", "CAST(v AS CHAR)"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct shape_column column = {
			.name = (char *)"c", .type = (char *)cases[i].type, .collation = (char *)cases[i].collation};
		const char *const expected[] = {cases[i].parameter, cases[i].stored, cases[i].expression};
		for (enum mysql_origin origin = ORIGIN_PARAMETER; origin <= ORIGIN_EXPRESSION; origin++) {
			autostrbuf b = {0};
			mysql_add_typed(&b, &column, "v", origin, true);
			assert_string_equal(b.data, expected[origin]);
		}
		autostrbuf b = {0};
		mysql_add_text(&b, &column, "v", true);
		assert_string_equal(b.data, cases[i].text);
	}
}

static struct assignment assignments[] = {{(char *)"n", (char *)"n + 1"}, {(char *)"m", (char *)"';' -- no"}};

static void test_update(void **state) {
	(void)state;
	struct shape_leaf leaf;
	struct table_shape shape = shape_of(&leaf, 1);
	struct jobfile job = {.kind = JOB_UPDATE, .set = assignments, .nset = 2, .where = (char *)"n IS NULL"};
	expect(dialect_mysql.work(&job, &shape, &leaf, false), "UPDATE `app`.`t` FORCE INDEX (`PRIMARY`) SET `t`.`n` = (n + 1\n), "
	                                                       "`t`.`m` = (';' -- no\n) WHERE (`t`.`a` <= CAST(CONCAT($1) "
	                                                       "AS UNSIGNED)) AND (n IS NULL\n)");
	char *capture = dialect_mysql.capture(&job, &shape, &leaf, true);
	assert_non_null(
		strstr(capture, "SELECT $3, $4, $5, COUNT(*), COUNT(*), CONCAT('[', GROUP_CONCAT(JSON_ARRAY(CAST(`t`.`a` AS CHAR))"));
	assert_non_null(strstr(capture, ", old_values)"));
	expect_part(capture, "AND (n IS NULL\n) HAVING COUNT(*) > 0 FOR UPDATE");
	job.old_values_null = true;
	capture = dialect_mysql.capture(&job, &shape, &leaf, true);
	assert_null(strstr(capture, "old_values"));
	free(capture);
	/* `d IS NULL` finds 0000-00-00, too. */
	struct shape_column written = {.name = (char *)"d", .type = (char *)"datetime(6)"};
	shape.written = &written;
	shape.nwritten = 1;
	expect_part(dialect_mysql.capture(&job, &shape, &leaf, true), ", old_values)");
}

/* What may be another thing when it is asked again is asked once. */
static void test_predicates_asked_once(void **state) {
	(void)state;
	static const struct {
		const char *where;
		bool twice;
	} cases[] = {
		{NULL, true},
		{"a > 5 AND (n IS NULL OR coalesce (m, 0) IN (1, 2))", true},
		{"NOT(n) AND JSON_EXTRACT(d, '$.a') = 1", true},
		{"selected = 1", false},
		{"n IN (SELECT 1)", false},
		{"n < rand()", false},
		{"n < `my` (5)", false},
		{"n < @x", false},
		{"n < CURRENT_TIMESTAMP", false},
		{"n < NOW( )", false},
	};
	struct shape_leaf leaf;
	struct table_shape shape = shape_of(&leaf, 1);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct jobfile job = {.kind = JOB_UPDATE, .set = assignments, .nset = 1, .where = (char *)cases[i].where};
		expect_part(dialect_mysql.work_kept(&job, &shape, &leaf, true),
		            cases[i].twice ? "; UPDATE `app`.`t` FORCE" : "; UPDATE JSON_TABLE(@backfilld_keys");
	}
}

static void test_insert(void **state) {
	(void)state;
	struct shape_leaf leaf;
	struct table_shape shape = shape_of(&leaf, 1);
	char *key[] = {(char *)"n"};
	shape.conflict_key = key;
	shape.nconflict_key = 1;
	struct jobfile job = {.kind = JOB_INSERT, .columns = assignments, .ncolumns = 1, .into_table = (char *)"i"};
	expect(dialect_mysql.work(&job, &shape, &leaf, false), "INSERT INTO `app`.`i` (`n`) SELECT (n + 1\n) FROM `app`.`t` FORCE "
	                                                       "INDEX (`PRIMARY`) WHERE (`t`.`a` <= CAST(CONCAT($1) AS "
	                                                       "UNSIGNED)) ORDER BY `t`.`a`");
	job.on_conflict = CONFLICT_SKIP;
	expect_part(
		dialect_mysql.work(&job, &shape, &leaf, false),
		"AS new LEFT JOIN `app`.`i` AS met ON `met`.`n` = new.k1 WHERE `met`.`n` IS NULL AND new.nth = 1 ORDER BY new.place; ");
	job.on_conflict = CONFLICT_UPDATE;
	expect_part(dialect_mysql.work(&job, &shape, &leaf, false), " ON `met`.`n` = new.k1 SET `met`.`n` = `met`.`n`; ");
	key[0] = (char *)"id"; /* the table's default makes it */
	expect_part(dialect_mysql.work(&job, &shape, &leaf, false), "INSERT INTO `app`.`i` (`n`) SELECT (n + 1\n) FROM");
}

static void test_checkpoint(void **state) {
	(void)state;
	struct shape_leaf leaf;
	struct table_shape shape = shape_of(&leaf, 2);
	assert_false(dialect_mysql.fence_fails);
	char *sql = dialect_mysql.checkpoint(&shape);
	assert_non_null(strstr(sql, "AND batch_id = CAST($4 AS SIGNED) AND NOT stopped"));
	expect_part(sql, "FIELD(column_name, 'a', 'b`c')");
	shape.time_is_enough = true;
	sql = dialect_mysql.checkpoint(&shape);
	assert_null(strstr(sql, "information_schema.columns"));
	expect_part(sql, " = LEFT($13, 19)");
}

static void test_settings(void **state) {
	(void)state;
	struct shape_leaf leaf;
	struct table_shape shape = shape_of(&leaf, 1);
	struct dialect_session session = {.statement_timeout_ms = 1500, .lock_timeout_ms = 1001};
	char *sql = dialect_mysql.settings(&shape, &session);
	assert_null(strchr(sql, ';'));
	assert_non_null(strstr(sql, "innodb_lock_wait_timeout = 2, lock_wait_timeout = 2 "));
	assert_non_null(strstr(sql, "max_statement_time = 1.500,"));
	assert_null(strstr(sql, "binlog_row_image"));
	expect_part(sql, "max_execution_time = 1500,");
	session.row_image = ROW_IMAGE_MINIMAL;
	expect_part(dialect_mysql.settings(&shape, &session), ", binlog_row_image = MINIMAL ");
	session.lock_timeout_ms = 10; /* 0 would be MariaDB's "not at all" */
	expect_part(dialect_mysql.settings(&shape, &session), "innodb_lock_wait_timeout = 1,");
}

static void test_worker_is_an_account(void **state) {
	(void)state;
	expect_part(dialect_mysql.control_tables("o'neill@x@%"), "ON backfill.* TO 'o''neill@x'@'%';");
	expect_part(dialect_mysql.control_tables("w"), "DELETE ON backfill.* TO 'w'@'%';");
	char *sql = dialect_mysql.control_tables("w");
	assert_null(strstr(sql, "TO :"));
	free(sql);
}

/* The engine looks into no comment: what only one server executes holds neither a parameter nor the end of a statement. */
static void test_comments_of_one_server(void **state) {
	(void)state;
	size_t found = 0;
	for (const struct sql_embedded *file = sql_embedded; file->name != NULL; file++) {
		if (strncmp(file->name, "mysql/", 6) != 0)
			continue;
		for (const char *at = file->text; (at = strstr(at, "/*")) != NULL; found++) {
			const char *end = strstr(at, "*/");
			assert_true(strncmp(at, "/*!80000 ", 9) == 0 || strncmp(at, "/*!80300 ", 9) == 0 || strncmp(at, "/*M! ", 5) == 0 ||
			            strncmp(at, "/*M!100600 ", 11) == 0 || strncmp(at, "/*M!110402 ", 11) == 0);
			assert_null(memchr(at, '$', (size_t)(end - at)));
			assert_null(memchr(at, ';', (size_t)(end - at)));
			at = end;
		}
	}
	assert_true(found > 10);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_range_of_one_column),
		cmocka_unit_test(test_range_of_three_columns),
		cmocka_unit_test(test_range_of_an_enum),
		cmocka_unit_test(test_types),
		cmocka_unit_test(test_update),
		cmocka_unit_test(test_predicates_asked_once),
		cmocka_unit_test(test_insert),
		cmocka_unit_test(test_checkpoint),
		cmocka_unit_test(test_settings),
		cmocka_unit_test(test_worker_is_an_account),
		cmocka_unit_test(test_comments_of_one_server),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
