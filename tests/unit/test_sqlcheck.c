/* test_sqlcheck.c: fragments that leave their place, and {range}s that don't bound the work. */
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
	return sqlcheck_job(&sqlcheck_postgres, &job, err);
}

static bool check_where(const char *where, struct error *err) {
	struct jobfile job = {.table = (char *)"t", .kind = JOB_UPDATE, .where = (char *)where};
	return sqlcheck_job(&sqlcheck_postgres, &job, err);
}

static bool check_statement_as(const char *schema, bool allow_delete, const char *statement, struct error *err) {
	struct jobfile job = {.schema = (char *)schema,
	                      .table = (char *)"t",
	                      .kind = JOB_STATEMENT,
	                      .statement = (char *)statement,
	                      .allow_delete = allow_delete};
	return sqlcheck_job(&sqlcheck_postgres, &job, err);
}

static void assert_refused(const char *sql, bool passed, const struct error *err, const char *part) {
	if (passed)
		fail_msg("let through: %s", sql);
	assert_int_equal(err->code, ERROR_DATA);
	if (strstr(err->message, part) == NULL)
		fail_msg("%s: the message \"%s\" lacks \"%s\"", sql, err->message, part);
}

static void good_expressions(void **state) {
	(void)state;
	static const char *const good[] = {
		"least(100, amount / 10)",
		"'it''s ; -- no comment /* here */'",
		"$$;$$",
		"$a$ ) $$ ; /* $a$",
		"E'\\''",
		"E'\\\\' || '('",
		"\"(((\" || \"a\"\"]\"",
		"'{range}'",
		"\"{range}\"",
		"$${range}$$",
		"U&'\\0441' || 'ж'",
		"(SELECT max(b) FROM u WHERE u.id = t.id)",
		"CASE WHEN a THEN 1 ELSE 2 END",
		"a[1:2]",
		"ARRAY[1,2]",
		"(1, 2)",
		"a::numeric(10,2)",
		"row(t.*)::text",
		"(t.addr).city",
		"data -> 'x' ->> 'y'",
		"data ? 'x'",
		"NULL",
		"a AT TIME ZONE 'UTC'",
		"1\n+\n1",
	};
	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		struct error err = {0};
		if (!check_set(good[i], &err) || !check_where(good[i], &err))
			fail_msg("%s: %s", good[i], err.message);
	}
}

static void bad_expressions(void **state) {
	(void)state;
	static const struct {
		const char *sql, *part;
	} bad[] = {
		{"", "empty"},
		{"   ", "empty"},
		{"true) or (true", "column 5: closes a bracket that it did not open"},
		{"true) or exists(select 1", "did not open"},
		{"1) UNION SELECT 1 --", "did not open"},
		{"1; drop table x", "column 2: a `;`"},
		{"1;", "`;`"},
		{"1 /* x */", "comments"},
		{"1 -- x", "comments"},
		{"1\n\n  -- x", "line 3, column 3: comments"},
		{"'ж' || 'жж' -- x", "column 13: comments"},
		{"a = 1, b", "not one expression"},
		{"1, 2", "not one expression"},
		{"1 AS x", "syntax error"},
		{"1 AS x, 2", "syntax error"},
		{"1 x", "syntax error"},
		{"1 GROUP BY a", "syntax error"},
		{"1 ORDER BY 1", "syntax error"},
		{"1 FROM u", "syntax error"},
		{"SELECT 1", "syntax error"},
		{"VALUES (1)", "syntax error"},
		{"TABLE u", "syntax error"},
		{"DISTINCT a", "syntax error"},
		{"ALL a", "syntax error"},
		{"*", "syntax error"},
		{"t.*", "`*`"},
		{"(row(1)).*", "`*`"},
		{"DEFAULT", "DEFAULT"},
		{"(a", "never closed"},
		{"a]", "did not open"},
		{"(a]", "another kind"},
		{"$1", "parameters"},
		{"a \\g", "psql"},
		{"'open", "unterminated"},
		{"$$open", "unterminated"},
		{"E'\\'", "unterminated"},
		{"\"open", "unterminated"},
		{"{range}", "only a `statement`"},
		{"a = 1 AND", "before it is complete"},
		{"\xff\xfe", "UTF-8"},
	};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct error err = {0};
		assert_refused(bad[i].sql, check_set(bad[i].sql, &err), &err, bad[i].part);
		assert_non_null(strstr(err.message, "set.x"));
		memset(&err, 0, sizeof err);
		assert_refused(bad[i].sql, check_where(bad[i].sql, &err), &err, bad[i].part);
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
	/* Whatever comes of these, it is an answer and not a crash. */
	static const char *const chains[] = {"1+", "- ", "NOT ", "@ ", "a||", "a AND ", "a OR b AND ", "NOT a OR "};
	for (size_t i = 0; i < sizeof chains / sizeof *chains; i++) {
		autofree char *chain = repeat("", chains[i], (16 * 1024 - 2) / strlen(chains[i]), "1");
		check_set(chain, &err);
	}
	static const char *const tails[] = {"::int", "[1]", ".b", " IS NULL", " COLLATE c"};
	for (size_t i = 0; i < sizeof tails / sizeof *tails; i++) {
		autofree char *chain = repeat("a", tails[i], (16 * 1024 - 2) / strlen(tails[i]), "");
		check_set(chain, &err);
	}
	autofree char *many = repeat("a = 0", " OR a = 1", 1500, "");
	assert_true(check_set(many, &err));
}

