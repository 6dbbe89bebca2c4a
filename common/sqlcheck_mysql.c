/*
 * sqlcheck_mysql.c: MySQL's and MariaDB's grammar, for which there is no parser to ask. Our own tokens prove that a fragment
 * can't leave the brackets around it; the turn of operands and operators, that there is one expression in them; the server's
 * EXPLAIN of the batch has the last word, as everywhere.
 */
#include "common/sqlcheck_mysql.h"

#include "common/mem.h"
#include "common/sqlcheck.h"

#include <string.h>

/* ---- Functions ---- */

/* They wait, lock, read the server's files, or answer of the session instead of the row. */
static const char *const forbidden_functions[] = {
	"SLEEP",
	"BENCHMARK",
	"GET_LOCK",
	"RELEASE_LOCK",
	"RELEASE_ALL_LOCKS",
	"LOAD_FILE",
	"MASTER_POS_WAIT",
	"SOURCE_POS_WAIT",
	"MASTER_GTID_WAIT",
	"WAIT_FOR_EXECUTED_GTID_SET",
	"WAIT_UNTIL_SQL_THREAD_AFTER_GTIDS",
	"WSREP_SYNC_WAIT_UPTO_GTID",
	"LAST_INSERT_ID",
	"FOUND_ROWS",
	"ROW_COUNT",
	NULL,
};

static const char *const aggregates[] = {
	"COUNT",      "SUM",    "AVG",        "MIN",      "MAX",         "BIT_AND",  "BIT_OR",  "BIT_XOR",       "GROUP_CONCAT",
	"STD",        "STDDEV", "STDDEV_POP", "VARIANCE", "STDDEV_SAMP", "VAR_SAMP", "VAR_POP", "JSON_ARRAYAGG", "JSON_OBJECTAGG",
	"ST_COLLECT", NULL,
};

/* A walk over all tokens, in brackets too. */
struct calls {
	const struct sqlcheck_fragment *f;
	const struct sqllex *lex;
	size_t subquery_end; /* of the outermost subquery that we are in, its closing bracket; 0 outside */
};

bool sqlcheck_mysql_brackets_have(const struct sqllex *lex, size_t open, const char *const words[]) {
	for (size_t i = open + 1; i < lex->tokens[open].mate; i++) {
		if (sqllex_is_kind(lex, i, SQLLEX_OPEN))
			i = lex->tokens[i].mate;
		else if (sqllex_is_one_of(lex, i, words) && !sqllex_is_member(lex, i))
			return true;
	}
	return false;
}

/* In a list of unions the first SELECT may be in brackets of its own. */
static bool is_subquery(const struct sqllex *lex, size_t open) {
	static const char *const select[] = {"SELECT", NULL};
	return sqlcheck_mysql_brackets_have(lex, open, select);
}

static bool is_name(const struct sqllex *lex, size_t i) {
	return sqllex_is_kind(lex, i, SQLLEX_WORD) || sqllex_is_kind(lex, i, SQLLEX_QUOTED);
}

/* other.column or schema.other.column, at `other`: no function's name, no variable's, and not of our table. */
static bool names_other_table(const struct sqllex *lex, size_t i, const char *table) {
	bool column = is_name(lex, i) && sqllex_is_kind(lex, i + 1, SQLLEX_DOT) && is_name(lex, i + 2);
	bool more = sqllex_is_kind(lex, i + 3, SQLLEX_DOT) || sqllex_is_kind(lex, i + 3, SQLLEX_OPEN);
	bool variable = i >= 2 && sqllex_is_kind(lex, i - 1, SQLLEX_DOT) && !is_name(lex, i - 2);
	return column && !more && !variable && !sqllex_names(lex, i, table);
}

/*
 * An aggregate belongs to the innermost query that its argument takes a column from, which may be the one around the
 * subquery: INSERT … SELECT (SELECT SUM(t.n)) FROM t writes one row. Sure is that of `*`, and of another table's column.
 */
static bool is_of_subquery(const struct sqllex *lex, size_t open, const char *table) {
	size_t close = lex->tokens[open].mate;
	if (close == open + 2 && (sqllex_is(lex, open + 1, "*") || sqllex_is_kind(lex, open + 1, SQLLEX_NUMBER)))
		return true;
	for (size_t i = open + 1; i < close; i++) {
		if (sqllex_is_kind(lex, i, SQLLEX_OPEN) && is_subquery(lex, i))
			i = lex->tokens[i].mate;
		else if (names_other_table(lex, i, table))
			return true;
	}
	return false;
}

