/*
 * test_sqlcheck_mysql.c: fragments that leave their place on MySQL or MariaDB. tests/servers/prove_fragments.py runs every
 * string of it on both servers.
 */
#include "common/mem.h"
#include "common/sqlcheck.h"
#include "common/strbuf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static bool check_set(const char *expr, struct error *err) {
	struct assignment set = {(char *)"x", (char *)expr};
	struct jobfile job = {.table = (char *)"t", .kind = JOB_UPDATE, .set = &set, .nset = 1};
	return sqlcheck_job(&sqlcheck_mysql, &job, err);
}

static bool check_column(const char *expr, struct error *err) {
	struct assignment column = {(char *)"x", (char *)expr};
	struct jobfile job = {.table = (char *)"t", .kind = JOB_INSERT, .columns = &column, .ncolumns = 1};
	return sqlcheck_job(&sqlcheck_mysql, &job, err);
}

static bool check_where(const char *where, struct error *err) {
	struct jobfile job = {.table = (char *)"t", .kind = JOB_UPDATE, .where = (char *)where};
	return sqlcheck_job(&sqlcheck_mysql, &job, err);
}

static void assert_refused(const char *sql, bool passed, const struct error *err, const char *part) {
	if (passed)
		fail_msg("let through: %s", sql);
	assert_int_equal(err->code, ERROR_DATA);
	if (strstr(err->message, part) == NULL)
		fail_msg("%s: the message \"%s\" lacks \"%s\"", sql, err->message, part);
}

