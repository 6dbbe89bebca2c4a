/* test_explain_postgres.c: plans as PostgreSQL 15 wrote them (costs and widths left out), and what is made of them. */
#include "daemon/engine/explain.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const char agg_plan[] =
	"[{\"Plan\":{\"Node Type\":\"ModifyTable\",\"Operation\":\"Insert\",\"Relation Name\":\"e2\","
	"\"Schema\":\"public\",\"Alias\":\"e2\",\"Total Cost\":47.76,\"Plan Rows\":0,"
	"\"Plans\":[{\"Node Type\":\"Subquery Scan\",\"Parent Relationship\":\"Outer\",\"Alias\":\"*SELECT*\","
	"\"Total Cost\":47.76,\"Plan Rows\":1,\"Plans\":[{\"Node Type\":\"Aggregate\",\"Strategy\":\"Plain\","
	"\"Partial Mode\":\"Simple\",\"Parent Relationship\":\"Subquery\",\"Total Cost\":47.75,\"Plan Rows\":1,"
	"\"Plans\":[{\"Node Type\":\"Index Only Scan\",\"Parent Relationship\":\"Outer\","
	"\"Scan Direction\":\"Forward\",\"Index Name\":\"e_pkey\",\"Relation Name\":\"e\",\"Schema\":\"public\","
	"\"Alias\":\"e\",\"Total Cost\":45.26,\"Plan Rows\":992,"
	"\"Index Cond\":\"((e.id > 1) AND (e.id <= 1000))\"}]}]}]}}]";

static const char bitmap_plan[] =
	"[{\"Plan\":{\"Node Type\":\"ModifyTable\",\"Operation\":\"Update\",\"Relation Name\":\"e\","
	"\"Schema\":\"public\",\"Alias\":\"e\",\"Total Cost\":1651.64,\"Plan Rows\":0,"
	"\"Plans\":[{\"Node Type\":\"Bitmap Heap Scan\",\"Parent Relationship\":\"Outer\",\"Relation Name\":\"e\","
	"\"Schema\":\"public\",\"Alias\":\"e\",\"Total Cost\":1651.64,\"Plan Rows\":992,"
	"\"Recheck Cond\":\"((e.id > 1) AND (e.id <= 1000))\",\"Plans\":[{\"Node Type\":\"Bitmap Index Scan\","
	"\"Parent Relationship\":\"Outer\",\"Index Name\":\"e_pkey\",\"Total Cost\":22.34,\"Plan Rows\":992,"
	"\"Index Cond\":\"((e.id > 1) AND (e.id <= 1000))\"}]}]}}]";

static const char boundary_plan[] =
	"[{\"Plan\":{\"Node Type\":\"Limit\",\"Total Cost\":40.82,\"Plan Rows\":1,"
	"\"Plans\":[{\"Node Type\":\"Index Only Scan\",\"Parent Relationship\":\"Outer\","
	"\"Scan Direction\":\"Forward\",\"Index Name\":\"e_pkey\",\"Relation Name\":\"e\",\"Schema\":\"public\","
	"\"Alias\":\"e\",\"Total Cost\":8042.38,\"Plan Rows\":199048,"
	"\"Index Cond\":\"((e.id > 1) AND (e.id <= 199000))\"}]}}]";