static void good_statements(void **state) {
	(void)state;
	static const char *const good[] = {
		"UPDATE t SET a = 1 WHERE {range}",
		"UPDATE public.t SET a = 1 WHERE b IS NULL AND {range}",
		"UPDATE ONLY public.t AS x SET a = 1 WHERE (b OR c) AND ({range x} AND d)",
		"UPDATE t AS \"X y\" SET a = 1 WHERE {range \"X y\"}",
		"UPDATE t X SET a = 1 WHERE { range  X }",
		"UPDATE u SET a = t.a FROM t WHERE u.id = t.id AND {range t}",
		"UPDATE t SET a = '{range}' || $${range}$$, \"{range}\" = E'\\'{range}' WHERE {range}",
		"DELETE FROM t WHERE {range} AND old",
		"DELETE FROM t USING u WHERE {range} AND old",
		"DELETE FROM u USING t x WHERE x.id = u.id AND {range x}",
		"INSERT INTO s (a, b) SELECT x.a, u.b FROM public.t x JOIN u ON u.id = x.id WHERE {range x} AND u.ok ORDER BY 1",
		"INSERT INTO s SELECT * FROM t LEFT JOIN u USING (id) WHERE {range t} ON CONFLICT (id) DO UPDATE SET a = excluded.a",
		"INSERT INTO s SELECT a, (SELECT count(*) FROM u GROUP BY b LIMIT 1) FROM t WHERE {range}",
		"INSERT INTO s WITH w AS (SELECT 1 AS id) SELECT a FROM t, w WHERE {range t} AND w.id = t.b",
		"UPDATE t SET a = 1 WHERE {range} AND NOT EXISTS (SELECT 1 FROM t t2 WHERE t2.id = t.b)",
		"UPDATE t SET a = 1 FROM other.t o WHERE {range} AND o.id = t.id",
	};
	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		struct error err = {0};
		if (!check_statement_as("public", true, good[i], &err))
			fail_msg("%s: %s", good[i], err.message);
	}
}