static const char *judge_call(const struct calls *c, size_t i) {
	if (sqllex_names_one_of(c->lex, i, forbidden_functions))
		return "this function is not allowed: it waits, locks, reads files, or tells of the session and not of the row";
	if (!sqllex_names_one_of(c->lex, i, aggregates))
		return NULL;
	if (c->subquery_end == 0)
		return "an aggregate outside of a subquery: its result would depend on the size of a batch";
	if (c->f->selected_from != NULL && !is_of_subquery(c->lex, i + 1, c->f->selected_from))
		return "an aggregate that may be one over the batch; say in it whose the column is, as in SUM(other.n)";
	return NULL;
}

static const char *judge_token(const struct calls *c, size_t i) {
	const struct sqllex *lex = c->lex;
	if (is_name(lex, i) && sqllex_is_kind(lex, i + 1, SQLLEX_OPEN)) {
		const char *why = judge_call(c, i);
		if (why != NULL)
			return why;
	}
	if (sqllex_is_member(lex, i))
		return NULL;
	if (sqllex_is(lex, i, "INTO"))
		return "INTO is not allowed: nothing is written but the column";
	if (sqllex_is(lex, i, "OVER") && c->subquery_end == 0)
		return "a window function outside of a subquery: its result would depend on the size of a batch";
	return NULL;
}

static bool check_calls(const struct sqlcheck_fragment *f, const struct sqllex *lex, struct error *err) {
	struct calls c = {.f = f, .lex = lex};
	for (size_t i = 0; i < lex->count; i++) {
		if (i == c.subquery_end)
			c.subquery_end = 0;
		if (c.subquery_end == 0 && sqllex_is_kind(lex, i, SQLLEX_OPEN) && is_subquery(lex, i))
			c.subquery_end = lex->tokens[i].mate;
		const char *why = judge_token(&c, i);
		if (why != NULL)
			return sqlcheck_fail_at(f, lex->tokens[i].start, err, why);
	}
	return true;
}

/* ---- Fragments ---- */

static bool check_one(const struct sqlcheck_fragment *f, const struct sqllex *lex, struct error *err) {
	size_t at = 0;
	const char *why = sqlcheck_mysql_expression(lex, 0, lex->count, &at);
	if (why == NULL)
		return true;
	if (at >= lex->count)
		return sqlcheck_fail(f, err, why);
	sqlcheck_fail_at(f, lex->tokens[at].start, err, why);
	if (sqllex_is(lex, at, "DEFAULT"))
		return error_hint(err, "write the column's default as an expression, or DEFAULT(column)");
	bool as_operand = at == 0 || sqllex_is_kind(lex, at - 1, SQLLEX_OPERATOR);
	if (as_operand && sqllex_is_kind(lex, at, SQLLEX_WORD))
		return error_hint(err, "a column of that name is written in backticks");
	return false;
}

static bool check_expression(const struct sqlcheck_fragment *f, struct error *err) {
	autosqllex lex;
	size_t at = 0;
	const char *why = NULL;
	if (!sqllex_mysql(f->text, &lex, &at, &why))
		return sqlcheck_fail_at(f, at, err, why);
	if (lex.count == 0)
		return sqlcheck_fail(f, err, "is empty");
	return check_calls(f, &lex, err) && check_one(f, &lex, err);
}

static bool refuse_statement(const struct jobfile *job, struct sqlcheck_target *target, struct error *err) {
	(void)job;
	(void)target;
	error_set(err, ERROR_DATA, "statement: not on MySQL and MariaDB: there is no parser that could prove what {range} bounds");
	return error_hint(err, "write the work as kind = \"update\" or \"insert\"");
}

const struct sqlcheck_grammar sqlcheck_mysql = {
	.name = "mysql",
	.servers = "MySQL and MariaDB",
	.expression = check_expression,
	.condition = check_expression,
	.statement = refuse_statement,
	.demands_null = sqlcheck_mysql_demands_null,
	.reads = sqlcheck_mysql_reads,
	.may_read = sqlcheck_mysql_may_read,
};