static const char *const good[] = {
	/* operands */
	"1",
	"-1",
	"+1.5e-3",
	".5",
	"1.",
	"1.e2",
	"0x1F",
	"0b01",
	"id",
	"t.id",
	"`id`",
	"`t`.`id`",
	"t .id",
	"lexer.t.id",
	"NULL",
	"TRUE",
	"(id)",
	"((((id))))",
	"( 1 )",
	"~n",
	"- -1",
	"5 - -1",
	"@@server_id",
	"@@session.sql_mode",
	"@@global.server_id + 1",
	"t.from",
	"t.`select`",
	"DEFAULT(n)",
	"default (n)",
	/* literals */
	"'a'",
	"\"a\"",
	"''",
	"'it''s ; -- no comment /* here */ # nor here'",
	"\"it's ; ) ( \"",
	"'say \"\"'",
	"''') OR ('",
	"\"a\"\"b\"",
	"'\\''",
	"'\\\\'",
	"'\\\\\\''",
	"\"\\\"\"",
	"\"\\\\\"",
	"'\\0\\%\\_'",
	"'a' 'b' \"c\"",
	"'a\n  b'",
	"'{range} ? $1 @x := :'",
	"\"(\"",
	"')'",
	"'ж ✓ 😀'",
	"'\\ж'",
	"`a``b`",
	"`)`",
	"`a'b`",
	"`a\"b`",
	"`a\\`",
	"`--`",
	"x'41'",
	"X'41'",
	"b'01'",
	"N'a'",
	"n'it''s'",
	"_utf8mb4'a'",
	"_latin1 'a' 'b'",
	"_binary\"\\\"\"",
	"_gbk'\\''",
	"_gbk'\\') OR ('",
	"_sjis'ソ\\''",
	"_big5'縗\\\\'",
	"DATE '2020-01-01'",
	"date'2020-01-01'",
	"TIMESTAMP '2020-01-01 00:00:00'",
	"TIME \"10:00:00\"",
	"überschrift",
	"日本",
	/* operators */
	"1 + 2 * 3 / 4 % 5 - 6",
	"id+1",
	"id*-1",
	"1\n+\n1",
	"\t1\t",
	"a & b | c ^ d << 1 >> 2",
	"5 DIV 2 MOD 2",
	"MOD(5, 2)",
	"mod (5, 2)",
	"n = 1",
	"n <> 1",
	"n != 1",
	"n <=> NULL",
	"n < 1 OR n > 2 XOR n <= 3 AND n >= 4",
	"NOT n = 1",
	"not not n = 1",
	"n IS NULL",
	"n IS NOT NULL",
	"n is true",
	"n = 1 IS NOT UNKNOWN",
	"n IN (1, 2, 3)",
	"n NOT IN (1)",
	"(id, n) IN ((1, 2), (3, 4))",
	"ROW(id, n) = (1, 2)",
	"n BETWEEN 1 AND 2",
	"n NOT BETWEEN 1 AND 2 AND id = 1",
	"n BETWEEN 1 AND 2 AND id BETWEEN 3 AND 4 OR FALSE",
	"s LIKE 'a%'",
	"s NOT LIKE 'a|%' ESCAPE '|'",
	"s LIKE CONCAT('a', '%') AND n",
	"s REGEXP '^a' OR s RLIKE 'b' AND s NOT REGEXP 'c'",
	"s SOUNDS LIKE 'x'",
	"s COLLATE utf8mb4_bin = 'a'",
	"s COLLATE 'utf8mb4_bin' LIKE 'a'",
	"data -> '$.a' = 1",
	"data->>'$.a.b' = 'x'",
	"1 MEMBER OF (data)",
	"17 member of('[1, 17]')",
	"CASE WHEN n THEN 1 ELSE 2 END",
	"CASE n WHEN 1 THEN 'a' WHEN 2 THEN 'b' END",
	"CASE WHEN n BETWEEN 1 AND 2 AND s IS NULL THEN CASE s WHEN 'a' THEN 1 END ELSE -1 END + 1",
	"d + INTERVAL 1 DAY",
	"d - INTERVAL 1 + 1 HOUR",
	"d + INTERVAL '1:30' MINUTE_SECOND + INTERVAL (n) year > NOW()",
	"INTERVAL 1 DAY + d",
	"INTERVAL(n, 1, 2)",
	/* calls */
	"NOW()",
	"now ( )",
	"CURRENT_TIMESTAMP",
	"CURRENT_TIMESTAMP(6)",
	"least(100, n / 10)",
	"COALESCE(n, 0) = 0",
	"IF(n > 1, 'a', 'b')",
	"if (n, 1, 2)",
	"LEFT(s, 1)",
	"RIGHT(s, 1)",
	"REPLACE(s, 'a', 'b')",
	"INSERT(s, 1, 2, 'x')",
	"REPEAT(s, 2)",
	"CHAR(77, 121 USING utf8mb4)",
	"CAST(n AS CHAR(10))",
	"CAST(s AS UNSIGNED) + 1",
	"CONVERT(s USING latin1)",
	"CONVERT(n, CHAR)",
	"EXTRACT(YEAR FROM d)",
	"TRIM(LEADING 'x' FROM s)",
	"SUBSTRING(s FROM 1 FOR 2)",
	"POSITION('a' IN s)",
	"DATE_ADD(d, INTERVAL 1 DAY)",
	"TIMESTAMPDIFF(SECOND, d, NOW())",
	"JSON_OBJECT('a', n)",
	"MATCH (s) AGAINST ('x' IN BOOLEAN MODE)",
	"match(s) against('x') > 0",
	"lexer.f(n)",
	"`concat`('a', 'b')",
	"YEAR(d)",
	"DAY(d) = 1",
	"count + sum",
	"t.count",
	"sleep",
	"RAND() < 0.5",
	"UUID()",
	"CONNECTION_ID()",
	/* subqueries */
	"(SELECT 1)",
	"(SELECT MAX(u.n) FROM u WHERE u.id = t.id)",
	"(select count(*) from u)",
	"n IN (SELECT n FROM u WHERE u.id = t.id)",
	"EXISTS (SELECT 1 FROM u WHERE u.id = t.id)",
	"NOT EXISTS (SELECT * FROM u)",
	"n > ALL (SELECT u.n FROM u)",
	"n = ANY (SELECT u.n FROM u UNION SELECT 2)",
	"((SELECT 1) + 1)",
	"COALESCE((SELECT SUM(u.n) FROM u), 0)",
	"(SELECT GROUP_CONCAT(DISTINCT u.n ORDER BY u.id SEPARATOR ';') FROM u GROUP BY u.id LIMIT 1)",
	"(SELECT u.n FROM u ORDER BY u.id DESC LIMIT 1 OFFSET 1)",
	"(SELECT r FROM (SELECT id, ROW_NUMBER() OVER (ORDER BY id) AS r FROM u) AS w WHERE w.id = t.id)",
	"(WITH w AS (SELECT SUM(u.n) AS n FROM u) SELECT w.n FROM w)",
	"((SELECT 1) UNION (SELECT COUNT(1) FROM u) LIMIT 1)",
	"(SELECT SUM(u.n * t.n) FROM u)",
	"(SELECT COUNT(DISTINCT `u`.`n`) FROM u)",
	"(SELECT MIN(lexer.u.n) FROM lexer.u)",
	/* names that are keywords elsewhere */
	"end > start",
	"value + offset",
	"year = 2020",
	"status",
	"user",
};

