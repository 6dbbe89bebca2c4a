/*
 * sqlcheck_mysql_expression.c: one expression, by the turn of operands and operators: what neither is, a clause, a comma, an
 * alias, a second operand, is not taken for anything. https://dev.mysql.com/doc/refman/8.4/en/expressions.html
 */
#include "common/sqlcheck_mysql.h"

static const char too_much[] = "is not one expression: it adds to the statement around it";
static const char too_little[] = "it ends before it is complete";
static const char no_operand[] = "an operand is wanted here";

/* A walk over the tokens [i, to), between brackets. A function that fails says why and leaves i where. */
struct walk {
	const struct sqllex *lex;
	size_t i, to;
	size_t cases;     /* CASEs without their END */
	size_t intervals; /* INTERVALs without their unit */
	size_t betweens;  /* BETWEENs without their AND */
	const char *why;
};

static bool refuse(struct walk *w, const char *why) {
	w->why = why;
	return false;
}

/* Nothing is seen beyond `to`, which a closing bracket or the end is. */
static bool is(const struct walk *w, const char *word) {
	return w->i < w->to && sqllex_is(w->lex, w->i, word);
}

static bool is_one_of(const struct walk *w, const char *const words[]) {
	return w->i < w->to && sqllex_is_one_of(w->lex, w->i, words);
}

static bool is_kind(const struct walk *w, enum sqllex_kind kind) {
	return w->i < w->to && sqllex_is_kind(w->lex, w->i, kind);
}

static bool is_name(const struct walk *w) {
	return is_kind(w, SQLLEX_WORD) || is_kind(w, SQLLEX_QUOTED);
}

static bool accept(struct walk *w, const char *word) {
	bool there = is(w, word);
	w->i += there;
	return there;
}

static bool accept_kind(struct walk *w, enum sqllex_kind kind) {
	bool there = is_kind(w, kind);
	w->i += there;
	return there;
}

/* A pair of brackets, whatever is in it. */
static bool accept_brackets(struct walk *w) {
	if (!is_kind(w, SQLLEX_OPEN))
		return false;
	w->i = w->lex->tokens[w->i].mate + 1;
	return true;
}

static bool want_brackets(struct walk *w) {
	return accept_brackets(w) || refuse(w, w->i < w->to ? "an opening bracket is wanted here" : too_little);
}

/* ---- Operands ---- */

/* What begins a query, which would make the brackets around us a subquery, or a clause of one. */
static const char *const clauses[] = {
	"SELECT", "WITH",  "VALUES",    "TABLE",  "DISTINCT", "DISTINCTROW", "FROM", "WHERE", "GROUP",
	"HAVING", "ORDER", "LIMIT",     "UNION",  "EXCEPT",   "INTERSECT",   "FOR",  "LOCK",  "PROCEDURE",
	"ON",     "USING", "RETURNING", "WINDOW", "SET",      "PARTITION",   "AS",   NULL,
};
static const char *const operators[] = {
	"AND", "OR", "XOR", "DIV", "MOD", "LIKE", "REGEXP", "RLIKE", "IN", "IS", "BETWEEN", "WHEN", "THEN", "ELSE", "COLLATE", NULL,
};

static bool walk_strings(struct walk *w) {
	while (accept_kind(w, SQLLEX_STRING))
		;
	return true;
}

/* DATE '…', x'41', _latin1 '…' */
static bool is_literal_prefix(const struct walk *w) {
	static const char *const apart[] = {"DATE", "TIME", "TIMESTAMP", NULL}, *const joined[] = {"X", "B", "N", NULL};
	const struct sqllex *lex = w->lex;
	if (w->i + 1 >= w->to || !is_kind(w, SQLLEX_WORD) || !sqllex_is_kind(lex, w->i + 1, SQLLEX_STRING))
		return false;
	const struct sqllex_token *token = &lex->tokens[w->i];
	return lex->text[token->start] == '_' || is_one_of(w, apart) || (is_one_of(w, joined) && token->end == token[1].start);
}