static void bad_statements(void **state) {
	(void)state;
	static const struct {
		const char *sql, *part;
	} bad[] = {
		{"UPDATE t SET a = 1", "missing"},
		{"UPDATE t SET a = '{range}'", "missing"},
		{"UPDATE t SET a = 1 WHERE {range} AND {range}", "second time"},
		{"UPDATE t SET a = 1 WHERE {rang}", "only {range}"},
		{"UPDATE t SET a = 1 WHERE {range t t}", "only {range}"},
		{"UPDATE t SET a = 1 WHERE {range 1}", "not a name"},
		{"UPDATE t SET a = 1 WHERE {\"range\"}", "only {range}"},
		{"UPDATE t SET a = 1 WHERE {range", "only {range}"},
		{"UPDATE t SET a = 1 WHERE range}", "only {range}"},
		{"UPDATE t SET a = 1 WHERE {/* */range}", "comments"},
		{"UPDATE t SET a = 1 WHERE {range}; DELETE FROM t", "`;`"},
		{"UPDATE t SET a = 1 WHERE {range} -- x", "comments"},
		{"UPDATE t SET a = $1 WHERE {range}", "parameters"},
		{"UPDATE t SET a = 1 WHERE b OR {range}", "condition of its own"},
		{"UPDATE t SET a = 1 WHERE {range} OR b", "condition of its own"},
		{"UPDATE t SET a = 1 WHERE b AND {range} OR c", "condition of its own"},
		{"UPDATE t SET a = 1 WHERE NOT {range}", "condition of its own"},
		{"UPDATE t SET a = 1 WHERE {range} IS NOT TRUE", "condition of its own"},
		{"UPDATE t SET a = 1 WHERE {range} = b", "condition of its own"},
		{"UPDATE t SET a = 1 WHERE {range}::text = b", "condition of its own"},
		{"UPDATE t SET a = 1 WHERE f{range}", "condition of its own"},
		{"UPDATE t SET a = 1 WHERE b IN {range}", "condition of its own"},
		{"UPDATE t SET a = 1 WHERE CASE WHEN {range} THEN b ELSE true END", "condition of its own"},
		{"UPDATE t SET a = 1 WHERE EXISTS (SELECT 1 FROM u WHERE {range})", "condition of its own"},
		{"UPDATE t SET a = (SELECT 1 FROM u WHERE {range})", "condition of its own"},
		{"UPDATE t SET a = {range} WHERE true", "condition of its own"},
		{"UPDATE t SET a = 1 WHERE \"backfilld range\".\"x\" = 1 AND (b OR {range})", "condition of its own"},
		{"UPDATE t SET a = 1 WHERE {range} RETURNING a", "RETURNING"},
		{"UPDATE u SET a = 1 WHERE {range}", "does not stand"},
		{"UPDATE other.t SET a = 1 WHERE {range}", "does not stand"},
		{"UPDATE db.public.t SET a = 1 WHERE {range}", "without the database"},
		{"UPDATE t SET a = 1 FROM t t2 WHERE {range t2}", "more than once"},
		{"UPDATE t x SET a = 1 WHERE {range}", "called x here"},
		{"UPDATE t x SET a = 1 WHERE {range y}", "called x here"},
		{"UPDATE t x SET a = 1 FROM u WHERE {range u}", "called x here"},
		{"UPDATE t AS X SET a = 1 WHERE {range \"X\"}", "called x here"},
		{"UPDATE u SET a = 1 FROM (SELECT * FROM t) t WHERE {range t}", "does not stand"},
		{"UPDATE u SET a = 1 FROM t AS x (c1, c2) WHERE {range x}", "rename its columns"},
		{"INSERT INTO s SELECT 1 FROM (t JOIN u ON true) AS t WHERE {range t}", "does not stand"},
		{"UPDATE u SET a = 1 FROM t TABLESAMPLE system (10) WHERE {range t}", "does not stand"},
		{"WITH t AS (SELECT 1) UPDATE u SET a = 1 FROM t WHERE {range t}", "WITH query has the name"},
		{"WITH d AS (DELETE FROM u RETURNING 1) UPDATE t SET a = 1 WHERE {range}", "WITH query that writes"},
		{"WITH d AS (UPDATE t SET a = 1 WHERE {range} RETURNING 1) SELECT 1 FROM d", "must be an INSERT"},
		{"SELECT 1 FROM t WHERE {range}", "must be an INSERT"},
		{"MERGE INTO t USING u ON {range} WHEN MATCHED THEN DELETE", "must be an INSERT"},
		{"TRUNCATE t", "missing"},
		{"EXPLAIN ANALYZE DELETE FROM t WHERE {range}", "must be an INSERT"},
		{"PREPARE p AS DELETE FROM t WHERE {range}", "must be an INSERT"},
		{"COPY (SELECT 1 FROM t WHERE {range}) TO PROGRAM 'x'", "must be an INSERT"},
		{"INSERT INTO s VALUES (1) ON CONFLICT (id) DO UPDATE SET a = 1 WHERE {range}", "VALUES"},
		{"INSERT INTO s SELECT a FROM t WHERE {range} LIMIT 10", "LIMIT"},
		{"INSERT INTO s SELECT a FROM t WHERE {range} OFFSET 10", "OFFSET"},
		{"INSERT INTO s SELECT a FROM t WHERE {range} FETCH FIRST 1 ROW ONLY", "LIMIT"},
		{"INSERT INTO s SELECT a FROM t WHERE {range} GROUP BY a", "GROUP BY"},
		{"INSERT INTO s SELECT 1 FROM t WHERE {range} HAVING true", "HAVING"},
		{"INSERT INTO s SELECT DISTINCT a FROM t WHERE {range}", "DISTINCT"},
		{"INSERT INTO s SELECT DISTINCT ON (a) a FROM t WHERE {range}", "DISTINCT"},
		{"INSERT INTO s SELECT rank() OVER w FROM t WHERE {range} WINDOW w AS (ORDER BY a)", "WINDOW"},
		{"INSERT INTO s SELECT a FROM u UNION SELECT a FROM t WHERE {range}", "UNION"},
		{"INSERT INTO s SELECT a FROM t WHERE {range} EXCEPT SELECT a FROM u", "UNION"},
		{"INSERT INTO s SELECT a FROM (SELECT a FROM t WHERE {range}) x", "condition of its own"},
		{"INSERT INTO s SELECT a FROM t JOIN u ON {range}", "condition of its own"},
		{"INSERT INTO s SELECT a FROM t RIGHT JOIN u USING (id) WHERE {range}", "merges columns"},
		{"DELETE FROM u USING v RIGHT JOIN t USING (id) WHERE {range}", "merges columns"},
		{"INSERT INTO s SELECT a FROM t NATURAL JOIN u WHERE {range}", "merges columns"},
		{"INSERT INTO t SELECT a FROM t WHERE {range}", "table it walks"},
		{"UPDATE t SET a = WHERE {range}", "syntax error"},
	};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct error err = {0};
		assert_refused(bad[i].sql, check_statement_as("public", true, bad[i].sql, &err), &err, bad[i].part);
	}
	struct error err = {0};
	const char *sql = "DELETE FROM t WHERE {range}";
	assert_refused(sql, check_statement_as("public", false, sql, &err), &err, "deletes rows");
	assert_non_null(strstr(err.hint, "allow_delete"));
	sql = "UPDATE public.t SET a = 1 WHERE {range}";
	assert_refused(sql, check_statement_as(NULL, false, sql, &err), &err, "name it in both");
}

