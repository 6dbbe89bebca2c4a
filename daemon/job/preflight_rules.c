#include "daemon/job/preflight_rules.h"

#include "common/edit_distance.h"
#include "common/mem.h"
#include "common/strbuf.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* ---- Reading the facts ---- */

static const char *text_of(const json_t *object, const char *name) {
	const char *text = json_string_value(json_object_get(object, name));
	return text != NULL ? text : "";
}

static bool flag_of(const json_t *object, const char *name) {
	return json_is_true(json_object_get(object, name));
}

static int64_t int_of(const json_t *object, const char *name) {
	return json_integer_value(json_object_get(object, name));
}

static const json_t *find_column(const json_t *relation, const char *name) {
	const json_t *columns = json_object_get(relation, "columns");
	for (size_t i = 0; i < json_array_size(columns); i++)
		if (strcmp(text_of(json_array_get(columns, i), "name"), name) == 0)
			return json_array_get(columns, i);
	return NULL;
}

/* "a, b": a JSON array of strings. Caller frees. */
static char *join(const json_t *names) {
	autostrbuf b = {0};
	for (size_t i = 0; i < json_array_size(names); i++)
		strbuf_printf(&b, "%s%s", i > 0 ? ", " : "", json_string_value(json_array_get(names, i)));
	return strbuf_take(&b);
}

void preflight_warn(json_t *warnings, const char *format, ...) {
	va_list args;
	va_start(args, format);
	autofree char *text = mem_vprintf(format, args);
	va_end(args);
	for (size_t i = 0; i < json_array_size(warnings); i++)
		if (strcmp(json_string_value(json_array_get(warnings, i)), text) == 0)
			return;
	json_array_append_new(warnings, json_string(text));
}

/* ---- What is written ---- */

static void add_columns(struct preflight_write *write, const struct assignment *assignments, size_t count) {
	for (size_t i = 0; i < count; i++)
		write->columns[write->ncolumns++] = assignments[i].column;
}

bool preflight_write_of(const struct sqlcheck_grammar *grammar, const struct jobfile *job, struct preflight_write *write,
                        struct error *err) {
	struct preflight_write w = {.schema = job->schema, .table = job->table, .to_worked_table = true, .only = true};
	if (job->kind == JOB_STATEMENT && !sqlcheck_statement(grammar, job, &w.target, err))
		return false;
	w.columns = mem_alloc((job->nset + job->ncolumns + w.target.ncolumns + 1) * sizeof *w.columns);
	switch (job->kind) {
	case JOB_UPDATE:
		w.updates = true;
		add_columns(&w, job->set, job->nset);
		break;
	case JOB_INSERT:
		w.inserts = true;
		w.updates = job->on_conflict == CONFLICT_UPDATE;
		w.to_worked_table = false;
		w.schema = job->into_schema;
		w.table = job->into_table;
		add_columns(&w, job->columns, job->ncolumns);
		break;
	case JOB_STATEMENT:
		w.inserts = w.target.command == SQLCHECK_INSERT;
		w.updates = w.target.command == SQLCHECK_UPDATE || w.target.updates_on_conflict;
		w.deletes = w.target.command == SQLCHECK_DELETE;
		w.to_worked_table = w.target.is_worked_table;
		w.only = w.target.only;
		w.schema = w.target.schema;
		w.table = w.target.table;
		for (size_t i = 0; i < w.target.ncolumns; i++)
			w.columns[w.ncolumns++] = w.target.columns[i];
		break;
	}
	*write = w;
	return true;
}

void preflight_write_free(struct preflight_write *write) {
	free(write->columns);
	sqlcheck_target_free(&write->target);
	*write = (struct preflight_write){0};
}

static bool writes_column(const struct preflight_write *write, const char *name) {
	for (size_t i = 0; i < write->ncolumns; i++)
		if (strcmp(write->columns[i], name) == 0)
			return true;
	return false;
}

