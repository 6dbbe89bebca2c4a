#include "daemon/engine/rules.h"

#include "common/mem.h"
#include "common/strbuf.h"
#include "daemon/engine/dialect_mysql.h"
#include "daemon/engine/facts.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum { OLDEST_MARIADB = 100600, OLDEST_MYSQL = 80000, MOST_MEMBERS = 1000 };

/* ---- The server ---- */

static bool check_version(const json_t *server, struct error *err) {
	bool mariadb = fact_flag(server, "mariadb");
	if (fact_int(server, "version_number") >= (mariadb ? OLDEST_MARIADB : OLDEST_MYSQL))
		return true;
	error_set(err, ERROR_DATA, "the server is too old: %s %s", mariadb ? "MariaDB" : "MySQL", fact_text(server, "version"));
	return error_hint(err, "MariaDB 10.6 and MySQL 8.0 are the oldest that work");
}

static bool check_takes_writes(const json_t *server, struct error *err) {
	const char *why = fact_flag(server, "read_only")           ? "read_only, super_read_only or innodb_read_only is on"
	                  : fact_flag(server, "session_read_only") ? "transaction_read_only is on"
	                                                           : NULL;
	if (why == NULL)
		return true;
	error_set(err, ERROR_TRY_AGAIN, "the server takes no writes: %s", why);
	return error_hint(err, "the target's url must lead to the primary");
}

/* Batches run under READ COMMITTED, where MIXED logs rows, and InnoDB refuses to write under STATEMENT.
 * https://dev.mysql.com/doc/refman/8.4/en/innodb-transaction-isolation-levels.html */
static bool check_binlog(const json_t *server, struct error *err) {
	if (!fact_flag(server, "log_bin") || strcmp(fact_text(server, "binlog_format"), "STATEMENT") != 0)
		return true;
	error_set(err, ERROR_DATA, "binlog_format is STATEMENT: a batch under READ COMMITTED can't be logged by its statements");
	return error_hint(err, "SET GLOBAL binlog_format = ROW (new sessions take it)");
}

static bool check_control_tables(const json_t *server, struct error *err) {
	const char *elsewhere = fact_text(server, "control_tables_elsewhere");
	if (elsewhere[0] == '\0')
		return true;
	error_set(err, ERROR_DATA, "control tables are not InnoDB: %s: a batch and its checkpoint would not be one transaction",
	          elsewhere);
	return error_hint(err, "ALTER TABLE backfill.… ENGINE = InnoDB");
}

static bool check_server(const struct jobfile *job, const json_t *server, json_t *warnings, struct error *err) {
	if (!check_version(server, err) || !check_takes_writes(server, err) || !check_binlog(server, err) ||
	    !check_control_tables(server, err))
		return false;
	if (job->durability == DURABILITY_BATCH)
		fact_warn(warnings, "durability = \"batch\" changes nothing here: a batch is as durable as the server makes any commit "
		                    "(innodb_flush_log_at_trx_commit, sync_binlog)");
	if (fact_flag(server, "wsrep"))
		fact_warn(warnings, "the server is a node of a Galera cluster: a batch may lose against another node's write and is then "
		                    "tried again, and wsrep_max_ws_size bounds it");
	return true;
}

/* ---- Relations ---- */

static const char *type_name(const char *type) {
	static const struct {
		const char *type, *name;
	} names[] = {{"VIEW", "a view"},
	             {"SYSTEM VIEW", "a view"},
	             {"SEQUENCE", "a sequence"},
	             {"TEMPORARY", "a temporary table: other sessions can't see its rows"},
	             {"SYSTEM VERSIONED", "system-versioned: its key's index has former rows, too"}};
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (strcmp(names[i].type, type) == 0)
			return names[i].name;
	return "not a table";
}