static void ranges(void **state) {
	(void)state;
	struct sqlcheck_range range;
	struct error err = {0};
	const char *sql = "UPDATE t SET a = 'ж{range}' WHERE {range  Abc} AND b";
	assert_true(sqlcheck_find_range(sql, &range, &err));
	assert_ptr_equal(sql + range.offset, strstr(sql, "{range  Abc}"));
	assert_int_equal(range.length, strlen("{range  Abc}"));
	assert_string_equal(range.alias, "abc");
	assert_true(sqlcheck_find_range("{range \"Abc\"}", &range, &err));
	assert_string_equal(range.alias, "Abc");
	assert_true(sqlcheck_find_range("{range}", &range, &err));
	assert_string_equal(range.alias, "");
	assert_int_equal(range.length, 7);
	assert_false(sqlcheck_find_range("'{range}", &range, &err));
	assert_false(sqlcheck_find_range("/* {range} */", &range, &err));
	autofree char *name = repeat("{range ", "a", 64, "}");
	assert_false(sqlcheck_find_range(name, &range, &err));
}

static void targets(void **state) {
	(void)state;
	struct jobfile job = {.schema = (char *)"public", .table = (char *)"t", .kind = JOB_STATEMENT};
	struct sqlcheck_target target;
	struct error err = {0};
	job.statement = (char *)"UPDATE ONLY t SET a = 1, (b, c) = (1, 2) WHERE {range}";
	assert_true(sqlcheck_statement(&sqlcheck_postgres, &job, &target, &err));
	assert_int_equal(target.command, SQLCHECK_UPDATE);
	assert_int_equal(target.ncolumns, 3);
	assert_string_equal(target.columns[2], "c");
	assert_true(target.only && target.is_worked_table && target.schema == NULL);
	sqlcheck_target_free(&target);
	job.statement = (char *)"INSERT INTO s.u (x) SELECT a FROM t WHERE {range} ON CONFLICT (x) DO UPDATE SET x = 1";
	assert_true(sqlcheck_statement(&sqlcheck_postgres, &job, &target, &err));
	assert_int_equal(target.command, SQLCHECK_INSERT);
	assert_string_equal(target.schema, "s");
	assert_string_equal(target.columns[0], "x");
	assert_true(target.updates_on_conflict && !target.only && !target.is_worked_table);
	sqlcheck_target_free(&target);
}