/* Whether one of the names is written; an empty list stands for every column. */
static bool writes_one_of(const struct preflight_write *write, const json_t *names) {
	for (size_t i = 0; i < json_array_size(names); i++)
		if (writes_column(write, json_string_value(json_array_get(names, i))))
			return true;
	return json_array_size(names) == 0;
}

/* ---- The server ---- */

bool preflight_rules_server(const struct jobfile *job, const json_t *server, struct error *err) {
	if (flag_of(server, "in_recovery") || flag_of(server, "read_only")) {
		error_set(err, ERROR_TRY_AGAIN, "the server takes no writes: %s",
		          flag_of(server, "in_recovery") ? "it is a standby" : "default_transaction_read_only is on");
		return error_hint(err, "the target's url must lead to the primary: target_session_attrs=read-write");
	}
	if (text_of(server, "schema")[0] != '\0')
		return true;
	error_set(err, ERROR_DATA, "table %s%s%s does not exist in database %s", job->schema != NULL ? job->schema : "",
	          job->schema != NULL ? "." : "", job->table, text_of(server, "database"));
	if (text_of(server, "similar")[0] != '\0')
		error_hint(err, "there is %s", text_of(server, "similar"));
	else if (job->schema == NULL)
		error_hint(err, "name the schema too, or see the role's search_path");
	return false;
}

/* ---- Relations ---- */

static const char *kind_name(const char *kind) {
	static const struct {
		char kind;
		const char *name;
	} names[] = {{'v', "a view"},   {'m', "a materialized view"}, {'f', "a foreign table"}, {'S', "a sequence"},
	             {'i', "an index"}, {'c', "a composite type"}};
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (names[i].kind == kind[0])
			return names[i].name;
	return "not a table";
}

static bool check_relation(const json_t *relation, json_t *warnings, struct error *err) {
	const char *schema = text_of(relation, "schema"), *name = text_of(relation, "name"), *kind = text_of(relation, "kind");
	if (strcmp(kind, "r") != 0 && strcmp(kind, "p") != 0) {
		error_set(err, ERROR_DATA, "%s.%s is %s", schema, name, kind_name(kind));
		return error_hint(err, "%s",
		                  kind[0] == 'f' ? "rows on another server can't commit together with the checkpoint"
		                                 : "name the table that holds the rows");
	}
	if (strcmp(text_of(relation, "persistence"), "t") == 0)
		return error_set(err, ERROR_DATA, "%s.%s is a temporary table: other sessions can't see its rows", schema, name);
	static const char *const reserved[] = {"pg_catalog", "information_schema", "backfill"};
	for (size_t i = 0; i < sizeof reserved / sizeof *reserved; i++)
		if (strcmp(schema, reserved[i]) == 0)
			return error_set(err, ERROR_DATA, "%s.%s belongs to the server or to backfilld itself", schema, name);
	if (flag_of(relation, "row_security")) {
		error_set(err, ERROR_DATA, "row-level security of %s.%s applies to the role: rows would be left out silently", schema,
		          name);
		return error_hint(err, "use the table's owner (without FORCE ROW LEVEL SECURITY) or a role with BYPASSRLS");
	}
	if (strcmp(text_of(relation, "persistence"), "u") == 0)
		preflight_warn(warnings,
		               "%s.%s is unlogged: a crash of the server empties it, and backfilld would count its rows as done", schema,
		               name);
	return true;
}

static bool refuse_missing_column(const json_t *relation, const char *name, struct error *err) {
	error_set(err, ERROR_DATA, "%s.%s has no column %s", text_of(relation, "schema"), text_of(relation, "name"), name);
	const json_t *columns = json_object_get(relation, "columns");
	const char *nearest = NULL;
	size_t least = strlen(name) / 3 + 2;
	for (size_t i = 0; i < json_array_size(columns); i++) {
		const char *candidate = text_of(json_array_get(columns, i), "name");
		size_t distance = edit_distance(name, candidate);
		if (distance < least) {
			least = distance;
			nearest = candidate;
		}
	}
	if (nearest != NULL)
		error_hint(err, "did you mean %s?", nearest);
	return false;
}