static void good_expressions(void **state) {
	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		struct error err = {0};
		if (!check_set(good[i], &err) || !check_where(good[i], &err) || !check_column(good[i], &err))
			fail_msg("%s: %s", good[i], err.message);
	}
}

#define ADDS "is not one expression: it adds to the statement around it"
#define BATCH "its result would depend on the size of a batch"

static const struct {
	const char *sql, *part;
} bad[] = {
	/* leaving the brackets */
	{"", "empty"},
	{" \n\t", "empty"},
	{"true) or (true", "line 1, column 5: closes a bracket that it did not open"},
	{"true) or exists(select 1", "did not open"},
	{"1) UNION SELECT 1 --", "did not open"},
	{"1) UNION (SELECT 1", "did not open"},
	{"1), n = (2", "did not open"},
	{"1) WHERE 1 OR (1", "did not open"},
	{"1) OR 1=1 #", "did not open"},
	{")(", "did not open"},
	{"(a", "column 1: a bracket is opened and never closed"},
	{"a + ((b)", "column 5: a bracket is opened and never closed"},
	{"'a') OR ('a'", "column 4: closes"},
	{"'\\') OR (' OR 1'", "unterminated"},
	{"'\\\\') OR ('a'", "did not open"},
	{"\"') OR (\" ') OR ('\"", "unterminated"},
	{"'\"') OR ('\"'", "did not open"},
	{"`'`) OR (`'`", "did not open"},
	{"`a\\`) OR (`b`", "did not open"},
	{"'''') OR ('", "did not open"},
	{"'''') OR ('a'", "did not open"},
	{"'a''') OR (''", "column 6: closes"},
	{"x'41') OR (x'41'", "did not open"},
	{"_gbk'\\'') OR ('", "did not open"},
	{"_sjis'ソ') OR ('", "did not open"},
	{"N'\\\\') OR ('", "did not open"},
	/* quotes */
	{"'open", "column 1: unterminated quoted string"},
	{"a = 'open", "column 5: unterminated quoted string"},
	{"\"open", "unterminated quoted string"},
	{"`open", "unterminated quoted name"},
	{"`a``", "unterminated quoted name"},
	{"'\\'", "unterminated"},
	{"'a''", "unterminated"},
	{"'a\\", "unterminated"},
	/* comments */
	{"1 /* x */", "column 3: comments"},
	{"1 -- x", "comments"},
	{"1 --", "comments"},
	{"1--1", "comments"},
	{"1 --1", "comments"},
	{"1 # x", "comments"},
	{"1#", "comments"},
	{"/*! 1 */", "comments"},
	{"/*!50000 1 */", "comments"},
	{"/*M! 1 */", "comments"},
	{"/*M!100000 1 */", "comments"},
	{"/*+ x */ 1", "comments"},
	{"1 */ + 1", "comments"},
	{"1 /*", "comments"},
	{"1\n\n  -- x", "line 3, column 3: comments"},
	{"'ж' < 'жж' -- x", "column 12: comments"},
	/* the statement's end, parameters, variables */
	{"1;", "column 2: a `;` is not allowed"},
	{"1; DROP TABLE x", "`;`"},
	{"?", "parameters (?)"},
	{"n = ?", "parameters (?)"},
	{"$1", "parameters ($1)"},
	{"n + $12", "parameters ($1)"},
	{"a$1", "parameters ($1)"},
	{"$$a$$", "`$`"},
	{"a$b", "`$`"},
	{"$a$ ' $a$", "`$`"},
	{"@a", "user variables"},
	{"@a := 1", "user variables"},
	{"@'a'", "user variables"},
	{"@`a` = 1", "user variables"},
	{"@", "user variables"},
	{"(SELECT @a := n)", "user variables"},
	{"n := 1", "assigns"},
	{"a : b", "in no expression"},
	{"n::int", "CAST"},
	{"@@", "behind @@"},
	{"@@'a'", "behind @@"},
	{"@@`a`", "behind @@"},
	{"\\N", "client"},
	{"a \\g", "client"},
	{"{range}", "only a `statement`"},
	{"{d '2020-01-01'}", "only a `statement`"},
	{"a[1]", "no expression"},
	{"a\001b", "control character"},
	{"'a\rb'", "control character"},
	{"a\013= 1", "control character"},
	{"'\177'", "control character"},
	{"\xff\xfe", "UTF-8"},
	{"'\xbf\x27 OR 1", "UTF-8"},
	{"'\xe8\x5c'", "UTF-8"},
	{"`\xc0\xa7`", "UTF-8"},
	/* more than one expression */
	{"1, 2", "column 2: " ADDS},
	{"n = 1, id", ADDS},
	{"1 AS x", ADDS},
	{"1 x", ADDS},
	{"1 `x`", ADDS},
	{"n 'x'", ADDS},
	{"1 2", ADDS},
	{"1 .5", ADDS},
	{"(1) (2)", ADDS},
	{"'a' x", ADDS},
	{"1 (SELECT 1)", ADDS},
	{"SELECT 1", ADDS},
	{"select(1)", ADDS},
	{"WITH x AS (SELECT 1) SELECT 1", ADDS},
	{"VALUES (1)", ADDS},
	{"VALUES ROW(1)", ADDS},
	{"TABLE u", ADDS},
	{"DISTINCT n", ADDS},
	{"(SELECT 1) UNION (SELECT 2)", ADDS},
	{"(SELECT 1) UNION ALL SELECT 2", ADDS},
	{"(SELECT 1) EXCEPT (SELECT 2)", ADDS},
	{"(SELECT 1) INTERSECT (SELECT 2)", ADDS},
	{"(SELECT 1) MINUS (SELECT 2)", ADDS},
	{"(SELECT 1) ORDER BY 1", ADDS},
	{"(SELECT 1) LIMIT 1", ADDS},
	{"(SELECT 1) FOR UPDATE", ADDS},
	{"(SELECT 1) LOCK IN SHARE MODE", ADDS},
	{"(SELECT 1) INTO @a", "user variables"},
	{"(SELECT 1) INTO OUTFILE '/tmp/x'", "INTO is not allowed"},
	{"(SELECT 1 INTO OUTFILE '/tmp/x')", "INTO is not allowed"},
	{"(SELECT 1 INTO DUMPFILE '/tmp/x')", "INTO is not allowed"},
	{"1 FROM u", ADDS},
	{"1 FROM u WHERE 1", ADDS},
	{"1.from u", "runs into a word"},
	{"1e5from", "runs into a word"},
	{"0X1F", "runs into a word"},
	{"1a", "runs into a word"},
	{"1 WHERE 1", ADDS},
	{"1 GROUP BY n", ADDS},
	{"GROUP BY n", ADDS},
	{"1 HAVING 1", ADDS},
	{"1 ORDER BY 1", ADDS},
	{"1 LIMIT 1", ADDS},
	{"1 OFFSET 1", ADDS},
	{"1 FETCH FIRST ROW ONLY", ADDS},
	{"1 FOR UPDATE", ADDS},
	{"1 PROCEDURE ANALYSE()", ADDS},
	{"1 ON DUPLICATE KEY UPDATE n = 2", ADDS},
	{"1 RETURNING n", ADDS},
	{"1 USING u", ADDS},
	{"1 WINDOW w AS ()", ADDS},
	{"1 PARTITION (p0)", ADDS},
	{"1 SET n = 2", ADDS},
	{"1 UNION SELECT 1", ADDS},
	{"1 INTO OUTFILE 'x'", "INTO is not allowed"},
	{"NEXT VALUE FOR s", ADDS},
	{"n DESC", ADDS},
	{"n THEN 1", ADDS},
	{"n END", ADDS},
	{"n DAY", ADDS},
	{"n NOT 1", ADDS},
	{"n JOIN u", ADDS},
	{"*", "`*`"},
	{"t.*", "`*`"},
	{"lexer.t.*", "`*`"},
	{"DEFAULT", "DEFAULT is not an expression over the row"},
	{"a || b", "`||`"},
	{"a && b", "`&&`"},
	{"!a", "`!`"},
	{"1 + !a", "`!`"},
	{"BINARY a", "BINARY"},
	/* less than one */
	{"n = 1 AND", "it ends before it is complete"},
	{"n =", "it ends before it is complete"},
	{"NOT", "it ends before it is complete"},
	{"-", "it ends before it is complete"},
	{"n IS", "it ends before it is complete"},
	{"n IN", "it ends before it is complete"},
	{"n NOT", "it ends before it is complete"},
	{"n BETWEEN 1", "it ends before it is complete"},
	{"n BETWEEN 1 OR 2", "it ends before it is complete"},
	{"CASE WHEN 1 THEN 2", "it ends before it is complete"},
	{"CASE", "it ends before it is complete"},
	{"INTERVAL", "it ends before it is complete"},
	{"t.", "it ends before it is complete"},
	{"n COLLATE", "it ends before it is complete"},
	{"AND 1", "an operand is wanted"},
	{"= 1", "an operand is wanted"},
	{"n = = 1", "an operand is wanted"},
	{"n AND OR 1", "an operand is wanted"},
	{", 1", "an operand is wanted"},
	{".", "an operand is wanted"},
	{"n IS 1", "behind IS"},
	{"n IN 1", "an opening bracket"},
	{"s COLLATE SELECT", "a collation's name"},
	{"s COLLATE AND 1", "a collation's name"},
	{"t.1", ADDS},
	{"t.+", "directly behind the dot"},
	{"t. from", "directly behind the dot"},
	{"t. id", "directly behind the dot"},
	{"data -> 1", "path in quotes"},
	{"MATCH (s) LIKE 'x'", "AGAINST"},
	/* what depends on the batch */
	{"SUM(n)", BATCH},
	{"sum(n) + 1", BATCH},
	{"COUNT(*)", BATCH},
	{"COUNT (*)", BATCH},
	{"COALESCE(MAX(n), 0)", BATCH},
	{"((SELECT 1) + AVG(n))", BATCH},
	{"GROUP_CONCAT(s)", BATCH},
	{"`sum`(n)", BATCH},
	{"SUM((SELECT 1))", BATCH},
	{"(VALUES (SUM(n)))", BATCH},
	{"ROW_NUMBER() OVER ()", BATCH},
	{"ROW_NUMBER() OVER (ORDER BY id)", BATCH},
	{"COALESCE(LAG(n) OVER w, 0)", BATCH},
	/* dangerous functions */
	{"SLEEP(1)", "column 1: this function is not allowed"},
	{"sleep (1)", "function is not allowed"},
	{"n + `SLEEP`(1)", "column 5: this function is not allowed"},
	{"`sleep` (1)", "function is not allowed"},
	{"(SELECT SLEEP(1) FROM u)", "function is not allowed"},
	{"COALESCE(BENCHMARK(1000000, 1), 1)", "function is not allowed"},
	{"GET_LOCK('a', 1)", "function is not allowed"},
	{"RELEASE_LOCK('a')", "function is not allowed"},
	{"RELEASE_ALL_LOCKS()", "function is not allowed"},
	{"LOAD_FILE('/etc/passwd')", "function is not allowed"},
	{"MASTER_POS_WAIT('a', 1)", "function is not allowed"},
	{"LAST_INSERT_ID(n)", "function is not allowed"},
	{"LAST_INSERT_ID()", "function is not allowed"},
	{"ROW_COUNT()", "function is not allowed"},
};

