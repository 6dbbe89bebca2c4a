#include "daemon/engine/dialect_mysql.h"

#include "common/mem.h"

#include <ctype.h>
#include <string.h>

/* What a type is to us; its name in information_schema begins with one of these. */
enum value_kind { INTEGER, BITS, NUMBERED, EXACT, APPROXIMATE, BYTES, CHARACTERS, TEMPORAL, OTHER };

static const struct {
	const char *name;
	enum value_kind kind;
} types[] = {
	{"tinyint", INTEGER},
	{"smallint", INTEGER},
	{"mediumint", INTEGER},
	{"int", INTEGER},
	{"bigint", INTEGER},
	{"year", INTEGER},
	{"bit", BITS},
	{"enum", NUMBERED},
	{"set", NUMBERED},
	{"decimal", EXACT},
	{"float", APPROXIMATE},
	{"double", APPROXIMATE},
	{"binary", BYTES},
	{"varbinary", BYTES},
	{"tinyblob", BYTES},
	{"blob", BYTES},
	{"mediumblob", BYTES},
	{"longblob", BYTES},
	{"geometry", BYTES},
	{"point", BYTES},
	{"linestring", BYTES},
	{"polygon", BYTES},
	{"multipoint", BYTES},
	{"multilinestring", BYTES},
	{"multipolygon", BYTES},
	{"geomcollection", BYTES},
	{"geometrycollection", BYTES},
	{"vector", BYTES},
	{"char", CHARACTERS},
	{"varchar", CHARACTERS},
	{"tinytext", CHARACTERS},
	{"text", CHARACTERS},
	{"mediumtext", CHARACTERS},
	{"longtext", CHARACTERS},
	{"date", TEMPORAL},
	{"time", TEMPORAL},
	{"datetime", TEMPORAL},
	{"timestamp", TEMPORAL},
};

static size_t name_length(const char *type) {
	size_t length = 0;
	while (isalpha((unsigned char)type[length]))
		length++;
	return length;
}

static enum value_kind kind_of(const struct shape_column *column) {
	if (column->type == NULL)
		return OTHER;
	size_t length = name_length(column->type);
	for (size_t i = 0; i < sizeof types / sizeof *types; i++)
		if (strlen(types[i].name) == length && strncasecmp(column->type, types[i].name, length) == 0)
			return types[i].kind;
	return OTHER;
}

void mysql_add_ident(struct strbuf *b, const char *name) {
	strbuf_add(b, "`");
	for (const char *c = name; *c != '\0'; c++) {
		if (*c == '`')
			strbuf_add(b, "`");
		strbuf_add_n(b, c, 1);
	}
	strbuf_add(b, "`");
}

void mysql_add_literal(struct strbuf *b, const char *text) {
	strbuf_add(b, "'");
	for (const char *c = text; *c != '\0'; c++) {
		if (*c == '\'' || *c == '\\')
			strbuf_add_n(b, c, 1);
		strbuf_add_n(b, c, 1);
	}
	strbuf_add(b, "'");
}

void mysql_add_column(struct strbuf *b, const char *relation, const char *column) {
	if (relation != NULL) {
		mysql_add_ident(b, relation);
		strbuf_add(b, ".");
	}
	mysql_add_ident(b, column);
}

void mysql_add_relation(struct strbuf *b, const char *schema, const char *name) {
	mysql_add_column(b, schema, name);
}

void mysql_add_leaf(struct strbuf *b, const struct table_shape *shape, const struct shape_leaf *leaf) {
	mysql_add_relation(b, leaf->schema, leaf->name);
	if (leaf->partition != NULL) {
		strbuf_add(b, " PARTITION (");
		mysql_add_ident(b, leaf->partition);
		strbuf_add(b, ")");
	}
	strbuf_add(b, " FORCE INDEX (");
	mysql_add_ident(b, shape->key_index != NULL ? shape->key_index : "PRIMARY");
	strbuf_add(b, ")");
}