/* ---- Privileges ---- */

static bool refuse_privilege(const json_t *server, const json_t *relation, const char *privilege, const char *column,
                             struct error *err) {
	const char *schema = text_of(relation, "schema"), *name = text_of(relation, "name");
	error_set(err, ERROR_DATA, "role %s has no %s privilege on %s.%s%s%s", text_of(server, "role"), privilege, schema, name,
	          column != NULL ? ", column " : "", column != NULL ? column : "");
	return error_hint(err, "GRANT %s ON \"%s\".\"%s\" TO \"%s\"", privilege, schema, name, text_of(server, "role"));
}

static bool check_schema_usage(const json_t *server, const json_t *relation, struct error *err) {
	if (flag_of(relation, "may_use_schema"))
		return true;
	const char *schema = text_of(relation, "schema");
	error_set(err, ERROR_DATA, "role %s has no USAGE privilege on schema %s", text_of(server, "role"), schema);
	return error_hint(err, "GRANT USAGE ON SCHEMA \"%s\" TO \"%s\"", schema, text_of(server, "role"));
}

static bool check_write_privileges(const json_t *server, const struct preflight_write *write, const json_t *relation,
                                   struct error *err) {
	if (!check_schema_usage(server, relation, err))
		return false;
	if (write->deletes && !flag_of(relation, "may_delete"))
		return refuse_privilege(server, relation, "DELETE", NULL, err);
	for (size_t i = 0; i < write->ncolumns; i++) {
		const json_t *column = find_column(relation, write->columns[i]);
		if (write->updates && !flag_of(column, "may_update"))
			return refuse_privilege(server, relation, "UPDATE", write->columns[i], err);
		if (write->inserts && !flag_of(column, "may_insert"))
			return refuse_privilege(server, relation, "INSERT", write->columns[i], err);
	}
	return true;
}

/* RETURNING and FOR UPDATE read what is kept. */
static bool check_kept_privileges(const struct jobfile *job, const struct preflight_write *write, const json_t *server,
                                  const json_t *relation, struct error *err) {
	for (size_t i = 0; job->keep_old_values && i < write->ncolumns; i++)
		if (!flag_of(find_column(relation, write->columns[i]), "may_select")) {
			refuse_privilege(server, relation, "SELECT", write->columns[i], err);
			return error_hint(err, "grant it, as old and new values are kept; or say rollback.keep_old_values = false");
		}
	return true;
}

static bool check_key_privileges(const json_t *server, const struct table_shape *shape, const json_t *relation,
                                 struct error *err) {
	for (size_t i = 0; i < shape->nkey; i++)
		if (!flag_of(find_column(relation, shape->key[i].name), "may_select"))
			return refuse_privilege(server, relation, "SELECT", shape->key[i].name, err);
	return check_schema_usage(server, relation, err);
}

/* ---- What a write sets off ---- */

static bool fires(const struct preflight_write *write, const json_t *trigger) {
	return (write->inserts && flag_of(trigger, "insert")) || (write->deletes && flag_of(trigger, "delete")) ||
	       (write->updates && flag_of(trigger, "update") && writes_one_of(write, json_object_get(trigger, "columns")));
}

static bool cascades(const struct preflight_write *write, const json_t *cascade) {
	return (write->deletes && flag_of(cascade, "delete")) ||
	       (write->updates && flag_of(cascade, "update") && writes_one_of(write, json_object_get(cascade, "columns")));
}