/* name, table.name, schema.table.name, name(…), @@session.name */
static bool walk_name(struct walk *w) {
	w->i++;
	while (accept_kind(w, SQLLEX_DOT)) {
		if (is(w, "*"))
			return refuse(w, "`*` stands for several columns; one expression is asked for");
		/* With a blank before it, a keyword is one. */
		if (!is_name(w) || !sqllex_is_member(w->lex, w->i))
			return refuse(w, w->i < w->to ? "a name is wanted directly behind the dot" : too_little);
		w->i++;
	}
	accept_brackets(w);
	return true;
}

static bool walk_match(struct walk *w) {
	w->i++;
	if (!want_brackets(w))
		return false;
	if (!accept(w, "AGAINST"))
		return refuse(w, w->i < w->to ? "MATCH (…) wants AGAINST (…)" : too_little);
	return want_brackets(w);
}

static bool walk_word(struct walk *w) {
	if (is_literal_prefix(w)) {
		w->i++;
		return walk_strings(w);
	}
	bool call = w->i + 1 < w->to && sqllex_is_kind(w->lex, w->i + 1, SQLLEX_OPEN);
	if (is_one_of(w, clauses))
		return refuse(w, too_much);
	if (is(w, "DEFAULT") && !call)
		return refuse(w, "DEFAULT is not an expression over the row");
	if (is_one_of(w, operators) && !(call && is(w, "MOD")))
		return refuse(w, no_operand);
	return is(w, "MATCH") ? walk_match(w) : walk_name(w);
}

/* What may stand before an operand. */
static bool accept_prefix(struct walk *w) {
	if (accept(w, "NOT") || accept(w, "+") || accept(w, "-") || accept(w, "~"))
		return true;
	if (is(w, "CASE")) {
		w->i++;
		w->cases++;
		accept(w, "WHEN");
		return true;
	}
	/* INTERVAL(1, 2) is a function, INTERVAL (1 + 2) DAY is not: then its unit may come. */
	if (!accept(w, "INTERVAL"))
		return false;
	w->intervals++;
	return true;
}

static bool walk_operand(struct walk *w) {
	while (accept_prefix(w))
		;
	if (w->i >= w->to)
		return refuse(w, too_little);
	if (is(w, "!"))
		return refuse(w, "`!` is deprecated, and MySQL warns of it; write NOT");
	if (is(w, "BINARY"))
		return refuse(w, "BINARY is deprecated, and MySQL warns of it; write CAST(… AS BINARY)");
	if (is(w, "*"))
		return refuse(w, "`*` stands for several columns; one expression is asked for");
	switch (w->lex->tokens[w->i].kind) {
	case SQLLEX_WORD:
		return walk_word(w);
	case SQLLEX_QUOTED:
	case SQLLEX_VARIABLE:
		return walk_name(w);
	case SQLLEX_STRING:
		return walk_strings(w);
	case SQLLEX_NUMBER:
		w->i++;
		return true;
	case SQLLEX_OPEN:
		return want_brackets(w);
	default:
		return refuse(w, no_operand);
	}
}

/* ---- Operators ---- */

static const char *const binary_words[] = {"OR", "XOR", "DIV", "MOD", "LIKE", "REGEXP", "RLIKE", "ESCAPE", NULL};
static const char *const binary_symbols[] = {"=", "<", ">", "<=", ">=", "<>", "!=", "<=>", "+", "-",
                                             "*", "/", "%", "&",  "|",  "^",  "<<", ">>",  NULL};
static const char *const units[] = {"MICROSECOND",
                                    "SECOND",
                                    "MINUTE",
                                    "HOUR",
                                    "DAY",
                                    "WEEK",
                                    "MONTH",
                                    "QUARTER",
                                    "YEAR",
                                    "SECOND_MICROSECOND",
                                    "MINUTE_MICROSECOND",
                                    "MINUTE_SECOND",
                                    "HOUR_MICROSECOND",
                                    "HOUR_SECOND",
                                    "HOUR_MINUTE",
                                    "DAY_MICROSECOND",
                                    "DAY_SECOND",
                                    "DAY_MINUTE",
                                    "DAY_HOUR",
                                    "YEAR_MONTH",
                                    NULL};

