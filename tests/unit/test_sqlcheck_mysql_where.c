/* test_sqlcheck_mysql_where.c: what is known, on MySQL and MariaDB, of the columns that a fragment looks at. */
#include "common/sqlcheck.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void old_values_that_the_predicate_fixes(void **state) {
	(void)state;
	static const struct {
		const char *where;
		bool fixed;
	} cases[] = {
		{"a IS NULL AND b IS NULL", true},
		{"(b is null) AND id > 5 AND ((`a`) = 1) AND ((`a` IS NULL AND n))", true},
		{"A IS NULL AND `B` IS NULL", true},
		{"id BETWEEN 1 AND 2 AND a IS NULL AND b IS NULL AND id NOT BETWEEN 5 AND 6", true},
		{"NOT n AND a IS NULL AND (b IS NULL)", true},
		{"t.between = 1 AND a IS NULL AND b IS NULL", true},
		{"a IS NULL", false},
		{"a IS NULL OR b IS NULL", false},
		{"a IS NULL AND b IS NULL OR n", false},
		{"a IS NULL AND b IS NULL XOR n", false},
		{"a IS NULL AND NOT (b IS NULL)", false},
		{"a IS NULL AND NOT b IS NULL", false},
		{"a IS NULL AND b IS NOT NULL", false},
		{"a IS NULL AND b IS NULL IS FALSE", false},
		{"a IS NULL AND b = 1", false},
		{"a IS NULL AND n BETWEEN 1 AND b IS NULL", false},
		{"a IS NULL AND n BETWEEN 1 AND n BETWEEN 2 AND b IS NULL", false},
		{"a IS NULL AND CASE WHEN n AND b IS NULL AND n THEN 1 ELSE 1 END", false},
		{"a IS NULL AND EXISTS (SELECT 1 FROM u WHERE n AND b IS NULL)", false},
		{"a IS NULL AND (SELECT 1 FROM u WHERE n AND b IS NULL)", false},
		{"a IS NULL AND (SELECT 1 FROM u WHERE b IS NULL)", false},
		{"a IS NULL AND (b IS NULL OR n)", false},
		{"a IS NULL AND (b IS NULL) = n", false},
		{"a IS NULL AND f(b IS NULL)", false},
		{"a IS NULL AND coalesce(b, 1) IS NULL", false},
		{"a IS NULL AND `b ` IS NULL", false},
		{"a IS NULL AND 'b' IS NULL", false},
		{"a IS NULL AND \"b\" IS NULL", false},
		{"a IS NULL AND (a, b) IS NULL", false},
		{"a IS NULL AND ((a, b IS NULL))", false},
		{NULL, false},
	};
	struct assignment set[] = {{(char *)"a", (char *)"1"}, {(char *)"b", (char *)"2"}};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct jobfile job = {.kind = JOB_UPDATE, .set = set, .nset = 2, .where = (char *)cases[i].where};
		if (sqlcheck_old_values_null(&sqlcheck_mysql, &job) != cases[i].fixed)
			fail_msg("%s", cases[i].where);
	}
}

static void work_that_may_be_done_twice(void **state) {
	(void)state;
	static const struct {
		const char *where;
		bool may;
	} cases[] = {
		{"a IS NULL", true},
		{"`A` IS NULL", true},
		{"c > 1 AND (t.b <=> 7 OR c = 5)", true},
		{"coalesce(lower(a), 'x') <> 'x'", true},
		{"b IN (SELECT c FROM other)", true},
		{"(c IN (SELECT b FROM other) AND a = 1)", true},
		{"`day` = 1", true},
		{"t.day = 1", true},
		{"c IN (SELECT b FROM other)", false},
		{NULL, false},
		{"c IS NULL", false},
		{"c = 'a'", false},
		{"c = \"a\"", false},
		{"a(c)", false},
		{"a.c = 1", false},
		{"CAST(c AS a)", false},
		{"CONVERT(c USING a)", false},
		{"c COLLATE a = 'x'", false},
		{"c COLLATE `a` = 'x'", false},
		{"c > NOW() - INTERVAL 1 DAY", false},
		{"EXISTS (SELECT 1 FROM other WHERE a IS NULL)", false},
		{"c IN (WITH w AS (SELECT a FROM other) SELECT a FROM w)", false},
	};
	struct assignment set[] = {{(char *)"a", (char *)"1"}, {(char *)"b", (char *)"2"}, {(char *)"day", (char *)"3"}};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct jobfile job = {.kind = JOB_UPDATE, .set = set, .nset = 3, .where = (char *)cases[i].where, .sweep = true};
		struct error err = {0};
		if (sqlcheck_sweep(&sqlcheck_mysql, &job, &err) != cases[i].may)
			fail_msg("%zu: %s", i, cases[i].where);
		assert_int_equal(strstr(err.message, "sweep: ") != NULL, !cases[i].may);
	}
}

/* UPDATE t SET a = …, b = <expr>: both servers give b the new a. */
static void assignments_from_left_to_right(void **state) {
	(void)state;
	static const struct {
		const char *expr;
		bool sees;
	} cases[] = {
		{"a", true},
		{"t.a + 1", true},
		{"T.`A`", true},
		{"lexer.t.a", true},
		{"(SELECT n FROM u WHERE u.id = a)", true},
		{"(SELECT a FROM u)", true},
		{"(SELECT MAX(u.n) FROM u WHERE u.id = t.a)", true},
		{"b + 1", false},
		{"a(b)", false},
		{"a.b", false},
		{"'a'", false},
		{"(SELECT u.a FROM u)", false},
		{"(SELECT lexer.u.a FROM u)", false},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct assignment set[] = {{(char *)"a", (char *)"b"}, {(char *)"b", (char *)cases[i].expr}};
		struct jobfile job = {.table = (char *)"t", .kind = JOB_UPDATE, .set = set, .nset = 2};
		struct error err = {0};
		if (sqlcheck_job(&sqlcheck_mysql, &job, &err) == cases[i].sees)
			fail_msg("%s", cases[i].expr);
		assert_int_equal(strstr(err.message, "set.b: reads a") != NULL, cases[i].sees);
		struct assignment other_way[] = {set[1], set[0]};
		job.set = other_way;
		other_way[1].expr = (char *)"a + 1";
		assert_true(sqlcheck_job(&sqlcheck_mysql, &job, &err));
	}
	struct assignment swap[] = {{(char *)"a", (char *)"b"}, {(char *)"b", (char *)"a"}};
	struct jobfile job = {.table = (char *)"t", .kind = JOB_UPDATE, .set = swap, .nset = 2};
	struct error err = {0};
	assert_true(sqlcheck_job(&sqlcheck_postgres, &job, &err));
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(old_values_that_the_predicate_fixes),
		cmocka_unit_test(work_that_may_be_done_twice),
		cmocka_unit_test(assignments_from_left_to_right),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