static bool check_triggers(const struct jobfile *job, const struct preflight_write *write, const json_t *relation,
                           json_t *warnings, struct error *err) {
	const json_t *triggers = json_object_get(relation, "triggers");
	autostrbuf names = {0};
	for (size_t i = 0; i < json_array_size(triggers); i++)
		if (fires(write, json_array_get(triggers, i)))
			strbuf_printf(&names, "%s%s", names.length > 0 ? ", " : "", text_of(json_array_get(triggers, i), "name"));
	if (names.length == 0)
		return true;
	const char *schema = text_of(relation, "schema"), *name = text_of(relation, "name");
	if (job->allow_triggers) {
		preflight_warn(warnings, "triggers of %s.%s fire for the rows: %s", schema, name, names.data);
		return true;
	}
	error_set(err, ERROR_DATA, "triggers of %s.%s would fire for the rows: %s", schema, name, names.data);
	return error_hint(err, "say allow_triggers = true if what they do is meant");
}

static bool check_cascades(const struct jobfile *job, const struct preflight_write *write, const json_t *relation,
                           json_t *warnings, struct error *err) {
	const json_t *keys = json_object_get(relation, "cascades");
	autostrbuf names = {0};
	for (size_t i = 0; i < json_array_size(keys); i++) {
		const json_t *key = json_array_get(keys, i);
		if (cascades(write, key))
			strbuf_printf(&names, "%s%s (table %s)", names.length > 0 ? ", " : "", text_of(key, "name"), text_of(key, "table"));
	}
	if (names.length == 0)
		return true;
	const char *schema = text_of(relation, "schema"), *name = text_of(relation, "name");
	if (job->allow_cascades) {
		preflight_warn(warnings, "foreign keys to %s.%s write to other tables too: %s", schema, name, names.data);
		return true;
	}
	error_set(err, ERROR_DATA, "foreign keys to %s.%s would write to other tables: %s", schema, name, names.data);
	return error_hint(err, "say allow_cascades = true if that is meant");
}

static bool check_side_effects(const struct jobfile *job, const struct preflight_write *write, const json_t *relation,
                               json_t *warnings, struct error *err) {
	const char *schema = text_of(relation, "schema"), *name = text_of(relation, "name");
	const json_t *rules = json_object_get(relation, "rules");
	if (json_array_size(rules) > 0) {
		autofree char *names = join(rules);
		error_set(err, ERROR_DATA, "%s.%s has rewrite rules (%s): what is written is not what the statement says", schema, name,
		          names);
		return error_hint(err, "drop or disable them, or name the table that they write to");
	}
	bool published =
		(write->updates && flag_of(relation, "publishes_update")) || (write->deletes && flag_of(relation, "publishes_delete"));
	if (published && !flag_of(relation, "replica_identity")) {
		error_set(err, ERROR_DATA, "%s.%s is published and has no replica identity: the server refuses to change its rows",
		          schema, name);
		return error_hint(err, "ALTER TABLE \"%s\".\"%s\" REPLICA IDENTITY …, or leave it out of the publication", schema, name);
	}
	return check_triggers(job, write, relation, warnings, err) && check_cascades(job, write, relation, warnings, err);
}

static bool check_written_columns(const struct jobfile *job, const struct preflight_write *write, const json_t *relation,
                                  struct error *err) {
	for (size_t i = 0; i < write->ncolumns; i++) {
		const char *name = write->columns[i];
		const json_t *column = find_column(relation, name);
		if (column == NULL)
			return refuse_missing_column(relation, name, err);
		/* An INSERT of a statement may say OVERRIDING, and the server refuses what it may not. */
		if (job->kind == JOB_STATEMENT && write->inserts)
			continue;
		if (flag_of(column, "generated"))
			return error_set(err, ERROR_DATA, "%s is a generated column: the server computes it", name);
		if (flag_of(column, "identity_always"))
			return error_set(err, ERROR_DATA, "%s is GENERATED ALWAYS AS IDENTITY: it can't be set", name);
	}
	return true;
}