static void bad_expressions(void **state) {
	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct error err = {0};
		assert_refused(bad[i].sql, check_set(bad[i].sql, &err), &err, bad[i].part);
		assert_non_null(strstr(err.message, "set.x"));
		memset(&err, 0, sizeof err);
		assert_refused(bad[i].sql, check_where(bad[i].sql, &err), &err, bad[i].part);
		assert_int_equal(strncmp(err.message, "where", 5), 0);
		memset(&err, 0, sizeof err);
		assert_refused(bad[i].sql, check_column(bad[i].sql, &err), &err, bad[i].part);
	}
}

/* In an update each row has a subquery of its own; an insert's SELECT becomes one row. */
static void aggregates_over_the_batch_from_within(void **state) {
	(void)state;
	static const char *const merging[] = {
		"(SELECT SUM(t.n))",
		"(SELECT SUM(n))",
		"(SELECT SUM(t.n) FROM u)",
		"(SELECT MAX(n) FROM u WHERE u.id = t.id)",
		"(SELECT SUM(`T`.n) FROM u)",
		"(SELECT SUM(lexer.t.n) FROM u)",
		"(SELECT SUM(t.n + @@global.default.key_buffer_size) FROM u)",
		"(SELECT SUM(lexer.f(t.n)) FROM u)",
		"(SELECT SUM((SELECT u.n + t.n FROM u LIMIT 1)))",
		"(SELECT COUNT(DISTINCT t.n))",
		"COALESCE((SELECT (SELECT GROUP_CONCAT(t.n))), 0)",
	};
	for (size_t i = 0; i < sizeof merging / sizeof *merging; i++) {
		struct error err = {0};
		if (!check_set(merging[i], &err) || !check_where(merging[i], &err))
			fail_msg("%s: %s", merging[i], err.message);
		assert_refused(merging[i], check_column(merging[i], &err), &err, "may be one over the batch");
		assert_non_null(strstr(err.message, "columns.x"));
	}
}

