/*
 * sqllex_mysql.h: a fragment's tokens, as MySQL and MariaDB take it apart under the sql_mode and character set that every
 * session of ours pins: no ANSI_QUOTES ("…" is a string), no NO_BACKSLASH_ESCAPES, utf8mb4. Where the two differ, or a version
 * does
 * (`$`, comments that hold code), nothing is guessed: it is refused. For the files of sqlcheck_mysql alone. Pure.
 *
 * https://dev.mysql.com/doc/refman/8.4/en/language-structure.html, https://mariadb.com/kb/en/sql-language-structure/
 */
#ifndef BACKFILLD_SQLLEX_MYSQL_H
#define BACKFILLD_SQLLEX_MYSQL_H

#include <stdbool.h>
#include <stddef.h>

enum sqllex_kind {
	SQLLEX_WORD,     /* a name or keyword */
	SQLLEX_QUOTED,   /* `a name` */
	SQLLEX_STRING,   /* '…' or "…" */
	SQLLEX_NUMBER,   /* 1, 1.5e3, 0x1F, 0b01 */
	SQLLEX_VARIABLE, /* @@name, without what follows its first dot */
	SQLLEX_OPEN,
	SQLLEX_CLOSE,
	SQLLEX_COMMA,
	SQLLEX_DOT,
	SQLLEX_OPERATOR,
};

struct sqllex_token {
	enum sqllex_kind kind;
	size_t start, end; /* in bytes */
	size_t mate;       /* of a bracket: the token that it opens or closes with */
};

struct sqllex {
	const char *text;
	struct sqllex_token *tokens;
	size_t count;
};

/*
 * All tokens of `text`, which lives as long as *lex. Each bracket has its mate: what begins inside ends inside. On failure
 * *why says what is wrong at byte *at. The caller frees it with sqllex_free in both cases.
 */
bool sqllex_mysql(const char *text, struct sqllex *lex, size_t *at, const char **why);
void sqllex_free(struct sqllex *lex);
#define autosqllex __attribute__((cleanup(sqllex_free))) struct sqllex

/* Whether token `i` is this keyword (in capitals), this operator; or this name, in backticks or not. */
bool sqllex_is(const struct sqllex *lex, size_t i, const char *word);
bool sqllex_names(const struct sqllex *lex, size_t i, const char *name);
/* The same for a list of keywords or names that ends with NULL. */
bool sqllex_is_one_of(const struct sqllex *lex, size_t i, const char *const words[]);
bool sqllex_names_one_of(const struct sqllex *lex, size_t i, const char *const names[]);
bool sqllex_is_kind(const struct sqllex *lex, size_t i, enum sqllex_kind kind); /* false beyond the end */
/* The member of a qualified name: whatever word stands directly behind a dot is no keyword. */
bool sqllex_is_member(const struct sqllex *lex, size_t i);

#endif