/* One relation that is written: the table, a leaf of it, or the table of `into`. */
static bool check_written(const struct jobfile *job, const struct preflight_write *write, const json_t *server,
                          const json_t *relation, json_t *warnings, struct error *err) {
	return check_relation(relation, warnings, err) && check_written_columns(job, write, relation, err) &&
	       check_write_privileges(server, write, relation, err) && check_kept_privileges(job, write, server, relation, err) &&
	       check_side_effects(job, write, relation, warnings, err);
}

/* ---- The key ---- */

static const char *column_problem(const json_t *relation, const json_t *part) {
	const json_t *column = find_column(relation, text_of(part, "name"));
	if (column == NULL)
		return "is on an expression";
	if (!flag_of(column, "not_null"))
		return "has a column that may be NULL";
	if (flag_of(column, "float"))
		return "has a floating-point column, whose text and order are not exact";
	if (!flag_of(part, "default_opclass"))
		return "has an operator class that is not its type's default";
	if (!flag_of(part, "same_collation"))
		return "has another collation than its column";
	return NULL;
}

/* Why a unique index can't be walked; NULL if it can. */
static const char *index_problem(const json_t *relation, const json_t *index) {
	const json_t *columns = json_object_get(index, "columns");
	size_t count = json_array_size(columns);
	if (!flag_of(index, "valid"))
		return "is invalid (left by a CREATE INDEX CONCURRENTLY that failed)";
	if (!flag_of(index, "btree"))
		return "is not a B-tree";
	if (flag_of(index, "partial"))
		return "is partial: it does not have all rows";
	if (flag_of(index, "expressions"))
		return "is on an expression";
	if (count == 0 || count > SHAPE_MAX_KEY_COLUMNS)
		return "has more than 8 columns";
	int64_t order = int_of(json_array_get(columns, 0), "order");
	for (size_t i = 0; i < count; i++) {
		const char *problem = column_problem(relation, json_array_get(columns, i));
		if (problem != NULL)
			return problem;
		int64_t own = int_of(json_array_get(columns, i), "order");
		if (own != order || (own != 0 && own != 3))
			return "mixes ASC and DESC, or NULLS FIRST and LAST: a range of it is not one piece of the index";
	}
	return NULL;
}

static bool has_columns(const json_t *index, char *const *names, size_t count) {
	const json_t *columns = json_object_get(index, "columns");
	if (json_array_size(columns) != count)
		return false;
	for (size_t i = 0; i < count; i++)
		if (strcmp(text_of(json_array_get(columns, i), "name"), names[i]) != 0)
			return false;
	return true;
}

/* A hint that names the unique keys that could be used. */
static bool hint_usable_keys(const json_t *relation, struct error *err) {
	const json_t *indexes = json_object_get(relation, "indexes");
	autostrbuf b = {0};
	for (size_t i = 0; i < json_array_size(indexes); i++) {
		const json_t *index = json_array_get(indexes, i);
		const json_t *columns = json_object_get(index, "columns");
		if (index_problem(relation, index) != NULL)
			continue;
		strbuf_add(&b, b.length > 0 ? " or key = ( " : "use key = ( ");
		for (size_t k = 0; k < json_array_size(columns); k++)
			strbuf_printf(&b, "%s\"%s\"", k > 0 ? ", " : "", text_of(json_array_get(columns, k), "name"));
		strbuf_add(&b, " )");
	}
	return error_hint(err, "%s", b.length > 0 ? b.data : "add a primary key, or a unique index on NOT NULL columns");
}