/* What an operand may have behind it, without a second one. */
static bool accept_suffix(struct walk *w) {
	if (w->intervals > 0 && is_one_of(w, units)) {
		w->intervals--;
		w->i++;
		return true;
	}
	if (w->cases > 0 && accept(w, "END")) {
		w->cases--;
		return true;
	}
	return false;
}

static bool walk_is(struct walk *w) {
	static const char *const states[] = {"NULL", "TRUE", "FALSE", "UNKNOWN", NULL};
	accept(w, "NOT");
	if (!is_one_of(w, states))
		return refuse(w, w->i < w->to ? "NULL, TRUE, FALSE or UNKNOWN is wanted behind IS" : too_little);
	w->i++;
	return true;
}

static bool walk_collate(struct walk *w) {
	if ((!is_name(w) && !is_kind(w, SQLLEX_STRING)) || is_one_of(w, clauses) || is_one_of(w, operators))
		return refuse(w, w->i < w->to ? "a collation's name is wanted here" : too_little);
	w->i++;
	return true;
}

/* An operator whose right side is no operand. *known says whether it was one. */
static bool walk_postfix(struct walk *w, bool *known) {
	*known = true;
	if (accept_suffix(w))
		return true;
	if (accept(w, "IS"))
		return walk_is(w);
	if (accept(w, "COLLATE"))
		return walk_collate(w);
	if (is(w, "NOT") && w->i + 1 < w->to && sqllex_is(w->lex, w->i + 1, "IN"))
		w->i++;
	if (accept(w, "IN"))
		return want_brackets(w);
	if (accept(w, "MEMBER")) {
		accept(w, "OF");
		return want_brackets(w);
	}
	if (accept(w, "->") || accept(w, "->>"))
		return accept_kind(w, SQLLEX_STRING) || refuse(w, "a path in quotes is wanted here");
	*known = false;
	return true;
}

/* One that wants another operand behind it. */
static bool walk_infix(struct walk *w) {
	static const char *const negated[] = {"LIKE", "REGEXP", "RLIKE", "BETWEEN", NULL};
	if (is(w, "||"))
		return refuse(w, "`||` is OR here, and not everywhere; write OR or CONCAT(…)");
	if (is(w, "&&"))
		return refuse(w, "`&&` is deprecated, and MySQL warns of it; write AND");
	if (accept(w, "NOT") && !is_one_of(w, negated))
		return refuse(w, w->i < w->to ? too_much : too_little);
	if (accept(w, "BETWEEN")) {
		w->betweens++;
		return true;
	}
	if (accept(w, "AND")) {
		if (w->betweens > 0)
			w->betweens--;
		return true;
	}
	if (w->cases > 0 && (accept(w, "WHEN") || accept(w, "THEN") || accept(w, "ELSE")))
		return true;
	if (accept(w, "SOUNDS"))
		return accept(w, "LIKE") || refuse(w, too_much);
	if (!is_one_of(w, binary_words) && !is_one_of(w, binary_symbols))
		return refuse(w, too_much);
	w->i++;
	return true;
}

/* An operand and what belongs to it, and the operator behind it. */
static bool walk_term(struct walk *w) {
	bool known = true;
	if (!walk_operand(w))
		return false;
	while (known && w->i < w->to)
		if (!walk_postfix(w, &known))
			return false;
	return true;
}

const char *sqlcheck_mysql_expression(const struct sqllex *lex, size_t from, size_t to, size_t *at) {
	struct walk w = {.lex = lex, .i = from, .to = to};
	while (walk_term(&w) && w.i < w.to && walk_infix(&w))
		;
	if (w.why == NULL && w.cases + w.betweens > 0)
		refuse(&w, too_little);
	*at = w.i;
	return w.why;
}
