/* sqlcheck_mysql_where.c: what a fragment that has been checked says of a column. */
#include "common/sqlcheck_mysql.h"

/* ---- What it demands ---- */

/* Conditions of which not all must hold, or an AND that joins none. */
static bool is_plain_and(const struct sqllex *lex, size_t from, size_t to) {
	static const char *const others[] = {"OR", "XOR", "CASE", NULL};
	size_t at = 0;
	if (sqlcheck_mysql_expression(lex, from, to, &at) != NULL)
		return false; /* a list, a subquery */
	for (size_t i = from; i < to; i++) {
		if (sqllex_is_kind(lex, i, SQLLEX_OPEN))
			i = lex->tokens[i].mate;
		else if (sqllex_is_one_of(lex, i, others))
			return false;
	}
	return true;
}

/* The condition's end: an AND that is not BETWEEN's, or `to`. */
static size_t condition_end(const struct sqllex *lex, size_t from, size_t to) {
	size_t betweens = 0, ands = 0;
	for (size_t i = from; i < to; i++) {
		if (sqllex_is_kind(lex, i, SQLLEX_OPEN))
			i = lex->tokens[i].mate;
		else if (sqllex_is(lex, i, "BETWEEN") && !sqllex_is_member(lex, i))
			betweens++;
		else if (sqllex_is(lex, i, "AND") && !sqllex_is_member(lex, i))
			ands++;
		if (ands > betweens)
			return i;
	}
	return to;
}

static bool demands(const struct sqllex *lex, size_t from, size_t to, const char *column) {
	if (!is_plain_and(lex, from, to))
		return false;
	for (size_t end; from < to; from = end + 1) {
		end = condition_end(lex, from, to);
		if (end - from == 3 && sqllex_names(lex, from, column) && sqllex_is(lex, from + 1, "IS") &&
		    sqllex_is(lex, from + 2, "NULL"))
			return true;
		bool bracketed = sqllex_is_kind(lex, from, SQLLEX_OPEN) && lex->tokens[from].mate == end - 1;
		if (bracketed && demands(lex, from + 1, end - 1, column))
			return true;
	}
	return false;
}

/*
 * A DATE or DATETIME that is NOT NULL IS NULL where it is '0000-00-00'
 * (https://dev.mysql.com/doc/refman/8.4/en/comparison-operators.html#operator_is-null): the caller knows the column.
 */
bool sqlcheck_mysql_demands_null(const char *where, const char *column) {
	autosqllex lex;
	size_t at;
	const char *why;
	return sqllex_mysql(where, &lex, &at, &why) && demands(&lex, 0, lex.count, column);
}

/* ---- What it surely reads ---- */

/* `i` is the last part of a column's name. Words that mean something else in some places are columns in backticks alone. */
static bool is_column(const struct sqllex *lex, size_t i, const char *column) {
	static const char *const ambiguous[] = {
		"MICROSECOND", "SECOND",    "MINUTE",    "HOUR",     "DAY",     "WEEK",   "MONTH",    "QUARTER", "YEAR", "DATE",
		"TIME",        "TIMESTAMP", "CHAR",      "SIGNED",   "JSON",    "ASCII",  "UNICODE",  "BYTE",    "MODE", "BOOLEAN",
		"LANGUAGE",    "QUERY",     "EXPANSION", "DATETIME", "DECIMAL", "DOUBLE", "TRUNCATE", "UTF8MB4", NULL,
	};
	static const char *const not_before[] = {"AS", "USING", "COLLATE", "SET", "CHARSET", NULL};
	if (!sqllex_names(lex, i, column) || sqllex_is_kind(lex, i + 1, SQLLEX_OPEN) || sqllex_is_kind(lex, i + 1, SQLLEX_DOT) ||
	    sqllex_is_kind(lex, i + 1, SQLLEX_STRING))
		return false;
	if (sqllex_is_kind(lex, i, SQLLEX_QUOTED) || sqllex_is_member(lex, i))
		return i == 0 || !sqllex_is_one_of(lex, i - 1, not_before);
	return !sqllex_is_one_of(lex, i, ambiguous) && (i == 0 || !sqllex_is_one_of(lex, i - 1, not_before));
}

/* column or table.column. Inside a subquery the name may be another table's. */
bool sqlcheck_mysql_reads(const char *where, const char *column) {
	static const char *const queries[] = {"SELECT", "VALUES", "TABLE", "WITH", NULL};
	autosqllex lex;
	size_t at;
	const char *why;
	if (!sqllex_mysql(where, &lex, &at, &why))
		return false;
	for (size_t i = 0; i < lex.count; i++) {
		if (sqllex_is_kind(&lex, i, SQLLEX_OPEN) && sqlcheck_mysql_brackets_have(&lex, i, queries))
			i = lex.tokens[i].mate;
		else if (is_column(&lex, i, column))
			return true;
	}
	return false;
}

/* ---- What it may read ---- */

/* Also in a subquery, unless it says there that the column is another table's. */
bool sqlcheck_mysql_may_read(const char *expr, const char *table, const char *column) {
	autosqllex lex;
	size_t at;
	const char *why;
	if (!sqllex_mysql(expr, &lex, &at, &why))
		return true;
	for (size_t i = 0; i < lex.count; i++) {
		bool called = sqllex_is_kind(&lex, i + 1, SQLLEX_OPEN) || sqllex_is_kind(&lex, i + 1, SQLLEX_DOT);
		bool others = i >= 2 && sqllex_is_kind(&lex, i - 1, SQLLEX_DOT) && !sqllex_names(&lex, i - 2, table);
		if (sqllex_names(&lex, i, column) && !called && !others)
			return true;
	}
	return false;
}