static bool choose_key(const struct jobfile *job, const json_t *relation, const json_t **key, struct error *err) {
	const char *schema = text_of(relation, "schema"), *name = text_of(relation, "name");
	const json_t *indexes = json_object_get(relation, "indexes");
	const char *problem = NULL, *index_name = "";
	for (size_t i = 0; i < json_array_size(indexes); i++) {
		const json_t *index = json_array_get(indexes, i);
		if (job->nkey > 0 ? !has_columns(index, job->key, job->nkey) : !flag_of(index, "primary"))
			continue;
		problem = index_problem(relation, index);
		index_name = text_of(index, "name");
		if (problem == NULL) {
			*key = index;
			return true;
		}
	}
	for (size_t i = 0; i < job->nkey; i++)
		if (find_column(relation, job->key[i]) == NULL)
			return refuse_missing_column(relation, job->key[i], err);
	if (problem != NULL)
		error_set(err, ERROR_DATA, "%s.%s can't be walked by index %s: it %s", schema, name, index_name, problem);
	else if (job->nkey > 0)
		error_set(err, ERROR_DATA, "%s.%s has no unique index with exactly the columns of `key`, in that order", schema, name);
	else
		error_set(err, ERROR_DATA, "%s.%s has no primary key", schema, name);
	return hint_usable_keys(relation, err);
}

/* ---- The shape ---- */

static void add_schema(struct table_shape *shape, const char *schema) {
	for (size_t i = 0; i < shape->nsearch_path; i++)
		if (strcmp(shape->search_path[i], schema) == 0)
			return;
	shape->search_path = mem_resize(shape->search_path, shape->nsearch_path + 1, sizeof *shape->search_path);
	shape->search_path[shape->nsearch_path++] = mem_dup(schema);
}

static void fill_leaves(struct table_shape *shape, const json_t *leaves) {
	shape->nleaves = json_array_size(leaves);
	shape->leaves = mem_alloc(shape->nleaves * sizeof *shape->leaves);
	for (size_t i = 0; i < shape->nleaves; i++) {
		const json_t *leaf = json_array_get(leaves, i);
		shape->leaves[i] = (struct shape_leaf){.schema = mem_dup(text_of(leaf, "schema")),
		                                       .name = mem_dup(text_of(leaf, "name")),
		                                       .oid = int_of(leaf, "oid"),
		                                       .estimated_rows = int_of(leaf, "estimated_rows"),
		                                       .row_bytes = int_of(leaf, "row_bytes")};
		shape->estimated_rows += shape->leaves[i].estimated_rows;
	}
}

static struct table_shape *make_shape(const json_t *table, const json_t *key) {
	struct table_shape *shape = mem_alloc(sizeof *shape);
	shape->schema = mem_dup(text_of(table, "schema"));
	shape->name = mem_dup(text_of(table, "name"));
	shape->oid = int_of(table, "oid");
	shape->partitioned = strcmp(text_of(table, "kind"), "p") == 0;
	add_schema(shape, "pg_catalog");
	add_schema(shape, shape->schema);
	const json_t *columns = json_object_get(key, "columns");
	for (size_t i = 0; i < json_array_size(columns); i++) {
		const json_t *part = json_array_get(columns, i);
		const char *name = text_of(part, "name");
		const json_t *column = find_column(table, name);
		shape->key[shape->nkey++] = (struct shape_column){
			.name = mem_dup(name),
			.type = mem_dup(text_of(column, "type")),
			.collation = mem_dup(json_string_value(json_object_get(column, "collation"))),
			.collation_version = mem_dup(json_string_value(json_object_get(column, "collation_version"))),
		};
		const json_t *schemas = json_object_get(part, "operator_schemas");
		for (size_t k = 0; k < json_array_size(schemas); k++)
			add_schema(shape, json_string_value(json_array_get(schemas, k)));
	}
	fill_leaves(shape, json_object_get(table, "leaves"));
	return shape;
}

/* ---- ON CONFLICT ---- */

static bool has_name(const json_t *index, const char *name) {
	const json_t *columns = json_object_get(index, "columns");
	for (size_t i = 0; i < json_array_size(columns); i++)
		if (strcmp(text_of(json_array_get(columns, i), "name"), name) == 0)
			return true;
	return false;
}

