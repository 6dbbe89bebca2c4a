#include "daemon/job/preflight_rules.h"

#include "common/edit_distance.h"
#include "common/mem.h"
#include "common/strbuf.h"
#include "daemon/engine/facts.h"
#include "daemon/engine/rules.h"

#include <stdlib.h>
#include <string.h>

static bool is_partitioned(const json_t *table) {
	return strcmp(fact_text(table, "kind"), "p") == 0;
}

/* ---- What is written ---- */

static void add_columns(struct preflight_write *write, const struct assignment *assignments, size_t count) {
	for (size_t i = 0; i < count; i++)
		write->does.columns[write->does.ncolumns++] = assignments[i].column;
}

bool preflight_write_of(const struct sqlcheck_grammar *grammar, const struct jobfile *job, struct preflight_write *write,
                        struct error *err) {
	struct preflight_write w = {.schema = job->schema, .table = job->table, .to_worked_table = true, .does = {.only = true}};
	if (job->kind == JOB_STATEMENT && !sqlcheck_statement(grammar, job, &w.target, err))
		return false;
	w.does.columns = mem_alloc((job->nset + job->ncolumns + w.target.ncolumns + 1) * sizeof *w.does.columns);
	switch (job->kind) {
	case JOB_UPDATE:
		w.does.updates = true;
		add_columns(&w, job->set, job->nset);
		break;
	case JOB_INSERT:
		w.does.inserts = true;
		w.does.updates = job->on_conflict == CONFLICT_UPDATE;
		w.to_worked_table = false;
		w.schema = job->into_schema;
		w.table = job->into_table;
		add_columns(&w, job->columns, job->ncolumns);
		break;
	case JOB_STATEMENT:
		w.does.inserts = w.target.command == SQLCHECK_INSERT;
		w.does.updates = w.target.command == SQLCHECK_UPDATE || w.target.updates_on_conflict;
		w.does.deletes = w.target.command == SQLCHECK_DELETE;
		w.to_worked_table = w.target.is_worked_table;
		w.does.only = w.target.only;
		w.schema = w.target.schema;
		w.table = w.target.table;
		for (size_t i = 0; i < w.target.ncolumns; i++)
			w.does.columns[w.does.ncolumns++] = w.target.columns[i];
		break;
	}
	*write = w;
	return true;
}

void preflight_write_free(struct preflight_write *write) {
	free(write->does.columns);
	sqlcheck_target_free(&write->target);
	*write = (struct preflight_write){0};
}

/* Whether one of the names is written; an empty list stands for every column. */
static bool writes_one_of(const struct preflight_write *write, const json_t *names) {
	for (size_t i = 0; i < json_array_size(names); i++)
		if (rules_writes_column(&write->does, json_string_value(json_array_get(names, i))))
			return true;
	return json_array_size(names) == 0;
}

/* ---- The server ---- */

bool preflight_rules_server(const struct jobfile *job, const struct rules *rules, const json_t *server, json_t *warnings,
                            struct error *err) {
	if (!rules->check_server(job, server, warnings, err))
		return false;
	if (fact_text(server, "schema")[0] != '\0')
		return true;
	error_set(err, ERROR_DATA, "table %s%s%s does not exist in database %s", job->schema != NULL ? job->schema : "",
	          job->schema != NULL ? "." : "", job->table, fact_text(server, "database"));
	if (fact_text(server, "similar")[0] != '\0')
		error_hint(err, "there is %s", fact_text(server, "similar"));
	else if (job->schema == NULL)
		error_hint(err, "%s", rules->unqualified_hint);
	else if (rules->missing_hint != NULL)
		error_hint(err, "%s", rules->missing_hint);
	return false;
}

/* ---- Columns ---- */