static void old_values_that_the_predicate_fixes(void **state) {
	(void)state;
	static const struct {
		const char *where;
		bool fixed;
	} cases[] = {
		{"a IS NULL AND b IS NULL", true},
		{"(b is null) AND id > 5 AND ((\"a\") IS NULL AND x)", true},
		{"a IS NULL", false},
		{"a IS NULL OR b IS NULL", false},
		{"a IS NULL AND NOT (b IS NULL)", false},
		{"a IS NULL AND b IS NOT NULL", false},
		{"a IS NULL AND b = 1", false},
		{"a IS NULL AND EXISTS (SELECT FROM u WHERE b IS NULL)", false},
		{"a IS NULL AND coalesce(b, 1) IS NULL", false},
		{"a IS NULL AND \"B\" IS NULL", false},
		{"(a, b) IS NULL", false},
		{NULL, false},
	};
	struct assignment set[] = {{(char *)"a", (char *)"1"}, {(char *)"b", (char *)"2"}};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct jobfile job = {.kind = JOB_UPDATE, .set = set, .nset = 2, .where = (char *)cases[i].where};
		if (sqlcheck_old_values_null(&sqlcheck_postgres, &job) != cases[i].fixed)
			fail_msg("%s", cases[i].where);
	}
}

static void work_that_may_be_done_twice(void **state) {
	(void)state;
	struct assignment set[] = {{(char *)"a", (char *)"1"}, {(char *)"b", (char *)"2"}};
	static const struct {
		enum job_kind kind;
		const char *where;
		enum on_conflict on_conflict;
		bool may;
	} cases[] = {
		{JOB_UPDATE, "a IS NULL", 0, true},
		{JOB_UPDATE, "c > 1 AND (t.b IS DISTINCT FROM 7 OR c = 5)", 0, true},
		{JOB_UPDATE, "coalesce(lower(a), 'x') <> 'x'", 0, true},
		{JOB_UPDATE, "b IN (SELECT c FROM other)", 0, true},
		{JOB_UPDATE, "c IN (SELECT b FROM other)", 0, false},
		{JOB_UPDATE, NULL, 0, false},
		{JOB_UPDATE, "c IS NULL", 0, false},
		{JOB_UPDATE, "c = 'a'", 0, false},
		{JOB_UPDATE, "EXISTS (SELECT 1 FROM other WHERE a IS NULL)", 0, false},
		{JOB_INSERT, "a IS NULL", CONFLICT_ERROR, false},
		{JOB_INSERT, "a IS NULL", CONFLICT_UPDATE, false},
		{JOB_INSERT, NULL, CONFLICT_SKIP, true},
		{JOB_STATEMENT, NULL, 0, false},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct jobfile job = {.kind = cases[i].kind,
		                      .set = set,
		                      .nset = cases[i].kind == JOB_UPDATE ? 2 : 0,
		                      .where = (char *)cases[i].where,
		                      .on_conflict = cases[i].on_conflict};
		struct error err = {0};
		assert_true(sqlcheck_sweep(&sqlcheck_postgres, &job, &err)); /* nobody asks for it */
		job.sweep = true;
		if (sqlcheck_sweep(&sqlcheck_postgres, &job, &err) != cases[i].may)
			fail_msg("%zu: %s", i, cases[i].where);
		assert_int_equal(strstr(err.message, "sweep: ") != NULL, !cases[i].may);
	}
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(work_that_may_be_done_twice),
		cmocka_unit_test(old_values_that_the_predicate_fixes),
		cmocka_unit_test(good_expressions),
		cmocka_unit_test(bad_expressions),
		cmocka_unit_test(limits),
		cmocka_unit_test(good_statements),
		cmocka_unit_test(bad_statements),
		cmocka_unit_test(ranges),
		cmocka_unit_test(targets),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
