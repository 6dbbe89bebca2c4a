#include "daemon/engine/rules.h"

#include "common/mem.h"
#include "daemon/engine/facts.h"

#include <string.h>

/* ---- The server ---- */

static bool check_server(const struct jobfile *job, const json_t *server, json_t *warnings, struct error *err) {
	(void)warnings;
	if (job->binlog_row_image != ROW_IMAGE_SERVER)
		return error_set(err, ERROR_DATA, "binlog_row_image is for MySQL and MariaDB: PostgreSQL has no binary log");
	if (job->settings.throttle.latency_source == LATENCY_HISTOGRAM) {
		error_set(err, ERROR_DATA, "throttle.latency.source: PostgreSQL counts no latencies in a histogram");
		return error_hint(err, "leave it out: canary queries are timed");
	}
	if (!fact_flag(server, "in_recovery") && !fact_flag(server, "read_only"))
		return true;
	error_set(err, ERROR_TRY_AGAIN, "the server takes no writes: %s",
	          fact_flag(server, "in_recovery") ? "it is a standby" : "default_transaction_read_only is on");
	return error_hint(err, "the target's url must lead to the primary: target_session_attrs=read-write");
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
	const char *schema = fact_text(relation, "schema"), *name = fact_text(relation, "name"), *kind = fact_text(relation, "kind");
	if (strcmp(kind, "r") != 0 && strcmp(kind, "p") != 0) {
		error_set(err, ERROR_DATA, "%s.%s is %s", schema, name, kind_name(kind));
		return error_hint(err, "%s",
		                  kind[0] == 'f' ? "rows on another server can't commit together with the checkpoint"
		                                 : "name the table that holds the rows");
	}
	if (strcmp(fact_text(relation, "persistence"), "t") == 0)
		return error_set(err, ERROR_DATA, "%s.%s is a temporary table: other sessions can't see its rows", schema, name);
	static const char *const reserved[] = {"pg_catalog", "information_schema", "backfill"};
	for (size_t i = 0; i < sizeof reserved / sizeof *reserved; i++)
		if (strcmp(schema, reserved[i]) == 0)
			return error_set(err, ERROR_DATA, "%s.%s belongs to the server or to backfilld itself", schema, name);
	if (fact_flag(relation, "row_security")) {
		error_set(err, ERROR_DATA, "row-level security of %s.%s applies to the role: rows would be left out silently", schema,
		          name);
		return error_hint(err, "use the table's owner (without FORCE ROW LEVEL SECURITY) or a role with BYPASSRLS");
	}
	if (strcmp(fact_text(relation, "persistence"), "u") == 0)
		fact_warn(warnings, "%s.%s is unlogged: a crash of the server empties it, and backfilld would count its rows as done",
		          schema, name);
	return true;
}

static bool check_family(const struct rules_write *write, const json_t *table, json_t *warnings, struct error *err) {
	const char *schema = fact_text(table, "schema"), *name = fact_text(table, "name");
	const json_t *children = json_object_get(table, "children");
	if (json_array_size(children) == 0)
		return true;
	autofree char *names = fact_join(children);
	if (!write->only) {
		error_set(err, ERROR_DATA, "%s.%s has inheritance children (%s), whose keys are not in its index", schema, name, names);
		return error_hint(err, "write ONLY before the table in the statement");
	}
	fact_warn(warnings, "the inheritance children of %s.%s are not touched: %s", schema, name, names);
	return true;
}

static bool check_written(const struct jobfile *job, const struct rules_write *write, const json_t *relation, json_t *warnings,
                          struct error *err) {
	(void)job;
	(void)warnings;
	const char *schema = fact_text(relation, "schema"), *name = fact_text(relation, "name");
	const json_t *rules = json_object_get(relation, "rules");
	if (json_array_size(rules) > 0) {
		autofree char *names = fact_join(rules);
		error_set(err, ERROR_DATA, "%s.%s has rewrite rules (%s): what is written is not what the statement says", schema, name,
		          names);
		return error_hint(err, "drop or disable them, or name the table that they write to");
	}
	bool published = (write->updates && fact_flag(relation, "publishes_update")) ||
	                 (write->deletes && fact_flag(relation, "publishes_delete"));
	if (published && !fact_flag(relation, "replica_identity")) {
		error_set(err, ERROR_DATA, "%s.%s is published and has no replica identity: the server refuses to change its rows",
		          schema, name);
		return error_hint(err, "ALTER TABLE \"%s\".\"%s\" REPLICA IDENTITY …, or leave it out of the publication", schema, name);
	}
	return true;
}

static const char *column_problem(const json_t *column) {
	return fact_flag(column, "identity_always") ? "is GENERATED ALWAYS AS IDENTITY: it can't be set" : NULL;
}

/* ---- Privileges ---- */

static bool hint_grant(const json_t *server, const json_t *relation, const char *privilege, struct error *err) {
	return error_hint(err, "GRANT %s ON \"%s\".\"%s\" TO \"%s\"", privilege, fact_text(relation, "schema"),
	                  fact_text(relation, "name"), fact_text(server, "role"));
}

