/*
 * mysql_text.h: from a text of ours, several statements with $1, $2, …, to what the protocol takes: one statement at a time,
 * with a ? for each value. Pure. Knows quotes, backticks and comments under the sql_mode that the dialect pins: no ANSI_QUOTES
 * and no NO_BACKSLASH_ESCAPES. Compound statements (BEGIN … END) are cut at their semicolons: there are none of ours.
 * https://dev.mysql.com/doc/refman/8.4/en/lexical-structure.html
 */
#ifndef BACKFILLD_MYSQL_TEXT_H
#define BACKFILLD_MYSQL_TEXT_H

#include <stdbool.h>
#include <stddef.h>

struct mysql_piece {
	char *sql;     /* without the semicolon */
	size_t *order; /* which parameter each ? stands for, from 0 */
	size_t norder;
};

struct mysql_text {
	struct mysql_piece *pieces; /* those that say something: blanks and comments alone are none */
	size_t count;
};

/* False, and what is wrong with it: it names a value that there is none of, or has a ? of its own. mariadb: that is the server,
 * to which a comment that only MySQL executes says nothing. */
bool mysql_text_split(const char *sql, size_t nparams, bool mariadb, struct mysql_text *text, const char **why);
void mysql_text_clear(struct mysql_text *text);

#endif