static char *repeat(const char *prefix, const char *text, size_t count, const char *suffix) {
	struct strbuf b = {0};
	strbuf_add(&b, prefix);
	for (size_t i = 0; i < count; i++)
		strbuf_add(&b, text);
	strbuf_add(&b, suffix);
	return strbuf_take(&b);
}

static void limits(void **state) {
	(void)state;
	struct error err = {0};
	autofree char *fits = repeat("'", "x", 16 * 1024 - 2, "'");
	assert_true(check_set(fits, &err));
	autofree char *longer = repeat("'", "x", 16 * 1024 - 1, "'");
	assert_refused("16 KiB + 1", check_set(longer, &err), &err, "16 KiB");
	autofree char *deep = repeat("", "(", 201, "1");
	assert_refused("201 brackets", check_set(deep, &err), &err, "deeper than 200");
	autofree char *many = repeat("a = 0", " OR a = 1", 1500, "");
	assert_true(check_set(many, &err));
	autofree char *calls = repeat("0", " + f(g(1))", 1500, "");
	assert_true(check_set(calls, &err));
}

static void statements(void **state) {
	(void)state;
	struct error err = {0};
	struct jobfile job = {.table = (char *)"t", .kind = JOB_STATEMENT, .statement = (char *)"UPDATE t SET n = 1 WHERE {range}"};
	assert_refused("a statement", sqlcheck_job(&sqlcheck_mysql, &job, &err), &err, "statement: not on MySQL and MariaDB");
	assert_non_null(strstr(err.hint, "update"));
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_expressions),
		cmocka_unit_test(bad_expressions),
		cmocka_unit_test(aggregates_over_the_batch_from_within),
		cmocka_unit_test(limits),
		cmocka_unit_test(statements),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
