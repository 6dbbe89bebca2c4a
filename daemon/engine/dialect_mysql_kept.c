#include "daemon/engine/dialect_mysql.h"

#include "common/mem.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/*
 * No UPDATE says which rows it changed, so their keys are kept first, with their old values, and the rows locked. All of these
 * still match then, as long as the predicate depends on the row alone; so when as many rows were changed as were kept, they are
 * the same. Any other predicate is asked once: the UPDATE goes to the kept keys, one by one, which takes several times as long.
 */

/* What depends on its arguments alone; every other call, a subquery or a variable may change its mind. */
static const char *const steady[] = {
	"abs",         "ascii",         "bit_count",    "ceil",        "ceiling",
	"char_length", "coalesce",      "concat",       "concat_ws",   "crc32",
	"date",        "day",           "field",        "floor",       "greatest",
	"hex",         "hour",          "if",           "ifnull",      "instr",
	"isnull",      "json_contains", "json_extract", "json_length", "json_unquote",
	"json_valid",  "lcase",         "least",        "left",        "length",
	"locate",      "lower",         "lpad",         "ltrim",       "minute",
	"mod",         "month",         "nullif",       "pow",         "power",
	"replace",     "right",         "round",        "rpad",        "rtrim",
	"second",      "sign",          "substr",       "substring",   "substring_index",
	"trim",        "truncate",      "ucase",        "unhex",       "upper",
	"year",        "and",           "between",      "case",        "else",
	"in",          "interval",      "is",           "like",        "not",
	"or",          "regexp",        "then",         "when",        "xor",
	"div",
};

/* What needs no brackets to be another thing the next moment: words that begin so. */
static const char *const unsteady[] = {"select", "current_", "utc_", "localtime"};

static bool is_name(char c) {
	return isalnum((unsigned char)c) || c == '_' || c == '$' || (unsigned char)c >= 0x80;
}

static bool is_steady(const char *word, size_t length) {
	for (size_t i = 0; i < sizeof steady / sizeof *steady; i++)
		if (strlen(steady[i]) == length && strncasecmp(word, steady[i], length) == 0)
			return true;
	return false;
}

static bool begins_unsteady(const char *word) {
	for (size_t i = 0; i < sizeof unsteady / sizeof *unsteady; i++)
		if (strncasecmp(word, unsteady[i], strlen(unsteady[i])) == 0)
			return true;
	return false;
}

/* Literals are read like the rest: what looks like a call there only costs time. */
static bool depends_on_row_alone(const char *predicate) {
	for (const char *c = predicate; c != NULL && *c != '\0';) {
		size_t length = 0;
		if (*c == '@')
			return false;
		while (is_name(c[length]))
			length++;
		const char *behind = c + length + strspn(c + length, " \t\r\n`");
		if (length > 0 && (begins_unsteady(c) || (*behind == '(' && !is_steady(c, length))))
			return false;
		c += length > 0 ? length : 1;
	}
	return true;
}

struct shape_column mysql_typed_column(const struct table_shape *shape, const char *name) {
	for (size_t i = 0; i < shape->nwritten; i++)
		if (strcasecmp(shape->written[i].name, name) == 0)
			return shape->written[i];
	return (struct shape_column){.name = (char *)name};
}

struct mysql_written mysql_written(const struct jobfile *job, const struct table_shape *shape, const struct shape_leaf *leaf) {
	struct mysql_written written = {.walked = job->kind == JOB_UPDATE};
	if (job->kind == JOB_UPDATE) {
		written.schema = leaf->schema;
		written.table = leaf->name;
		written.leaf = leaf;
		written.columns = job->set;
		written.ncolumns = job->nset;
		written.nkey = shape->nkey;
		memcpy(written.key, shape->key, sizeof written.key);
		return written;
	}
	written.schema = job->into_schema != NULL ? job->into_schema : shape->schema;
	written.table = job->into_table;
	written.columns = job->columns;
	written.ncolumns = job->ncolumns;
	for (; written.nkey < shape->nconflict_key && written.nkey < SHAPE_MAX_KEY_COLUMNS; written.nkey++)
		written.key[written.nkey] = mysql_typed_column(shape, shape->conflict_key[written.nkey]);
	return written;
}

void mysql_add_values(struct strbuf *b, const struct table_shape *shape, const struct mysql_written *written,
                      const char *relation) {
	strbuf_add(b, "JSON_ARRAY(");
	for (size_t i = 0; i < written->ncolumns; i++) {
		struct shape_column column = mysql_typed_column(shape, written->columns[i].column);
		autostrbuf value = {0};
		mysql_add_column(&value, relation, written->columns[i].column);
		strbuf_add(b, i > 0 ? ", " : "");
		mysql_add_text(b, &column, value.data, false);
	}
	strbuf_add(b, ")");
}

void mysql_add_kept_row(struct strbuf *b, size_t parameter) {
	strbuf_printf(b, " WHERE job_id = $%zu AND segment = CAST($%zu AS SIGNED) AND batch_id = CAST($%zu AS SIGNED)", parameter,
	              parameter + 1, parameter + 2);
}

void mysql_add_kept_keys(struct strbuf *b, size_t parameter) {
	strbuf_add(b, "SET @backfilld_keys = (SELECT `keys` FROM backfill.kept");
	mysql_add_kept_row(b, parameter);
	strbuf_add(b, "); ");
}

static void add_written_table(struct strbuf *b, const struct table_shape *shape, const struct mysql_written *written) {
	if (written->leaf != NULL)
		mysql_add_leaf(b, shape, written->leaf);
	else
		mysql_add_relation(b, written->schema, written->table);
}