/* An arbiter is found by its columns in any order. https://www.postgresql.org/docs/15/sql-insert.html#SQL-ON-CONFLICT */
static bool is_arbiter(const struct jobfile *job, const json_t *index) {
	if (!flag_of(index, "valid") || flag_of(index, "partial") || flag_of(index, "expressions") || !flag_of(index, "immediate"))
		return false;
	if (job->nconflict_key == 0)
		return flag_of(index, "primary");
	for (size_t i = 0; i < job->nconflict_key; i++)
		if (!has_name(index, job->conflict_key[i]))
			return false;
	return json_array_size(json_object_get(index, "columns")) == job->nconflict_key;
}

static bool resolve_conflict_key(const struct jobfile *job, const json_t *into, struct table_shape *shape, struct error *err) {
	if (job->kind != JOB_INSERT || (job->on_conflict == CONFLICT_ERROR && job->nconflict_key == 0 && !job->keep_old_values))
		return true;
	const json_t *indexes = json_object_get(into, "indexes");
	const json_t *columns = NULL;
	for (size_t i = 0; i < json_array_size(indexes) && columns == NULL; i++)
		if (is_arbiter(job, json_array_get(indexes, i)))
			columns = json_object_get(json_array_get(indexes, i), "columns");
	if (columns == NULL) {
		for (size_t i = 0; i < job->nconflict_key; i++)
			if (find_column(into, job->conflict_key[i]) == NULL)
				return refuse_missing_column(into, job->conflict_key[i], err);
		bool conflicts = job->on_conflict != CONFLICT_ERROR || job->nconflict_key > 0;
		error_set(err, ERROR_DATA, "%s.%s has no %s that %s could go by", text_of(into, "schema"), text_of(into, "name"),
		          job->nconflict_key > 0 ? "unique index with exactly the columns of conflict_key" : "primary key",
		          conflicts ? "on_conflict" : "the kept rows");
		if (!conflicts)
			return error_hint(err, "name a unique key with conflict_key, or say rollback.keep_old_values = false");
		return error_hint(err, "it must be valid, not deferrable, not partial and without expressions");
	}
	shape->nconflict_key = json_array_size(columns);
	shape->conflict_key = mem_alloc(shape->nconflict_key * sizeof *shape->conflict_key);
	for (size_t i = 0; i < shape->nconflict_key; i++)
		shape->conflict_key[i] = mem_dup(text_of(json_array_get(columns, i), "name"));
	return true;
}

/* ---- The whole ---- */

static bool check_family(const struct jobfile *job, const struct preflight_write *write, const json_t *table, json_t *warnings,
                         struct error *err) {
	const char *schema = text_of(table, "schema"), *name = text_of(table, "name");
	bool partitioned = strcmp(text_of(table, "kind"), "p") == 0;
	if (partitioned && job->kind == JOB_STATEMENT) {
		error_set(err, ERROR_DATA, "%s.%s is partitioned: a statement can't be sent to one partition at a time", schema, name);
		return error_hint(err, "write one job for each partition, or use kind update or insert");
	}
	if (json_array_size(json_object_get(table, "leaves")) == 0)
		return error_set(err, ERROR_DATA, "%s.%s has no partitions", schema, name);
	const json_t *children = json_object_get(table, "children");
	if (json_array_size(children) == 0)
		return true;
	autofree char *names = join(children);
	if (!write->only) {
		error_set(err, ERROR_DATA, "%s.%s has inheritance children (%s), whose keys are not in its index", schema, name, names);
		return error_hint(err, "write ONLY before the table in the statement");
	}
	preflight_warn(warnings, "the inheritance children of %s.%s are not touched: %s", schema, name, names);
	return true;
}

/* An index that was built under another version may be in another order than the one that ranges are compared in. */
static bool check_collation(const json_t *column, const char *name, struct error *err) {
	const char *built = text_of(column, "collation_recorded"), *now = text_of(column, "collation_version");
	if (built[0] == '\0' || strcmp(built, now) == 0)
		return true;
	const char *collation = text_of(column, "collation");
	error_set(err, ERROR_DATA,
	          "the collation %s of the key's column %s was made with version %s, the server has %s now: its rows may "
	          "be in another order than its index",
	          collation, name, built, now[0] != '\0' ? now : "none");
	return error_hint(err, "REINDEX what uses it, then ALTER %s … REFRESH COLLATION VERSION",
	                  strncmp(collation, "default ", 8) == 0 ? "DATABASE" : "COLLATION");
}