static bool refuse_missing_column(const json_t *relation, const char *name, struct error *err) {
	error_set(err, ERROR_DATA, "%s.%s has no column %s", fact_text(relation, "schema"), fact_text(relation, "name"), name);
	const json_t *columns = json_object_get(relation, "columns");
	const char *nearest = NULL;
	size_t least = strlen(name) / 3 + 2;
	for (size_t i = 0; i < json_array_size(columns); i++) {
		const char *candidate = fact_text(json_array_get(columns, i), "name");
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

static bool refuse_privilege(const struct preflight_facts *facts, const json_t *relation, const char *privilege,
                             const char *column, struct error *err) {
	error_set(err, ERROR_DATA, "role %s has no %s privilege on %s.%s%s%s", fact_text(facts->server, "role"), privilege,
	          fact_text(relation, "schema"), fact_text(relation, "name"), column != NULL ? ", column " : "",
	          column != NULL ? column : "");
	return facts->rules->hint_grant(facts->server, relation, privilege, err);
}

static bool check_write_privileges(const struct preflight_facts *facts, const struct preflight_write *write,
                                   const json_t *relation, struct error *err) {
	if (!facts->rules->check_access(facts->server, relation, err))
		return false;
	if (write->does.deletes && !fact_flag(relation, "may_delete"))
		return refuse_privilege(facts, relation, "DELETE", NULL, err);
	for (size_t i = 0; i < write->does.ncolumns; i++) {
		const json_t *column = fact_column(relation, write->does.columns[i]);
		if (write->does.updates && !fact_flag(column, "may_update"))
			return refuse_privilege(facts, relation, "UPDATE", write->does.columns[i], err);
		if (write->does.inserts && !fact_flag(column, "may_insert"))
			return refuse_privilege(facts, relation, "INSERT", write->does.columns[i], err);
	}
	return true;
}

/* What is kept is read. */
static bool check_kept_privileges(const struct jobfile *job, const struct preflight_write *write,
                                  const struct preflight_facts *facts, const json_t *relation, struct error *err) {
	for (size_t i = 0; job->keep_old_values && i < write->does.ncolumns; i++)
		if (!fact_flag(fact_column(relation, write->does.columns[i]), "may_select")) {
			refuse_privilege(facts, relation, "SELECT", write->does.columns[i], err);
			return error_hint(err, "grant it, as old and new values are kept; or say rollback.keep_old_values = false");
		}
	return true;
}

static bool check_key_privileges(const struct preflight_facts *facts, const struct table_shape *shape, const json_t *relation,
                                 struct error *err) {
	for (size_t i = 0; i < shape->nkey; i++)
		if (!fact_flag(fact_column(relation, shape->key[i].name), "may_select"))
			return refuse_privilege(facts, relation, "SELECT", shape->key[i].name, err);
	return facts->rules->check_access(facts->server, relation, err);
}

/* ---- What a write sets off ---- */

static bool fires(const struct preflight_write *write, const json_t *trigger) {
	return (write->does.inserts && fact_flag(trigger, "insert")) || (write->does.deletes && fact_flag(trigger, "delete")) ||
	       (write->does.updates && fact_flag(trigger, "update") && writes_one_of(write, json_object_get(trigger, "columns")));
}

static bool cascades(const struct preflight_write *write, const json_t *cascade) {
	return (write->does.deletes && fact_flag(cascade, "delete")) ||
	       (write->does.updates && fact_flag(cascade, "update") && writes_one_of(write, json_object_get(cascade, "columns")));
}

static bool check_triggers(const struct jobfile *job, const struct preflight_write *write, const json_t *relation,
                           json_t *warnings, struct error *err) {
	const json_t *triggers = json_object_get(relation, "triggers");
	autostrbuf names = {0};
	for (size_t i = 0; i < json_array_size(triggers); i++)
		if (fires(write, json_array_get(triggers, i)))
			strbuf_printf(&names, "%s%s", names.length > 0 ? ", " : "", fact_text(json_array_get(triggers, i), "name"));
	if (names.length == 0)
		return true;
	const char *schema = fact_text(relation, "schema"), *name = fact_text(relation, "name");
	if (job->allow_triggers) {
		fact_warn(warnings, "triggers of %s.%s fire for the rows: %s", schema, name, names.data);
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
			strbuf_printf(&names, "%s%s (table %s)", names.length > 0 ? ", " : "", fact_text(key, "name"),
			              fact_text(key, "table"));
	}
	if (names.length == 0)
		return true;
	const char *schema = fact_text(relation, "schema"), *name = fact_text(relation, "name");
	if (job->allow_cascades) {
		fact_warn(warnings, "foreign keys to %s.%s write to other tables too: %s", schema, name, names.data);
		return true;
	}
	error_set(err, ERROR_DATA, "foreign keys to %s.%s would write to other tables: %s", schema, name, names.data);
	return error_hint(err, "say allow_cascades = true if that is meant");
}

static bool check_side_effects(const struct jobfile *job, const struct preflight_write *write,
                               const struct preflight_facts *facts, const json_t *relation, json_t *warnings, struct error *err) {
	if (!facts->rules->check_written(job, &write->does, relation, warnings, err))
		return false;
	return check_triggers(job, write, relation, warnings, err) && check_cascades(job, write, relation, warnings, err);
}

static bool check_written_columns(const struct jobfile *job, const struct preflight_write *write,
                                  const struct preflight_facts *facts, const json_t *relation, struct error *err) {
	for (size_t i = 0; i < write->does.ncolumns; i++) {
		const char *name = write->does.columns[i];
		const json_t *column = fact_column(relation, name);
		if (column == NULL)
			return refuse_missing_column(relation, name, err);
		/* An INSERT of a statement may say OVERRIDING, and the server refuses what it may not. */
		if (job->kind == JOB_STATEMENT && write->does.inserts)
			continue;
		if (fact_flag(column, "generated"))
			return error_set(err, ERROR_DATA, "%s is a generated column: the server computes it", name);
		const char *problem = facts->rules->column_problem(column);
		if (problem != NULL)
			return error_set(err, ERROR_DATA, "%s %s", name, problem);
	}
	return true;
}

/* One relation that is written: the table, a leaf of it, or the table of `into`. */
static bool check_written(const struct jobfile *job, const struct preflight_write *write, const struct preflight_facts *facts,
                          const json_t *relation, json_t *warnings, struct error *err) {
	return facts->rules->check_relation(relation, warnings, err) && check_written_columns(job, write, facts, relation, err) &&
	       check_write_privileges(facts, write, relation, err) && check_kept_privileges(job, write, facts, relation, err) &&
	       check_side_effects(job, write, facts, relation, warnings, err);
}

/* ---- The key ---- */

/* Why a unique index can't be walked; NULL if it can. */
static const char *index_problem(const struct rules *rules, const json_t *relation, const json_t *index) {
	const json_t *columns = json_object_get(index, "columns");
	size_t count = json_array_size(columns);
	const char *problem = rules->index_problem(index);
	if (problem != NULL)
		return problem;
	if (fact_flag(index, "expressions"))
		return "is on an expression";
	if (count == 0 || count > SHAPE_MAX_KEY_COLUMNS)
		return "has more than 8 columns";
	for (size_t i = 0; i < count && problem == NULL; i++) {
		const json_t *part = json_array_get(columns, i);
		const json_t *column = fact_column(relation, fact_text(part, "name"));
		if (column == NULL)
			problem = "has a column that the role does not get to see";
		else if (!fact_flag(column, "not_null"))
			problem = "has a column that may be NULL";
		else
			problem = rules->part_problem(column, part);
	}
	return problem;
}

static bool has_columns(const json_t *index, char *const *names, size_t count) {
	const json_t *columns = json_object_get(index, "columns");
	if (json_array_size(columns) != count)
		return false;
	for (size_t i = 0; i < count; i++)
		if (strcmp(fact_text(json_array_get(columns, i), "name"), names[i]) != 0)
			return false;
	return true;
}

/* A hint that names the unique keys that could be used. */
static bool hint_usable_keys(const struct rules *rules, const json_t *relation, struct error *err) {
	const json_t *indexes = json_object_get(relation, "indexes");
	autostrbuf b = {0};
	for (size_t i = 0; i < json_array_size(indexes); i++) {
		const json_t *index = json_array_get(indexes, i);
		const json_t *columns = json_object_get(index, "columns");
		if (index_problem(rules, relation, index) != NULL)
			continue;
		strbuf_add(&b, b.length > 0 ? " or key = ( " : "use key = ( ");
		for (size_t k = 0; k < json_array_size(columns); k++)
			strbuf_printf(&b, "%s\"%s\"", k > 0 ? ", " : "", fact_text(json_array_get(columns, k), "name"));
		strbuf_add(&b, " )");
	}
	return error_hint(err, "%s", b.length > 0 ? b.data : "add a primary key, or a unique index on NOT NULL columns");
}

static bool choose_key(const struct jobfile *job, const struct preflight_facts *facts, const json_t **key, struct error *err) {
	const json_t *relation = facts->table;
	const char *schema = fact_text(relation, "schema"), *name = fact_text(relation, "name");
	const json_t *indexes = json_object_get(relation, "indexes");
	const char *problem = NULL, *index_name = "";
	for (size_t i = 0; i < json_array_size(indexes); i++) {
		const json_t *index = json_array_get(indexes, i);
		if (job->nkey > 0 ? !has_columns(index, job->key, job->nkey) : !fact_flag(index, "primary"))
			continue;
		problem = index_problem(facts->rules, relation, index);
		index_name = fact_text(index, "name");
		if (problem == NULL) {
			*key = index;
			return true;
		}
	}
	for (size_t i = 0; i < job->nkey; i++)
		if (fact_column(relation, job->key[i]) == NULL)
			return refuse_missing_column(relation, job->key[i], err);
	if (problem != NULL)
		error_set(err, ERROR_DATA, "%s.%s can't be walked by index %s: it %s", schema, name, index_name, problem);
	else if (job->nkey > 0)
		error_set(err, ERROR_DATA, "%s.%s has no unique index with exactly the columns of `key`, in that order", schema, name);
	else
		error_set(err, ERROR_DATA, "%s.%s has no primary key", schema, name);
	return hint_usable_keys(facts->rules, relation, err);
}

/* ---- The shape ---- */

static void fill_leaves(struct table_shape *shape, const json_t *leaves) {
	shape->nleaves = json_array_size(leaves);
	shape->leaves = mem_alloc(shape->nleaves * sizeof *shape->leaves);
	for (size_t i = 0; i < shape->nleaves; i++) {
		const json_t *leaf = json_array_get(leaves, i);
		shape->leaves[i] = (struct shape_leaf){.schema = mem_dup(fact_text(leaf, "schema")),
		                                       .name = mem_dup(fact_text(leaf, "name")),
		                                       .partition = mem_dup(json_string_value(json_object_get(leaf, "partition"))),
		                                       .oid = fact_int(leaf, "oid"),
		                                       .estimated_rows = fact_int(leaf, "estimated_rows"),
		                                       .row_bytes = fact_int(leaf, "row_bytes")};
		shape->estimated_rows += shape->leaves[i].estimated_rows;
	}
}

static struct table_shape *make_shape(const json_t *table, const json_t *key) {
	struct table_shape *shape = mem_alloc(sizeof *shape);
	shape->schema = mem_dup(fact_text(table, "schema"));
	shape->name = mem_dup(fact_text(table, "name"));
	shape->oid = fact_int(table, "oid");
	shape->partitioned = is_partitioned(table);
	const json_t *columns = json_object_get(key, "columns");
	for (size_t i = 0; i < json_array_size(columns); i++) {
		const char *name = fact_text(json_array_get(columns, i), "name");
		const json_t *column = fact_column(table, name);
		shape->key[shape->nkey++] = (struct shape_column){
			.name = mem_dup(name),
			.type = mem_dup(fact_text(column, "type")),
			.collation = mem_dup(json_string_value(json_object_get(column, "collation"))),
			.collation_version = mem_dup(json_string_value(json_object_get(column, "collation_version"))),
		};
	}
	fill_leaves(shape, json_object_get(table, "leaves"));
	return shape;
}

/* ---- Conflicts ---- */

static bool has_name(const json_t *index, const char *name) {
	const json_t *columns = json_object_get(index, "columns");
	for (size_t i = 0; i < json_array_size(columns); i++)
		if (strcmp(fact_text(json_array_get(columns, i), "name"), name) == 0)
			return true;
	return false;
}

/* An arbiter is found by its columns, in any order. */
static bool is_arbiter(const struct jobfile *job, const struct rules *rules, const json_t *index) {
	if (fact_flag(index, "expressions") || !rules->is_arbiter(index))
		return false;
	if (job->nconflict_key == 0)
		return fact_flag(index, "primary");
	for (size_t i = 0; i < job->nconflict_key; i++)
		if (!has_name(index, job->conflict_key[i]))
			return false;
	return json_array_size(json_object_get(index, "columns")) == job->nconflict_key;
}

static bool refuse_conflict_key(const struct jobfile *job, const struct preflight_facts *facts, struct error *err) {
	const json_t *into = facts->written;
	for (size_t i = 0; i < job->nconflict_key; i++)
		if (fact_column(into, job->conflict_key[i]) == NULL)
			return refuse_missing_column(into, job->conflict_key[i], err);
	bool conflicts = job->on_conflict != CONFLICT_ERROR || job->nconflict_key > 0;
	error_set(err, ERROR_DATA, "%s.%s has no %s that %s could go by", fact_text(into, "schema"), fact_text(into, "name"),
	          job->nconflict_key > 0 ? "unique index with exactly the columns of conflict_key" : "primary key",
	          conflicts ? "on_conflict" : "the kept rows");
	if (!conflicts)
		return error_hint(err, "name a unique key with conflict_key, or say rollback.keep_old_values = false");
	return error_hint(err, "%s", facts->rules->arbiter_hint);
}

static bool resolve_conflict_key(const struct jobfile *job, const struct preflight_facts *facts, struct table_shape *shape,
                                 struct error *err) {
	if (job->kind != JOB_INSERT || (job->on_conflict == CONFLICT_ERROR && job->nconflict_key == 0 && !job->keep_old_values))
		return true;
	const json_t *indexes = json_object_get(facts->written, "indexes");
	const json_t *arbiter = NULL;
	for (size_t i = 0; i < json_array_size(indexes) && arbiter == NULL; i++)
		if (is_arbiter(job, facts->rules, json_array_get(indexes, i)))
			arbiter = json_array_get(indexes, i);
	if (arbiter == NULL)
		return refuse_conflict_key(job, facts, err);
	const json_t *columns = json_object_get(arbiter, "columns");
	shape->nconflict_key = json_array_size(columns);
	shape->conflict_key = mem_alloc(shape->nconflict_key * sizeof *shape->conflict_key);
	for (size_t i = 0; i < shape->nconflict_key; i++)
		shape->conflict_key[i] = mem_dup(fact_text(json_array_get(columns, i), "name"));
	return facts->rules->check_conflicts(job, facts->written, arbiter, err);
}

/* ---- The whole ---- */

static bool check_family(const struct jobfile *job, const struct preflight_write *write, const struct preflight_facts *facts,
                         json_t *warnings, struct error *err) {
	const json_t *table = facts->table;
	const char *schema = fact_text(table, "schema"), *name = fact_text(table, "name");
	if (is_partitioned(table) && job->kind == JOB_STATEMENT) {
		error_set(err, ERROR_DATA, "%s.%s is partitioned: a statement can't be sent to one partition at a time", schema, name);
		return error_hint(err, "write one job for each partition, or use kind update or insert");
	}
	if (json_array_size(json_object_get(table, "leaves")) == 0)
		return error_set(err, ERROR_DATA, "%s.%s has no partitions", schema, name);
	return facts->rules->check_family(&write->does, table, warnings, err);
}

static bool check_key(const struct jobfile *job, const struct preflight_write *write, const struct preflight_facts *facts,
                      const json_t *key, struct error *err) {
	const json_t *columns = json_object_get(key, "columns");
	for (size_t i = 0; i < json_array_size(columns); i++) {
		const char *name = fact_text(json_array_get(columns, i), "name");
		if (write->to_worked_table && write->does.updates && rules_writes_column(&write->does, name)) {
			error_set(err, ERROR_DATA, "%s is a column of the key that %s is walked by: it can't be set", name, job->table);
			return error_hint(err, "name another unique NOT NULL key with `key`");
		}
		if (!facts->rules->check_key_column(facts->server, fact_column(facts->table, name), err))
			return false;
	}
	return true;
}

/* What is known of a leaf: a partition that is no table of its own is as its table. */
static const json_t *facts_of(const json_t *leaf, const json_t *table) {
	return json_object_get(leaf, "columns") != NULL ? leaf : table;
}

/* The worked relations: those that are walked, and written if the write goes to them. */
static bool check_leaves(const struct jobfile *job, const struct preflight_write *write, const struct preflight_facts *facts,
                         const struct table_shape *shape, json_t *warnings, struct error *err) {
	const json_t *leaves = json_object_get(facts->table, "leaves");
	for (size_t i = 0; i < json_array_size(leaves); i++) {
		const json_t *leaf = facts_of(json_array_get(leaves, i), facts->table);
		if (!facts->rules->check_relation(leaf, warnings, err) || !check_key_privileges(facts, shape, leaf, err))
			return false;
		if (write->to_worked_table && !check_written(job, write, facts, leaf, warnings, err))
			return false;
	}
	/* Foreign keys point at the partitioned table, publications may name it. */
	return !write->to_worked_table || check_side_effects(job, write, facts, facts->table, warnings, err);
}

static bool is_same(const json_t *one, const json_t *other) {
	return strcmp(fact_text(one, "schema"), fact_text(other, "schema")) == 0 &&
	       strcmp(fact_text(one, "name"), fact_text(other, "name")) == 0;
}

static bool check_into(const struct jobfile *job, const struct preflight_write *write, const struct preflight_facts *facts,
                       json_t *warnings, struct error *err) {
	if (facts->written == NULL)
		return true;
	if (write->does.inserts && is_same(facts->written, facts->table))
		return error_set(err, ERROR_DATA, "%s.%s is walked and inserted into: name another table with `into`",
		                 fact_text(facts->table, "schema"), fact_text(facts->table, "name"));
	if (!check_written(job, write, facts, facts->written, warnings, err))
		return false;
	const json_t *leaves = json_object_get(facts->written, "leaves");
	for (size_t i = 0; i < json_array_size(leaves); i++) {
		const json_t *leaf = facts_of(json_array_get(leaves, i), facts->written);
		if (!facts->rules->check_relation(leaf, warnings, err) || !check_side_effects(job, write, facts, leaf, warnings, err))
			return false;
	}
	return true;
}

bool preflight_rules(const struct jobfile *job, const struct preflight_write *write, const struct preflight_facts *facts,
                     json_t *warnings, struct table_shape **shape, struct error *err) {
	const json_t *key = NULL;
	if (!facts->rules->check_relation(facts->table, warnings, err) || !check_family(job, write, facts, warnings, err) ||
	    (write->to_worked_table && !check_written_columns(job, write, facts, facts->table, err)) ||
	    !choose_key(job, facts, &key, err) || !check_key(job, write, facts, key, err))
		return false;
	struct table_shape *made = make_shape(facts->table, key);
	if (!check_leaves(job, write, facts, made, warnings, err) || !check_into(job, write, facts, warnings, err) ||
	    !resolve_conflict_key(job, facts, made, err)) {
		shape_free(made);
		return false;
	}
	facts->rules->fill_shape(made, key, &write->does, facts->written != NULL ? facts->written : facts->table);
	*shape = made;
	return true;
}