static const char insert_plan[] =
	"[{\"Plan\":{\"Node Type\":\"Aggregate\",\"Strategy\":\"Plain\",\"Partial Mode\":\"Simple\","
	"\"Total Cost\":125.26,\"Plan Rows\":1,\"Plans\":[{\"Node Type\":\"ModifyTable\",\"Operation\":\"Insert\","
	"\"Parent Relationship\":\"InitPlan\",\"Subplan Name\":\"CTE w\",\"Relation Name\":\"e2\","
	"\"Schema\":\"public\",\"Alias\":\"e2\",\"Total Cost\":55.18,\"Plan Rows\":992,"
	"\"Conflict Resolution\":\"NOTHING\",\"Conflict Arbiter Indexes\":[\"e2_pkey\"],"
	"\"Plans\":[{\"Node Type\":\"Index Scan\",\"Parent Relationship\":\"Outer\",\"Scan Direction\":\"Forward\","
	"\"Index Name\":\"e_pkey\",\"Relation Name\":\"e\",\"Schema\":\"public\",\"Alias\":\"e\",\"Total Cost\":45.26,"
	"\"Plan Rows\":992,\"Index Cond\":\"((e.id > 1) AND (e.id <= 1000))\"}]},{\"Node Type\":\"Aggregate\","
	"\"Strategy\":\"Plain\",\"Partial Mode\":\"Simple\",\"Parent Relationship\":\"InitPlan\","
	"\"Subplan Name\":\"InitPlan 2 (returns $2)\",\"Total Cost\":47.75,\"Plan Rows\":1,"
	"\"Plans\":[{\"Node Type\":\"Index Only Scan\",\"Parent Relationship\":\"Outer\","
	"\"Scan Direction\":\"Forward\",\"Index Name\":\"e_pkey\",\"Relation Name\":\"e\",\"Schema\":\"public\","
	"\"Alias\":\"e_1\",\"Total Cost\":45.26,\"Plan Rows\":992,"
	"\"Index Cond\":\"((e_1.id > 1) AND (e_1.id <= 1000))\"}]},{\"Node Type\":\"CTE Scan\","
	"\"Parent Relationship\":\"Outer\",\"CTE Name\":\"w\",\"Alias\":\"w\",\"Total Cost\":19.84,"
	"\"Plan Rows\":992}]}}]";

static const char null_plan[] =
	"[{\"Plan\":{\"Node Type\":\"ModifyTable\",\"Operation\":\"Update\",\"Relation Name\":\"e\","
	"\"Schema\":\"public\",\"Alias\":\"e\",\"Total Cost\":0.0,\"Plan Rows\":0,\"Plans\":[{\"Node Type\":\"Result\","
	"\"Parent Relationship\":\"Outer\",\"Total Cost\":0.0,\"Plan Rows\":0,\"One-Time Filter\":\"false\"}]}}]";

static const char pred_plan[] =
	"[{\"Plan\":{\"Node Type\":\"ModifyTable\",\"Operation\":\"Update\",\"Relation Name\":\"e\","
	"\"Schema\":\"public\",\"Alias\":\"e\",\"Total Cost\":8.44,\"Plan Rows\":0,"
	"\"Plans\":[{\"Node Type\":\"Index Scan\",\"Parent Relationship\":\"Outer\",\"Scan Direction\":\"Forward\","
	"\"Index Name\":\"e_k\",\"Relation Name\":\"e\",\"Schema\":\"public\",\"Alias\":\"e\",\"Total Cost\":8.44,"
	"\"Plan Rows\":1,\"Index Cond\":\"(e.k = 'abc'::text)\",\"Filter\":\"((e.id > 100) AND (e.id <= 110000))\"}]}}]";

static const char seq_plan[] = "[{\"Plan\":{\"Node Type\":\"ModifyTable\",\"Operation\":\"Update\",\"Relation Name\":\"e\","
							   "\"Schema\":\"public\",\"Alias\":\"e\",\"Total Cost\":4870.0,\"Plan Rows\":0,"
							   "\"Plans\":[{\"Node Type\":\"Seq Scan\",\"Parent Relationship\":\"Outer\",\"Relation Name\":\"e\","
							   "\"Schema\":\"public\",\"Alias\":\"e\",\"Total Cost\":4870.0,\"Plan Rows\":190290,"
							   "\"Filter\":\"((e.id > 100) AND (e.id <= 190000))\"}]}}]";

