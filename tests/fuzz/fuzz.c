#include "tests/fuzz/fuzz.h"

#include "common/mem.h"
#include "common/text.h"
#include "daemon/engine/dialect.h"

#include <pg_query.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void fuzz_fail(const char *condition, const char *file, int line) {
	fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, condition);
	abort();
}

char *fuzz_text(const uint8_t *data, size_t size) {
	return mem_dup_n((const char *)data, strnlen((const char *)data, size));
}

size_t fuzz_split(char *text, char separator, char *pieces[], size_t max) {
	size_t n = 0;
	for (char *at = text; at != NULL && n < max; n++) {
		pieces[n] = at;
		at = n + 1 < max ? strchr(at, separator) : NULL;
		if (at != NULL)
			*at++ = '\0';
	}
	return n;
}

bool fuzz_is_utf8(const char *text) {
	for (size_t left = strlen(text); left > 0;) {
		size_t length = text_character(text, left);
		if (length == 0)
			return false;
		text += length;
		left -= length;
	}
	return true;
}

void fuzz_require_error(const struct error *err, enum error_code code) {
	require(err->code == code);
	require(err->message[0] != '\0');
	require(fuzz_is_utf8(err->message));
	require(fuzz_is_utf8(err->hint));
}

/* ---- The batch ---- */

/* { "UpdateStmt": {…} } of a text that is exactly one statement. Gives a new reference. */
static json_t *parse_one(const char *sql) {
	PgQueryParseResult result = pg_query_parse(sql);
	if (result.error != NULL)
		fprintf(stderr, "%s\nin: %s\n", result.error->message, sql);
	require(result.error == NULL);
	json_t *tree = json_loads(result.parse_tree, JSON_ALLOW_NUL, NULL);
	pg_query_free_parse_result(result);
	const json_t *statements = json_object_get(tree, "stmts");
	require(json_array_size(statements) == 1);
	json_t *statement = json_incref(json_object_get(json_array_get(statements, 0), "stmt"));
	json_decref(tree);
	return statement;
}

static void require_members(const json_t *object, const char *const names[]) {
	const char *name;
	json_t *value;
	size_t known = 0;
	for (size_t i = 0; names[i] != NULL; i++)
		known += json_object_get(object, names[i]) != NULL;
	json_object_foreach((json_t *)object, name, value) {
		known--;
	}
	require(known == 0);
}

/* key > $1 AND key <= $2 AND (where). */
static void require_where(const json_t *level, const struct jobfile *job) {
	const json_t *where = json_object_get(json_object_get(level, "whereClause"), "BoolExpr");
	require(strcmp(json_string_value(json_object_get(where, "boolop")), "AND_EXPR") == 0);
	require(json_array_size(json_object_get(where, "args")) == (job->where != NULL ? 3 : 2));
}

static void require_update(const json_t *statement, const struct jobfile *job) {
	static const char *const members[] = {"relation", "targetList", "whereClause", NULL};
	const json_t *update = json_object_get(statement, "UpdateStmt");
	require_members(update, members);
	const json_t *targets = json_object_get(update, "targetList");
	require(json_array_size(targets) == job->nset);
	for (size_t i = 0; i < job->nset; i++) {
		const json_t *target = json_object_get(json_array_get(targets, i), "ResTarget");
		require(strcmp(json_string_value(json_object_get(target, "name")), job->set[i].column) == 0);
	}
	require_where(update, job);
}

static void require_insert(const json_t *statement, const struct jobfile *job) {
	static const char *const members[] = {"targetList", "fromClause", "whereClause", "sortClause", "limitOption", "op", NULL};
	const json_t *with = json_object_get(json_object_get(statement, "SelectStmt"), "withClause");
	const json_t *ctes = json_object_get(with, "ctes");
	require(json_array_size(ctes) == 1);
	const json_t *cte = json_object_get(json_array_get(ctes, 0), "CommonTableExpr");
	const json_t *insert = json_object_get(json_object_get(cte, "ctequery"), "InsertStmt");
	const json_t *select = json_object_get(json_object_get(insert, "selectStmt"), "SelectStmt");
	require_members(select, members);
	require(json_array_size(json_object_get(select, "targetList")) == job->ncolumns);
	require(json_array_size(json_object_get(select, "fromClause")) == 1);
	require_where(select, job);
}

static void require_statement(const json_t *statement) {
	static const char *const commands[] = {"InsertStmt", "UpdateStmt", "DeleteStmt"};
	size_t found = 0;
	for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
		found += json_object_get(statement, commands[i]) != NULL;
	require(found == 1);
}

void fuzz_require_work(const struct jobfile *job) {
	struct shape_leaf leaf = {.schema = (char *)"public", .name = job->table};
	char *conflict_key[] = {(char *)"id"};
	struct table_shape shape = {.schema = leaf.schema,
	                            .name = job->table,
	                            .key = {{.name = (char *)"id", .type = (char *)"bigint"}},
	                            .nkey = 1,
	                            .conflict_key = conflict_key,
	                            .nconflict_key = 1,
	                            .leaves = &leaf,
	                            .nleaves = 1};
	autofree char *sql = dialect_postgres.work(job, &shape, &leaf, true);
	json_t *statement = parse_one(sql);
	switch (job->kind) {
	case JOB_UPDATE:
		require_update(statement, job);
		break;
	case JOB_INSERT:
		require_insert(statement, job);
		break;
	case JOB_STATEMENT:
		require_statement(statement);
		break;
	}
	json_decref(statement);
}