static bool check_relation(const json_t *relation, json_t *warnings, struct error *err) {
	(void)warnings;
	const char *schema = fact_text(relation, "schema"), *name = fact_text(relation, "name");
	static const char *const reserved[] = {"mysql", "information_schema", "performance_schema", "sys", "backfill"};
	for (size_t i = 0; i < sizeof reserved / sizeof *reserved; i++)
		if (strcasecmp(schema, reserved[i]) == 0)
			return error_set(err, ERROR_DATA, "%s.%s belongs to the server or to backfilld itself", schema, name);
	if (strcmp(fact_text(relation, "type"), "BASE TABLE") != 0) {
		error_set(err, ERROR_DATA, "%s.%s is %s", schema, name, type_name(fact_text(relation, "type")));
		return error_hint(err, "name the table that holds the rows");
	}
	const char *engine = fact_text(relation, "engine");
	if (strcmp(engine, "InnoDB") != 0) {
		error_set(err, ERROR_DATA, "the engine of %s.%s is %s: its rows can't commit together with the checkpoint", schema, name,
		          engine[0] != '\0' ? engine : "not known");
		return error_hint(err, "ALTER TABLE `%s`.`%s` ENGINE = InnoDB", schema, name);
	}
	return true;
}

static bool check_family(const struct rules_write *write, const json_t *table, json_t *warnings, struct error *err) {
	(void)write;
	(void)table;
	(void)warnings;
	(void)err;
	return true;
}

/* ---- What is written ---- */

static bool is_name(char c) {
	return isalnum((unsigned char)c) || c == '_' || c == '$' || (unsigned char)c >= 0x80;
}

/* The name as a word of its own, in whatever quotes. */
static bool mentions(const char *statement, const char *name) {
	size_t length = strlen(name);
	for (const char *at = statement; (at = strcasestr(at, name)) != NULL; at++)
		if ((at == statement || !is_name(at[-1])) && !is_name(at[length]))
			return true;
	return false;
}

static bool fires(const struct rules_write *write, const json_t *trigger) {
	return (write->inserts && fact_flag(trigger, "insert")) || (write->updates && fact_flag(trigger, "update")) ||
	       (write->deletes && fact_flag(trigger, "delete"));
}

/*
 * What a trigger writes is only told by its text, and what the routines do that it calls not even there. So the names of
 * all tables without transactions are looked for, and any is one too many.
 */
static bool check_trigger_targets(const struct rules_write *write, const json_t *relation, json_t *warnings, struct error *err) {
	const json_t *triggers = json_object_get(relation, "triggers"), *others = json_object_get(relation, "not_transactional");
	for (size_t i = 0; i < json_array_size(triggers); i++) {
		const json_t *trigger = json_array_get(triggers, i);
		if (fires(write, trigger) && fact_text(trigger, "statement")[0] == '\0')
			fact_warn(warnings, "what the trigger %s writes is not known: the role has no TRIGGER privilege",
			          fact_text(trigger, "name"));
		for (size_t k = 0; fires(write, trigger) && k < json_array_size(others); k++) {
			const json_t *other = json_array_get(others, k);
			if (!mentions(fact_text(trigger, "statement"), fact_text(other, "name")))
				continue;
			error_set(err, ERROR_DATA,
			          "the trigger %s of %s.%s names the table %s, whose engine is %s: what it writes there stays "
			          "when a batch is rolled back",
			          fact_text(trigger, "name"), fact_text(relation, "schema"), fact_text(relation, "name"),
			          fact_text(other, "name"), fact_text(other, "engine"));
			return error_hint(err, "ALTER TABLE `%s`.`%s` ENGINE = InnoDB", fact_text(relation, "schema"),
			                  fact_text(other, "name"));
		}
	}
	return true;
}

/* Triggers that the role is not shown fire all the same. */
static bool check_triggers_seen(const struct jobfile *job, const json_t *relation, json_t *warnings, struct error *err) {
	if (fact_flag(relation, "sees_triggers"))
		return true;
	const char *schema = fact_text(relation, "schema"), *name = fact_text(relation, "name");
	if (job->allow_triggers) {
		fact_warn(warnings, "whether %s.%s has triggers is not known: the role has no TRIGGER privilege", schema, name);
		return true;
	}
	error_set(err, ERROR_DATA, "whether triggers of %s.%s would fire is not known: the role has no TRIGGER privilege", schema,
	          name);
	return error_hint(err, "GRANT TRIGGER ON `%s`.`%s` to the user itself, not to a role of it; or say allow_triggers = true",
	                  schema, name);
}