static bool check_key(const struct jobfile *job, const struct preflight_write *write, const struct preflight_facts *facts,
                      const json_t *key, struct error *err) {
	const json_t *columns = json_object_get(key, "columns");
	for (size_t i = 0; i < json_array_size(columns); i++) {
		const char *name = text_of(json_array_get(columns, i), "name");
		if (write->to_worked_table && write->updates && writes_column(write, name)) {
			error_set(err, ERROR_DATA, "%s is a column of the key that %s is walked by: it can't be set", name, job->table);
			return error_hint(err, "name another unique NOT NULL key with `key`");
		}
		if (strcmp(text_of(facts->server, "encoding"), "SQL_ASCII") == 0 && flag_of(find_column(facts->table, name), "collated"))
			return error_set(err, ERROR_DATA, "the database's encoding is SQL_ASCII: the text key %s can't be kept safely", name);
		if (!check_collation(find_column(facts->table, name), name, err))
			return false;
	}
	return true;
}

/* The worked relations: those that are walked, and written if the write goes to them. */
static bool check_leaves(const struct jobfile *job, const struct preflight_write *write, const struct preflight_facts *facts,
                         const struct table_shape *shape, json_t *warnings, struct error *err) {
	const json_t *leaves = json_object_get(facts->table, "leaves");
	for (size_t i = 0; i < json_array_size(leaves); i++) {
		const json_t *leaf = json_array_get(leaves, i);
		if (!check_relation(leaf, warnings, err) || !check_key_privileges(facts->server, shape, leaf, err))
			return false;
		if (write->to_worked_table && !check_written(job, write, facts->server, leaf, warnings, err))
			return false;
	}
	/* Foreign keys point at the partitioned table, publications may name it. */
	return !write->to_worked_table || check_side_effects(job, write, facts->table, warnings, err);
}

static bool check_into(const struct jobfile *job, const struct preflight_write *write, const struct preflight_facts *facts,
                       json_t *warnings, struct error *err) {
	if (facts->written == NULL)
		return true;
	if (write->inserts && int_of(facts->written, "oid") == int_of(facts->table, "oid"))
		return error_set(err, ERROR_DATA, "%s.%s is walked and inserted into: name another table with `into`",
		                 text_of(facts->table, "schema"), text_of(facts->table, "name"));
	if (!check_written(job, write, facts->server, facts->written, warnings, err))
		return false;
	const json_t *leaves = json_object_get(facts->written, "leaves");
	for (size_t i = 0; i < json_array_size(leaves); i++)
		if (!check_relation(json_array_get(leaves, i), warnings, err) ||
		    !check_side_effects(job, write, json_array_get(leaves, i), warnings, err))
			return false;
	return true;
}

bool preflight_rules(const struct jobfile *job, const struct preflight_write *write, const struct preflight_facts *facts,
                     json_t *warnings, struct table_shape **shape, struct error *err) {
	const json_t *key = NULL;
	if (!check_relation(facts->table, warnings, err) || !check_family(job, write, facts->table, warnings, err) ||
	    (write->to_worked_table && !check_written_columns(job, write, facts->table, err)) ||
	    !choose_key(job, facts->table, &key, err) || !check_key(job, write, facts, key, err))
		return false;
	struct table_shape *made = make_shape(facts->table, key);
	if (!check_leaves(job, write, facts, made, warnings, err) || !check_into(job, write, facts, warnings, err) ||
	    !resolve_conflict_key(job, facts->written, made, err)) {
		shape_free(made);
		return false;
	}
	*shape = made;
	return true;
}