static bool judge_of(const char *plan, const char *table, struct explain_verdict *v, struct error *err) {
	const struct shape_leaf leaf = {.schema = (char *)"public", .name = (char *)table};
	static const struct table_shape shape = {.key = {{.name = (char *)"id"}}, .nkey = 1};
	return explain_postgres_judge(plan, &shape, &leaf, v, err);
}

static struct explain_verdict judge(const char *plan) {
	struct explain_verdict v;
	struct error err = {0};
	assert_true(judge_of(plan, "e", &v, &err));
	return v;
}

static void by_key(void **state) {
	(void)state;
	static const char *const plans[] = {bitmap_plan, boundary_plan, insert_plan};
	for (size_t i = 0; i < sizeof plans / sizeof *plans; i++) {
		struct explain_verdict v = judge(plans[i]);
		assert_true(v.reads && v.by_key && !v.sorts);
		assert_string_equal(v.depends, "");
		assert_string_equal(v.other, "");
	}
	assert_string_equal(judge(boundary_plan).scan, "Index Only Scan");
	assert_string_equal(judge(boundary_plan).index, "e_pkey");
}

static void not_by_key(void **state) {
	(void)state;
	struct explain_verdict v = judge(seq_plan);
	assert_true(v.reads && !v.by_key);
	assert_string_equal(v.scan, "Seq Scan");
	/* An index of the predicate's column reads outside of the range. */
	v = judge(pred_plan);
	assert_true(v.reads && !v.by_key);
	assert_string_equal(v.index, "e_k");
}

static void proven_empty(void **state) {
	(void)state;
	struct explain_verdict v = judge(null_plan);
	assert_true(!v.reads && v.proven_empty);
	assert_string_equal(v.depends, "");
}

static void depends_on_batch(void **state) {
	(void)state;
	assert_string_equal(judge(agg_plan).depends, "Aggregate");
	/* INSERT … SELECT max(id) FROM e WHERE …: the scan is in an InitPlan, under a Limit. */
	static const char minmax[] = "[{\"Plan\":{\"Node Type\":\"ModifyTable\",\"Plans\":[{\"Node Type\":\"Result\"}]}}]";
	assert_string_equal(judge(minmax).depends, "InitPlan");
}

static void other_relations(void **state) {
	(void)state;
	struct explain_verdict v;
	assert_true(judge_of(seq_plan, "x", &v, NULL));
	assert_false(v.reads);
	assert_string_equal(v.other, "public.e");
	assert_true(v.other_rows > 100000);
}

static void words(void **state) {
	(void)state;
	static const char form[] = "[{\"Plan\":{\"Node Type\":\"Index Scan\",\"Schema\":\"public\",\"Relation Name\":\"e\","
							   "\"Index Cond\":\"%s\"}}]";
	static const struct {
		const char *condition;
		bool by_key;
	} cases[] = {
		{"(e.id > 1)", true},
		{"(e.\\\"id\\\" > 1)", true},
		{"(ROW(id, k) > ROW(1, 'a'::text))", true},
		{"(e.idx > 1)", false},
		{"(e.my_id > 1)", false},
		{"(e.k = 'id'::text)", false},
		{"(e.k = 'it''s id'::text)", false},
		{"(e.k = 'x'::text AND id > 1)", true},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char plan[512];
		snprintf(plan, sizeof plan, form, cases[i].condition);
		assert_int_equal(judge(plan).by_key, cases[i].by_key);
	}
}

static void unreadable(void **state) {
	(void)state;
	struct explain_verdict v;
	struct error err = {0};
	assert_false(judge_of("", "e", &v, &err));
	assert_false(judge_of("[]", "e", &v, &err));
	assert_false(judge_of("{\"Plan\":1}", "e", &v, &err));
	assert_int_equal(err.code, ERROR_INTERNAL);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(by_key),           cmocka_unit_test(not_by_key),      cmocka_unit_test(proven_empty),
		cmocka_unit_test(depends_on_batch), cmocka_unit_test(other_relations), cmocka_unit_test(words),
		cmocka_unit_test(unreadable),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