/* https://dev.mysql.com/doc/refman/8.4/en/timestamp-initialization.html */
static void warn_of_own_changes(const struct rules_write *write, const json_t *relation, json_t *warnings) {
	const json_t *columns = json_object_get(relation, "columns");
	for (size_t i = 0; write->updates && i < json_array_size(columns); i++) {
		const json_t *column = json_array_get(columns, i);
		const char *name = fact_text(column, "name");
		if (fact_flag(column, "on_update") && !rules_writes_column(write, name))
			fact_warn(warnings, "%s.%s, column %s: becomes the time of the batch in each row that changes (ON UPDATE)",
			          fact_text(relation, "schema"), fact_text(relation, "name"), name);
	}
}

static bool check_written(const struct jobfile *job, const struct rules_write *write, const json_t *relation, json_t *warnings,
                          struct error *err) {
	if (!check_triggers_seen(job, relation, warnings, err) || !check_trigger_targets(write, relation, warnings, err))
		return false;
	warn_of_own_changes(write, relation, warnings);
	return true;
}

static const char *column_problem(const json_t *column) {
	(void)column;
	return NULL;
}

static bool hint_grant(const json_t *server, const json_t *relation, const char *privilege, struct error *err) {
	return error_hint(err, "GRANT %s ON `%s`.`%s` TO %s", privilege, fact_text(relation, "schema"), fact_text(relation, "name"),
	                  fact_text(server, "role"));
}

/* Whoever has a privilege on a table may use the schema. */
static bool check_access(const json_t *server, const json_t *relation, struct error *err) {
	(void)server;
	(void)relation;
	(void)err;
	return true;
}

/* ---- The key ---- */

/* Those whose text says the value without loss, and whose order a range can be put in: see dialect_mysql.c. */
static const char *type_problem(const char *type) {
	static const char *const fine[] = {"tinyint", "smallint",  "mediumint", "int",       "bigint", "decimal",
	                                   "date",    "time",      "datetime",  "timestamp", "char",   "varchar",
	                                   "binary",  "varbinary", "bit",       "enum",      NULL};
	static const struct {
		const char *type, *problem;
	} known[] = {{"float", "has a floating-point column, whose text and order are not exact"},
	             {"double", "has a floating-point column, whose text and order are not exact"},
	             {"json", "has a JSON column, whose order has no text"},
	             {"set", "has a SET column, which is ordered by its bits"}};
	for (size_t i = 0; fine[i] != NULL; i++)
		if (strcmp(fine[i], type) == 0)
			return NULL;
	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		if (strcmp(known[i].type, type) == 0)
			return known[i].problem;
	if (strstr(type, "text") != NULL || strstr(type, "blob") != NULL)
		return "has a TEXT or BLOB column, of which an index has the beginning only";
	return "has a column of a type that no key can have: numbers, dates and times, texts, bytes, BIT and ENUM can be walked";
}

static const char *part_problem(const json_t *column, const json_t *part) {
	const char *problem = type_problem(fact_text(column, "data_type"));
	if (problem == NULL && mysql_enum_members(fact_text(column, "type")) > MOST_MEMBERS)
		problem = "has an ENUM column of more than 1000 members, too many to name them in each batch";
	if (problem == NULL && json_is_integer(json_object_get(part, "prefix")))
		problem = "has a column of which the index has the beginning only";
	return problem;
}

static const char *index_problem(const json_t *index) {
	const json_t *columns = json_object_get(index, "columns");
	if (!fact_flag(index, "btree"))
		return "is not a B-tree";
	if (fact_flag(index, "hidden"))
		return "is invisible or ignored: no statement could be led to it";
	for (size_t i = 1; i < json_array_size(columns); i++)
		if (fact_flag(json_array_get(columns, i), "descending") != fact_flag(json_array_get(columns, 0), "descending"))
			return "mixes ASC and DESC: a range of it is not one piece of the index";
	return NULL;
}

static bool check_key_column(const json_t *server, const json_t *column, struct error *err) {
	(void)server;
	(void)column;
	(void)err;
	return true;
}

static bool is_conflict_key(const struct table_shape *shape, const char *name) {
	for (size_t i = 0; i < shape->nconflict_key; i++)
		if (strcmp(shape->conflict_key[i], name) == 0)
			return true;
	return false;
}