static bool check_access(const json_t *server, const json_t *relation, struct error *err) {
	if (fact_flag(relation, "may_use_schema"))
		return true;
	const char *schema = fact_text(relation, "schema");
	error_set(err, ERROR_DATA, "role %s has no USAGE privilege on schema %s", fact_text(server, "role"), schema);
	return error_hint(err, "GRANT USAGE ON SCHEMA \"%s\" TO \"%s\"", schema, fact_text(server, "role"));
}

/* ---- The key ---- */

static const char *part_problem(const json_t *column, const json_t *part) {
	if (fact_flag(column, "float"))
		return "has a floating-point column, whose text and order are not exact";
	if (!fact_flag(part, "default_opclass"))
		return "has an operator class that is not its type's default";
	if (!fact_flag(part, "same_collation"))
		return "has another collation than its column";
	return NULL;
}

static const char *index_problem(const json_t *index) {
	const json_t *columns = json_object_get(index, "columns");
	if (!fact_flag(index, "valid"))
		return "is invalid (left by a CREATE INDEX CONCURRENTLY that failed)";
	if (!fact_flag(index, "btree"))
		return "is not a B-tree";
	if (fact_flag(index, "partial"))
		return "is partial: it does not have all rows";
	int64_t order = fact_int(json_array_get(columns, 0), "order");
	for (size_t i = 0; i < json_array_size(columns); i++) {
		int64_t own = fact_int(json_array_get(columns, i), "order");
		if (own != order || (own != 0 && own != 3))
			return "mixes ASC and DESC, or NULLS FIRST and LAST: a range of it is not one piece of the index";
	}
	return NULL;
}

/* An index that was built under another version may be in another order than the one that ranges are compared in. */
static bool check_collation(const json_t *column, struct error *err) {
	const char *built = fact_text(column, "collation_recorded"), *now = fact_text(column, "collation_version");
	if (built[0] == '\0' || strcmp(built, now) == 0)
		return true;
	const char *collation = fact_text(column, "collation");
	error_set(err, ERROR_DATA,
	          "the collation %s of the key's column %s was made with version %s, the server has %s now: its rows may "
	          "be in another order than its index",
	          collation, fact_text(column, "name"), built, now[0] != '\0' ? now : "none");
	return error_hint(err, "REINDEX what uses it, then ALTER %s … REFRESH COLLATION VERSION",
	                  strncmp(collation, "default ", 8) == 0 ? "DATABASE" : "COLLATION");
}

static bool check_key_column(const json_t *server, const json_t *column, struct error *err) {
	if (strcmp(fact_text(server, "encoding"), "SQL_ASCII") == 0 && fact_flag(column, "collated"))
		return error_set(err, ERROR_DATA, "the database's encoding is SQL_ASCII: the text key %s can't be kept safely",
		                 fact_text(column, "name"));
	return check_collation(column, err);
}

static void add_schema(struct table_shape *shape, const char *schema) {
	for (size_t i = 0; i < shape->nsearch_path; i++)
		if (strcmp(shape->search_path[i], schema) == 0)
			return;
	shape->search_path = mem_resize(shape->search_path, shape->nsearch_path + 1, sizeof *shape->search_path);
	shape->search_path[shape->nsearch_path++] = mem_dup(schema);
}

static void fill_shape(struct table_shape *shape, const json_t *key, const struct rules_write *write, const json_t *written) {
	(void)write;
	(void)written;
	add_schema(shape, "pg_catalog");
	add_schema(shape, shape->schema);
	const json_t *columns = json_object_get(key, "columns");
	for (size_t i = 0; i < json_array_size(columns); i++) {
		const json_t *schemas = json_object_get(json_array_get(columns, i), "operator_schemas");
		for (size_t k = 0; k < json_array_size(schemas); k++)
			add_schema(shape, json_string_value(json_array_get(schemas, k)));
	}
}

/* ---- ON CONFLICT ---- */

/* https://www.postgresql.org/docs/15/sql-insert.html#SQL-ON-CONFLICT */
static bool is_arbiter(const json_t *index) {
	return fact_flag(index, "valid") && !fact_flag(index, "partial") && fact_flag(index, "immediate");
}

/* ON CONFLICT goes by its arbiter alone: at another unique index the server refuses the row. */
static bool check_conflicts(const struct jobfile *job, const json_t *into, const json_t *arbiter, struct error *err) {
	(void)job;
	(void)into;
	(void)arbiter;
	(void)err;
	return true;
}

const struct rules rules_postgres = {
	.check_server = check_server,
	.unqualified_hint = "name the schema too, or see the role's search_path",
	.replica_hint = "let its url lead to the primary, e.g. with target_session_attrs=read-write",
	.check_relation = check_relation,
	.check_family = check_family,
	.check_written = check_written,
	.column_problem = column_problem,
	.index_problem = index_problem,
	.part_problem = part_problem,
	.check_key_column = check_key_column,
	.is_arbiter = is_arbiter,
	.arbiter_hint = "it must be valid, not deferrable, not partial and without expressions",
	.check_conflicts = check_conflicts,
	.fill_shape = fill_shape,
	.hint_grant = hint_grant,
	.check_access = check_access,
};
