/* sqlcheck_postgres_where.c: what a `where` that has been checked says of a column. */
#include "common/mem.h"
#include "common/sqlcheck_tree.h"

#include <pg_query.h>
#include <stdlib.h>
#include <string.h>

/* The tree of a statement around it; NULL when there is none to be had: then nothing is true of it. */
static json_t *parse_where(const char *where) {
	autofree char *sql = mem_printf("SELECT 1 FROM t WHERE (\n%s\n)", where);
	PgQueryParseResult result = pg_query_parse(sql);
	json_t *tree = result.error == NULL ? json_loads(result.parse_tree, JSON_ALLOW_NUL, NULL) : NULL;
	pg_query_free_parse_result(result);
	return tree;
}

static const json_t *condition_of(const json_t *tree) {
	const json_t *statement = json_object_get(json_array_get(json_object_get(tree, "stmts"), 0), "stmt");
	return json_object_get(json_object_get(statement, "SelectStmt"), "whereClause");
}

/* ---- What it demands ---- */

/* `column IS NULL`, the column as the table's own: a lone name, which no subquery has around it. */
static bool is_null_test(const json_t *node, const void *column) {
	const json_t *test = json_object_get(node, "NullTest");
	const char *type = string_of(test, "nulltesttype");
	const json_t *fields = json_object_get(json_object_get(json_object_get(test, "arg"), "ColumnRef"), "fields");
	if (type == NULL || strcmp(type, "IS_NULL") != 0 || json_array_size(fields) != 1)
		return false;
	const char *name = string_of(json_object_get(json_array_get(fields, 0), "String"), "sval");
	return name != NULL && strcmp(name, column) == 0;
}

bool sqlcheck_demands(const json_t *where, sqlcheck_condition_fn *is, const void *context) {
	if (is(where, context))
		return true;
	const json_t *expr = json_object_get(where, "BoolExpr");
	const char *op = string_of(expr, "boolop");
	if (op == NULL || strcmp(op, "AND_EXPR") != 0)
		return false;
	const json_t *args = json_object_get(expr, "args");
	for (size_t i = 0; i < json_array_size(args); i++)
		if (sqlcheck_demands(json_array_get(args, i), is, context))
			return true;
	return false;
}

bool sqlcheck_tree_demands_null(const char *where, const char *column) {
	autojson *tree = parse_where(where);
	return sqlcheck_demands(condition_of(tree), is_null_test, column);
}

/* ---- What it reads ---- */

/* column or table.column. Inside a subquery the name may be another table's. */
static bool reads(const json_t *node, const char *column) {
	const json_t *fields = json_object_get(json_object_get(node, "ColumnRef"), "fields");
	if (fields != NULL) {
		const json_t *last = json_array_get(fields, json_array_size(fields) - 1);
		const char *name = string_of(json_object_get(last, "String"), "sval");
		return name != NULL && strcmp(name, column) == 0;
	}
	const char *member;
	json_t *value;
	json_object_foreach((json_t *)node, member, value) {
		if (strcmp(member, "subselect") != 0 && reads(value, column))
			return true;
	}
	for (size_t i = 0; i < json_array_size(node); i++)
		if (reads(json_array_get(node, i), column))
			return true;
	return false;
}

bool sqlcheck_tree_reads(const char *where, const char *column) {
	autojson *tree = parse_where(where);
	return reads(condition_of(tree), column);
}