static void fill_shape(struct table_shape *shape, const json_t *key, const struct rules_write *write, const json_t *written) {
	shape->session = mem_dup(mysql_pinned);
	if (!fact_flag(key, "primary"))
		shape->key_index = mem_dup(fact_text(key, "name"));
	const json_t *columns = json_object_get(written, "columns");
	shape->written = mem_alloc((json_array_size(columns) + 1) * sizeof *shape->written);
	for (size_t i = 0; i < json_array_size(columns); i++) {
		const json_t *column = json_array_get(columns, i);
		const char *name = fact_text(column, "name");
		if (!rules_writes_column(write, name) && !is_conflict_key(shape, name))
			continue;
		shape->written[shape->nwritten++] = (struct shape_column){
			.name = mem_dup(name),
			.type = mem_dup(fact_text(column, "type")),
			.collation = mem_dup(json_string_value(json_object_get(column, "collation"))),
		};
	}
}

/* ---- Conflicts ---- */

static bool is_arbiter(const json_t *index) {
	const json_t *columns = json_object_get(index, "columns");
	for (size_t i = 0; i < json_array_size(columns); i++)
		if (json_is_integer(json_object_get(json_array_get(columns, i), "prefix")))
			return false;
	return true;
}

static bool maps(const struct jobfile *job, const char *name) {
	for (size_t i = 0; i < job->ncolumns; i++)
		if (strcmp(job->columns[i].column, name) == 0)
			return true;
	return false;
}

/* A number that the server itself makes up is new. */
static bool cannot_collide(const struct jobfile *job, const json_t *into, const json_t *index) {
	const json_t *columns = json_object_get(index, "columns");
	for (size_t i = 0; i < json_array_size(columns); i++) {
		const char *name = fact_text(json_array_get(columns, i), "name");
		if (fact_flag(fact_column(into, name), "auto_increment") && !maps(job, name))
			return true;
	}
	return false;
}

/* Neither server says what numbers or defaults it gave to the rows of an INSERT … SELECT; MariaDB's RETURNING goes to the client.
 */
static bool check_kept_key(const struct jobfile *job, const json_t *into, const json_t *arbiter, struct error *err) {
	const json_t *columns = json_object_get(arbiter, "columns");
	for (size_t i = 0; job->keep_old_values && i < json_array_size(columns); i++) {
		const char *name = fact_text(json_array_get(columns, i), "name");
		if (maps(job, name))
			continue;
		error_set(err, ERROR_DATA,
		          "rollback.keep_old_values: `columns` doesn't map %s.%s.%s: which rows are inserted could not be kept",
		          fact_text(into, "schema"), fact_text(into, "name"), name);
		return error_hint(err, "map it, name another unique key as conflict_key, or say rollback = { keep_old_values = false; }");
	}
	return true;
}

/*
 * ON DUPLICATE KEY goes by whichever unique index is met first, and so would change or leave out a row for the sake of
 * another one than was meant. https://dev.mysql.com/doc/refman/8.4/en/insert-on-duplicate.html
 */
static bool check_conflicts(const struct jobfile *job, const json_t *into, const json_t *arbiter, struct error *err) {
	if (!check_kept_key(job, into, arbiter, err))
		return false;
	const json_t *indexes = json_object_get(into, "indexes");
	for (size_t i = 0; job->on_conflict != CONFLICT_ERROR && i < json_array_size(indexes); i++) {
		const json_t *index = json_array_get(indexes, i);
		if (index == arbiter || cannot_collide(job, into, index))
			continue;
		error_set(err, ERROR_DATA,
		          "%s.%s has another unique index, %s: the server would take a row that it meets there for the one "
		          "that is meant",
		          fact_text(into, "schema"), fact_text(into, "name"), fact_text(index, "name"));
		return error_hint(err, "say on_conflict = \"error\" and leave out rows that are there with `where`, or drop that index");
	}
	return true;
}

const struct rules rules_mysql = {
	.check_server = check_server,
	.missing_hint =
		"is the name right? A server shows nobody a table on which he has no privilege: GRANT SELECT and what the work "
		"takes",
	.replica_hint = "let its url lead to the primary: read_only is on there",
	.unqualified_hint = "name the database too, or see which one the target's url names",
	.check_relation = check_relation,
	.check_family = check_family,
	.check_written = check_written,
	.column_problem = column_problem,
	.index_problem = index_problem,
	.part_problem = part_problem,
	.check_key_column = check_key_column,
	.is_arbiter = is_arbiter,
	.arbiter_hint = "it must have its columns whole, and no expressions",
	.check_conflicts = check_conflicts,
	.fill_shape = fill_shape,
	.hint_grant = hint_grant,
	.check_access = check_access,
};
