#include "daemon/engine/explain.h"

#include "common/text.h"
#include "daemon/engine/facts.h"
#include <ctype.h>
#include <jansson.h>
#include <string.h>

struct judge {
	const char *schema, *relation, *key;
	struct explain_verdict v;
};

/* What stands between the root and a node. */
struct path {
	bool sorts;
	const char *depends;
};

static bool is_name_char(char c) {
	return isalnum((unsigned char)c) || c == '_' || c == '$' || (unsigned char)c >= 0x80;
}

/* The column as a word outside of literals, `((t.id > 5) AND …)` or `(t."Id" > 5)`. */
static bool mentions(const char *condition, const char *column) {
	size_t length = strlen(column);
	bool literal = false;
	for (const char *at = condition; *at != '\0'; at++) {
		if (*at == '\'')
			literal = !literal;
		else if (!literal && strncmp(at, column, length) == 0 && (at == condition || !is_name_char(at[-1])) &&
		         !is_name_char(at[length]))
			return true;
	}
	return false;
}

/* Bitmaps: every arm of an OR must be bounded, one of an AND is enough. */
static bool bitmap_by_key(const struct judge *j, const json_t *node) {
	const char *type = fact_text(node, "Node Type");
	if (strcmp(type, "Bitmap Index Scan") == 0)
		return mentions(fact_text(node, "Index Cond"), j->key);
	bool all = strcmp(type, "BitmapOr") == 0;
	const json_t *plans = json_object_get(node, "Plans");
	size_t count = json_array_size(plans), bounded = 0;
	for (size_t i = 0; i < count; i++)
		bounded += bitmap_by_key(j, json_array_get(plans, i));
	return all ? bounded == count && count > 0 : bounded > 0;
}

static bool is_by_key(const struct judge *j, const json_t *node, const char *type) {
	static const char *const index_scans[] = {"Index Scan", "Index Only Scan", NULL};
	if (text_is_one_of(type, index_scans))
		return mentions(fact_text(node, "Index Cond"), j->key);
	return strcmp(type, "Bitmap Heap Scan") == 0 && bitmap_by_key(j, node);
}

static void look_at_worked(struct judge *j, const json_t *node, const char *type, const struct path *path) {
	bool by_key = is_by_key(j, node, type);
	if (!j->v.reads || j->v.by_key) {
		text_format(j->v.scan, sizeof j->v.scan, "%s", type);
		text_format(j->v.index, sizeof j->v.index, "%s", fact_text(node, "Index Name"));
	}
	j->v.by_key = by_key && (!j->v.reads || j->v.by_key);
	j->v.reads = true;
	j->v.sorts |= path->sorts;
	if (path->depends != NULL && j->v.depends[0] == '\0')
		text_format(j->v.depends, sizeof j->v.depends, "%s", path->depends);
}

static void look_at_other(struct judge *j, const json_t *node, const char *type) {
	double rows = json_number_value(json_object_get(node, "Plan Rows"));
	if (strcmp(type, "Seq Scan") != 0 || rows < j->v.other_rows)
		return;
	j->v.other_rows = rows;
	text_format(j->v.other, sizeof j->v.other, "%s.%s", fact_text(node, "Schema"), fact_text(node, "Relation Name"));
}

static void look_at(struct judge *j, const json_t *node, struct path path) {
	static const char *const sorts[] = {"Sort", "Incremental Sort", NULL};
	/* A Limit is what a boundary is made of; in a batch sqlcheck refuses it. */
	static const char *const batch_dependent[] = {"Aggregate", "Group", "WindowAgg", "Unique", "SetOp", NULL};
	static const char *const own_level[] = {"InitPlan", "SubPlan", NULL};
	const char *type = fact_text(node, "Node Type");
	const char *relation = fact_text(node, "Relation Name");
	bool writes = strcmp(type, "ModifyTable") == 0;
	if (text_is_one_of(type, sorts))
		path.sorts = true;
	if (text_is_one_of(type, batch_dependent))
		path.depends = type;
	if (strcmp(fact_text(node, "One-Time Filter"), "false") == 0)
		j->v.proven_empty = true;
	if (relation[0] != '\0' && !writes) {
		if (strcmp(relation, j->relation) == 0 && strcmp(fact_text(node, "Schema"), j->schema) == 0)
			look_at_worked(j, node, type, &path);
		else
			look_at_other(j, node, type);
	}
	const json_t *plans = json_object_get(node, "Plans");
	for (size_t i = 0; i < json_array_size(plans); i++) {
		const json_t *plan = json_array_get(plans, i);
		if (!text_is_one_of(fact_text(plan, "Parent Relationship"), own_level))
			look_at(j, plan, path);
	}
}

/* The write may stand in a WITH query, which is an InitPlan of the root. */
static const json_t *find_write(const json_t *node) {
	if (strcmp(fact_text(node, "Node Type"), "ModifyTable") == 0)
		return node;
	const json_t *plans = json_object_get(node, "Plans");
	const json_t *found = NULL;
	for (size_t i = 0; i < json_array_size(plans) && found == NULL; i++)
		found = find_write(json_array_get(plans, i));
	return found;
}

bool explain_postgres_judge(const char *json, const struct table_shape *shape, const struct shape_leaf *leaf,
                            struct explain_verdict *verdict, struct error *err) {
	json_error_t why;
	json_t *answer = json_loads(json, 0, &why);
	const json_t *plan = json_object_get(json_array_get(answer, 0), "Plan");
	if (plan == NULL) {
		json_decref(answer);
		return error_set(err, ERROR_INTERNAL, "the server's plan can't be read: %s", answer == NULL ? why.text : "no Plan in it");
	}
	const json_t *write = find_write(plan);
	struct judge j = {.schema = leaf->schema, .relation = leaf->name, .key = shape->key[0].name};
	look_at(&j, write != NULL ? write : plan, (struct path){0});
	json_decref(answer);
	/* max(key) alone is answered from the index's end, in an InitPlan that hides the aggregate. */
	if (write != NULL && !j.v.reads && !j.v.proven_empty)
		text_format(j.v.depends, sizeof j.v.depends, "InitPlan");
	*verdict = j.v;
	return true;
}