/* The character set that a collation is of: its name begins with it. */
static void add_collated(struct strbuf *b, const struct shape_column *column, const char *value) {
	const char *collation = column->collation, *end = collation != NULL ? strchr(collation, '_') : NULL;
	if (end == NULL) {
		strbuf_add(b, value);
		return;
	}
	bool old_name = end - collation == 4 && strncmp(collation, "utf8", 4) == 0; /* MySQL up to 8.0.29 */
	strbuf_printf(b, "CONVERT(%s USING %.*s) COLLATE %s", value, old_name ? 7 : (int)(end - collation),
	              old_name ? "utf8mb3" : collation, collation);
}

static void add_cast(struct strbuf *b, const char *value, const char *type) {
	strbuf_printf(b, "CAST(%s AS %s)", value, type);
}

/* The type's precision as CAST takes it: "(20,5)" of "decimal(20,5) unsigned". */
static void add_decimal(struct strbuf *b, const struct shape_column *column, const char *value) {
	const char *open = strchr(column->type, '('), *close = open != NULL ? strchr(open, ')') : NULL;
	strbuf_printf(b, "CAST(%s AS DECIMAL%.*s)", value, close != NULL ? (int)(close + 1 - open) : 0, open != NULL ? open : "");
}

/* A parameter is converted to the column's type by the comparison itself: CAST would make NULL of a zero date, and an empty range
 * of what lies behind it. */
static void add_temporal(struct strbuf *b, const struct shape_column *column, const char *value, enum mysql_origin origin) {
	size_t length = name_length(column->type);
	if (origin == ORIGIN_PARAMETER)
		strbuf_add(b, value);
	else
		add_cast(b, value, length > 4 ? "DATETIME(6)" : strncasecmp(column->type, "time", 4) == 0 ? "TIME(6)" : "DATE");
}

/* MySQL 9 would take a bare parameter for a signed number, and 2^63 - 1 for what is beyond. */
static void add_unsigned(struct strbuf *b, const char *value, enum mysql_origin origin) {
	strbuf_printf(b, origin == ORIGIN_PARAMETER ? "CAST(CONCAT(%s) AS UNSIGNED)" : "CAST(%s AS UNSIGNED)", value);
}

static bool is_unsigned(const struct shape_column *column) {
	return strcasestr(column->type, "unsigned") != NULL || strncasecmp(column->type, "year", 4) == 0;
}

void mysql_add_typed(struct strbuf *b, const struct shape_column *column, const char *value, enum mysql_origin origin,
                     bool walked) {
	switch (kind_of(column)) {
	case INTEGER:
		if (is_unsigned(column))
			add_unsigned(b, value, origin);
		else
			add_cast(b, value, "SIGNED");
		return;
	case BITS:
		add_unsigned(b, value, origin);
		return;
	case NUMBERED:
		if (walked)
			add_unsigned(b, value, origin);
		else
			add_collated(b, column, value);
		return;
	case EXACT:
		add_decimal(b, column, value);
		return;
	case BYTES:
		strbuf_printf(b, origin == ORIGIN_EXPRESSION ? "%s" : "UNHEX(%s)", value);
		return;
	case CHARACTERS:
		add_collated(b, column, value);
		return;
	case TEMPORAL:
		add_temporal(b, column, value, origin);
		return;
	case APPROXIMATE:
	case OTHER:
		strbuf_add(b, value);
		return;
	}
}

/* A FLOAT shows six digits, the DOUBLE of the same value as many as it takes. */
void mysql_add_text(struct strbuf *b, const struct shape_column *column, const char *value, bool walked) {
	enum value_kind kind = kind_of(column);
	if (kind == BYTES)
		strbuf_printf(b, "HEX(%s)", value);
	else if (kind == BITS || (kind == NUMBERED && walked))
		strbuf_printf(b, "CAST(CAST(%s AS UNSIGNED) AS CHAR)", value);
	else
		strbuf_printf(b, "CAST(%s%s AS CHAR)", value, kind == APPROXIMATE ? " + 0e0" : "");
}