/* The kept keys, in their order, each with its row. MariaDB would give the texts the character set of the session's database. */
static void add_kept_join(struct strbuf *b, const struct table_shape *shape, const struct mysql_written *written) {
	strbuf_add(b, "JSON_TABLE(@backfilld_keys, '$[*]' COLUMNS (`backfilld n` FOR ORDINALITY");
	for (size_t i = 0; i < written->nkey; i++)
		strbuf_printf(b, ", `backfilld k%zu` LONGTEXT CHARACTER SET utf8mb4 PATH '$[%zu]'", i + 1, i);
	strbuf_add(b, ")) AS `backfilld` STRAIGHT_JOIN ");
	add_written_table(b, shape, written);
	for (size_t i = 0; i < written->nkey; i++) {
		autofree char *stored = mem_printf("`backfilld`.`backfilld k%zu`", i + 1);
		strbuf_add(b, i == 0 ? " ON " : " AND ");
		mysql_add_column(b, written->table, written->key[i].name);
		strbuf_add(b, " = ");
		mysql_add_typed(b, &written->key[i], stored, ORIGIN_STORED, written->walked);
	}
}

void mysql_add_kept_new(struct strbuf *b, const struct table_shape *shape, const struct mysql_written *written, size_t parameter,
                        const char *conflicted, const char *agrees) {
	strbuf_add(b, "UPDATE backfill.kept SET new_values = (SELECT CONCAT('[', GROUP_CONCAT(");
	mysql_add_values(b, shape, written, written->table);
	strbuf_add(b, " ORDER BY `backfilld`.`backfilld n` SEPARATOR ','), ']') FROM ");
	add_kept_join(b, shape, written);
	strbuf_add(b, ")");
	mysql_add_kept_row(b, parameter);
	strbuf_printf(b,
	              "; SELECT @backfilld_rows, %s, IF(%s AND COALESCE(JSON_LENGTH(new_values), 0) = `rows`, 'true', 'false') FROM "
	              "backfill.kept",
	              conflicted, agrees);
	mysql_add_kept_row(b, parameter);
}

static void add_assignments(struct strbuf *b, const struct jobfile *job, const char *relation) {
	for (size_t i = 0; i < job->nset; i++) {
		strbuf_add(b, i == 0 ? " SET " : ", ");
		mysql_add_column(b, relation, job->set[i].column);
		strbuf_printf(b, " = (%s\n)", job->set[i].expr);
	}
}

void mysql_add_update(struct strbuf *b, const struct jobfile *job, const struct table_shape *shape, const struct shape_leaf *leaf,
                      bool has_after) {
	strbuf_add(b, "UPDATE ");
	mysql_add_leaf(b, shape, leaf);
	add_assignments(b, job, leaf->name);
	mysql_add_where(b, job->where, shape, leaf, has_after);
}

/*
 * Of a NOT NULL DATE or DATETIME `IS NULL` also finds 0000-00-00.
 * https://dev.mysql.com/doc/refman/8.4/en/comparison-operators.html#operator_is-null
 */
static bool old_values_null(const struct jobfile *job, const struct table_shape *shape) {
	for (size_t i = 0; i < shape->nwritten; i++)
		if (strncasecmp(shape->written[i].type, "date", 4) == 0)
			return false;
	return job->old_values_null;
}

char *mysql_update_capture(const struct jobfile *job, const struct table_shape *shape, const struct shape_leaf *leaf,
                           bool has_after) {
	autostrbuf b = {0};
	struct mysql_written written = mysql_written(job, shape, leaf);
	size_t parameter = mysql_range_parameters(shape, has_after);
	strbuf_printf(&b,
	              "INSERT INTO backfill.kept (job_id, segment, batch_id, `rows`, existing, `keys`%s) SELECT $%zu, $%zu, $%zu, "
	              "COUNT(*), COUNT(*), CONCAT('[', GROUP_CONCAT(JSON_ARRAY(",
	              old_values_null(job, shape) ? "" : ", old_values", parameter, parameter + 1, parameter + 2);
	for (size_t i = 0; i < shape->nkey; i++) {
		autostrbuf column = {0};
		mysql_add_column(&column, leaf->name, shape->key[i].name);
		strbuf_add(&b, i > 0 ? ", " : "");
		mysql_add_text(&b, &shape->key[i], column.data, true);
	}
	strbuf_add(&b, ") SEPARATOR ','), ']')");
	if (!old_values_null(job, shape)) {
		strbuf_add(&b, ", CONCAT('[', GROUP_CONCAT(");
		mysql_add_values(&b, shape, &written, leaf->name);
		strbuf_add(&b, " SEPARATOR ','), ']')");
	}
	strbuf_add(&b, " FROM ");
	mysql_add_leaf(&b, shape, leaf);
	mysql_add_where(&b, job->where, shape, leaf, has_after);
	strbuf_add(&b, " HAVING COUNT(*) > 0 FOR UPDATE");
	return strbuf_take(&b);
}

char *mysql_update_kept(const struct jobfile *job, const struct table_shape *shape, const struct shape_leaf *leaf,
                        bool has_after) {
	autostrbuf b = {0};
	struct mysql_written written = mysql_written(job, shape, leaf);
	size_t parameter = mysql_range_parameters(shape, has_after);
	mysql_add_kept_keys(&b, parameter);
	if (depends_on_row_alone(job->where)) {
		mysql_add_update(&b, job, shape, leaf, has_after);
	} else {
		strbuf_add(&b, "UPDATE ");
		add_kept_join(&b, shape, &written);
		add_assignments(&b, job, leaf->name);
		mysql_add_where(&b, NULL, shape, leaf, has_after);
	}
	strbuf_add(&b, "; SET @backfilld_rows = ROW_COUNT(); ");
	mysql_add_kept_new(&b, shape, &written, parameter, "0", "@backfilld_rows = `rows`");
	return strbuf_take(&b);
}
