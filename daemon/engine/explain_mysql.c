#include "daemon/engine/explain.h"

#include "common/text.h"
#include "daemon/engine/explain_mysql_json.h"
#include "daemon/engine/facts.h"

#include <string.h>
#include <strings.h>

struct judge {
	const struct table_shape *shape;
	const char *relation;
	struct explain_verdict v;
};

/* What stands between the root and a node. */
struct path {
	bool sorts;
	bool subquery; /* of an expression */
};

/* How many of the key's columns, from the first, the access is bounded by. MariaDB names those before the first descending one;
 * a range that goes by an index goes by its first column at least. */
static size_t used_columns(const struct judge *j, const json_t *table) {
	const json_t *parts = json_object_get(table, "used_key_parts");
	size_t used = 0;
	if (parts == NULL)
		return 1;
	while (used < j->shape->nkey && used < json_array_size(parts) &&
	       strcmp(json_string_value(json_array_get(parts, used)), j->shape->key[used].name) == 0)
		used++;
	return used;
}

static bool is_key_index(const struct judge *j, const json_t *table) {
	const char *index = j->shape->key_index != NULL ? j->shape->key_index : "PRIMARY";
	return strcasecmp(fact_text(table, "key"), index) == 0;
}

/*
 * "index" reads all of it, and "range" over another index, or over less than the whole key, may read far beyond the batch; so
 * does a filter that MariaDB makes of another index first. https://mariadb.com/kb/en/rowid-filtering-optimization/
 */
static bool is_by_key(const struct judge *j, const json_t *table) {
	static const char *const bounded[] = {"range", "ref", "eq_ref", "const", "system", NULL};
	return text_is_one_of(fact_text(table, "access_type"), bounded) && is_key_index(j, table) &&
	       used_columns(j, table) == j->shape->nkey && json_object_get(table, "rowid_filter") == NULL;
}

static void look_at_worked(struct judge *j, const json_t *table, const struct path *path) {
	bool by_key = is_by_key(j, table);
	bool whole_index = by_key || (strcmp(fact_text(table, "access_type"), "index") == 0 && is_key_index(j, table));
	if (!j->v.reads || j->v.by_key) {
		text_format(j->v.scan, sizeof j->v.scan, "access type %s", fact_text(table, "access_type"));
		text_format(j->v.index, sizeof j->v.index, "%s", fact_text(table, "key"));
	}
	j->v.by_key = by_key && (!j->v.reads || j->v.by_key);
	j->v.whole_index = whole_index && (!j->v.reads || j->v.whole_index);
	j->v.reads = true;
	j->v.sorts |= path->sorts;
}

static double rows_of(const json_t *table) {
	const json_t *rows = json_object_get(table, "rows"); /* MariaDB's */
	return json_number_value(rows != NULL ? rows : json_object_get(table, "rows_examined_per_scan"));
}

static void look_at_other(struct judge *j, const json_t *table) {
	static const char *const full[] = {"ALL", "index", NULL};
	double rows = rows_of(table);
	if (!text_is_one_of(fact_text(table, "access_type"), full) || rows < j->v.other_rows)
		return;
	j->v.other_rows = rows;
	text_format(j->v.other, sizeof j->v.other, "%s", fact_text(table, "table_name"));
}

static void look_at(struct judge *j, const json_t *node, struct path path);

/* A derived table is looked into; the target of an INSERT is not read. */
static void look_at_table(struct judge *j, const json_t *table, const struct path *path) {
	const json_t *derived = json_object_get(table, "materialized"); /* MariaDB's */
	if (derived == NULL)
		derived = json_object_get(table, "materialized_from_subquery");
	if (fact_text(table, "message")[0] != '\0' || json_is_true(json_object_get(table, "insert")) || derived != NULL)
		return;
	if (!path->subquery && strcasecmp(fact_text(table, "table_name"), j->relation) == 0)
		look_at_worked(j, table, path);
	else
		look_at_other(j, table);
}

/* Into each object and array below: what names the rest of the plan differs between the servers. */
static void look_into(struct judge *j, const json_t *node, struct path path) {
	const char *name;
	json_t *member;
	size_t i;
	json_array_foreach(node, i, member) {
		look_at(j, member, path);
	}
	json_object_foreach((json_t *)node, name, member) {
		static const char *const sorts[] = {"filesort", "read_sorted_file", NULL};
		struct path below = path;
		size_t length = strlen(name);
		below.subquery |= length >= 10 && strcmp(name + length - 10, "subqueries") == 0;
		below.sorts |= text_is_one_of(name, sorts);
		if (strcmp(name, "table") == 0)
			look_at_table(j, member, &below);
		look_at(j, member, below);
	}
}

/* "Impossible WHERE", "no matching row in const table": there is nothing to find.
 * https://dev.mysql.com/doc/refman/8.4/en/explain-output.html */
static void look_at_message(struct judge *j, const char *message, const struct path *path) {
	if (!path->subquery && (strncasecmp(message, "impossible", 10) == 0 || strncasecmp(message, "no matching", 11) == 0))
		j->v.proven_empty = true;
}

static void look_at(struct judge *j, const json_t *node, struct path path) {
	if (json_is_true(json_object_get(node, "using_filesort")))
		path.sorts = true;
	look_at_message(j, fact_text(node, "message"), &path);
	look_into(j, node, path);
}

bool explain_mysql_judge(const char *json, const struct table_shape *shape, const struct shape_leaf *leaf,
                         struct explain_verdict *verdict, struct error *err) {
	json_error_t why;
	json_t *answer = explain_mysql_json(json, &why);
	const json_t *plan = json_object_get(answer, "query_block");
	struct judge j = {.shape = shape, .relation = leaf->name};
	if (plan != NULL)
		look_at(&j, plan, (struct path){0});
	bool found = j.v.reads || j.v.proven_empty;
	const char *problem = answer == NULL ? why.text : plan == NULL ? "no query_block in it" : "it does not name the table";
	if (!found)
		error_set(err, ERROR_INTERNAL, "the server's plan can't be read: %s", problem);
	json_decref(answer);
	if (found)
		*verdict = j.v;
	return found;
}