void mysql_add_key_list(struct strbuf *b, const struct table_shape *shape, const struct shape_leaf *leaf, const char *suffix) {
	for (size_t i = 0; i < shape->nkey; i++) {
		strbuf_add(b, i > 0 ? ", " : "");
		mysql_add_column(b, leaf->name, shape->key[i].name);
		strbuf_add(b, suffix);
	}
}

size_t mysql_enum_members(const char *type) {
	size_t members = 0;
	for (const char *c = strchr(type, '\''); c != NULL; c = strchr(c, '\'')) {
		do /* a quote in a member is doubled */
			c = strchrnul(c + 1, '\'');
		while (*c != '\0' && *++c == '\'');
		members++;
	}
	return members;
}

/*
 * The numbers that compare so, as no range of an ENUM's index is more than one of them: neither server makes one of < or >. They
 * are known when the statement is planned. 0 is what a member became that is none.
 */
static void add_numbers(struct strbuf *b, const struct shape_column *column, const char *operator, const char * value) {
	size_t members = mysql_enum_members(column->type);
	strbuf_add(b, " IN (");
	for (size_t number = 0; number <= members; number++) {
		strbuf_printf(b, "%sIF(%zu %s ", number > 0 ? ", " : "", number, operator);
		mysql_add_typed(b, column, value, ORIGIN_PARAMETER, true);
		strbuf_printf(b, ", %zu, NULL)", number);
	}
	strbuf_add(b, ")");
}

/* column OP $n */
static void add_compared(struct strbuf *b, const struct table_shape *shape, const struct shape_leaf *leaf, size_t i,
                         const char *operator, size_t parameter) {
	autofree char *value = mem_printf("$%zu", parameter + i);
	mysql_add_column(b, leaf->name, shape->key[i].name);
	if (kind_of(&shape->key[i]) == NUMBERED && *operator!= '=') {
		add_numbers(b, &shape->key[i], operator, value);
		return;
	}
	strbuf_printf(b, " %s ", operator);
	mysql_add_typed(b, &shape->key[i], value, ORIGIN_PARAMETER, true);
}

/* A row comparison would not range-scan.
 * https://dev.mysql.com/doc/refman/8.0/en/range-optimization.html#row-constructor-range-optimization */
void mysql_add_comparison(struct strbuf *b, const struct table_shape *shape, const struct shape_leaf *leaf, const char *last,
                          size_t *parameter) {
	const char inner[] = {last[0], '\0'};
	strbuf_add(b, "(");
	for (size_t i = 0; i < shape->nkey; i++) {
		strbuf_add(b, i > 0 ? " OR " : "");
		for (size_t j = 0; j < i; j++) {
			add_compared(b, shape, leaf, j, "=", *parameter);
			strbuf_add(b, " AND ");
		}
		add_compared(b, shape, leaf, i, i + 1 < shape->nkey ? inner : last, *parameter);
	}
	strbuf_add(b, ")");
	*parameter += shape->nkey;
}

size_t mysql_add_where(struct strbuf *b, const char *predicate, const struct table_shape *shape, const struct shape_leaf *leaf,
                       bool has_after) {
	size_t parameter = 1;
	strbuf_add(b, " WHERE ");
	if (has_after) {
		mysql_add_comparison(b, shape, leaf, ">", &parameter);
		strbuf_add(b, " AND ");
	}
	mysql_add_comparison(b, shape, leaf, "<=", &parameter);
	if (predicate != NULL)
		strbuf_printf(b, " AND (%s\n)", predicate);
	return parameter;
}

size_t mysql_range_parameters(const struct table_shape *shape, bool has_after) {
	return 1 + shape->nkey * (has_after ? 2 : 1);
}
