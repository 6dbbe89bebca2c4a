/*
 * sqlcheck.h: proves that the SQL fragments of a job file stay in their place. What that takes depends on the server's
 * grammar, which the dialect chooses; callers above it don't know which one it is. Pure.
 *
 * The proof holds for fragments that are written in brackets of their own, with a line's end before the closing one.
 */
#ifndef BACKFILLD_SQLCHECK_H
#define BACKFILLD_SQLCHECK_H

#include "common/error.h"
#include "common/jobfile.h"

#include <stdbool.h>

/* A fragment: what it is called in the job file, and its text. */
struct sqlcheck_fragment {
	const char *key;
	const char *text;
	const char *selected_from; /* of an insert's columns: the table whose rows are to be one row each; NULL elsewhere */
};

/* What a statement writes to. */
struct sqlcheck_target {
	enum { SQLCHECK_INSERT, SQLCHECK_UPDATE, SQLCHECK_DELETE } command;
	char *schema; /* NULL when the statement does not say */
	char *table;
	char **columns; /* those that INSERT names or UPDATE sets */
	size_t ncolumns;
	bool updates_on_conflict;
	bool only;            /* ONLY is said of the job's table */
	bool is_worked_table; /* the target is the job's own table */
};

/* What a kind of server makes of fragments. None is longer than 16 KiB. */
struct sqlcheck_grammar {
	const char *name;    /* "postgresql", as --engine takes it */
	const char *servers; /* "PostgreSQL", for people */
	/* One expression over the row, alone in its brackets; and one that is a condition. */
	bool (*expression)(const struct sqlcheck_fragment *f, struct error *err);
	bool (*condition)(const struct sqlcheck_fragment *f, struct error *err);
	bool (*statement)(const struct jobfile *job, struct sqlcheck_target *target, struct error *err);
	/* Of a condition that passed: does it hold only where the column is NULL (`column IS NULL AND …`)? */
	bool (*demands_null)(const char *where, const char *column);
	/* Does it look at the column, as the worked table's own? */
	bool (*reads)(const char *where, const char *column);
	/* Where an UPDATE assigns from left to right, each expression seeing what those before it wrote: may the expression look at
	 * the table's column? NULL: all see the row as it was. */
	bool (*may_read)(const char *expr, const char *table, const char *column);
};

extern const struct sqlcheck_grammar sqlcheck_postgres;
extern const struct sqlcheck_grammar sqlcheck_mysql;
enum { SQLCHECK_GRAMMARS = 2 };
extern const struct sqlcheck_grammar *const sqlcheck_grammars[SQLCHECK_GRAMMARS];

/* All fragments of the job: set, where, columns, statement. err->code ERROR_DATA, the message names the key (set.x). */
bool sqlcheck_job(const struct sqlcheck_grammar *grammar, const struct jobfile *job, struct error *err);

/* Does `where` hold only where every column of `set` is NULL? Then no old value needs to be read. */
bool sqlcheck_old_values_null(const struct sqlcheck_grammar *grammar, const struct jobfile *job);

/* With `sweep`, whether the work may be done twice: an update whose `where` reads a column of `set` (not in a subquery), or an
 * insert that skips conflicts. sqlcheck_job asks it, too. */
bool sqlcheck_sweep(const struct sqlcheck_grammar *grammar, const struct jobfile *job, struct error *err);

/* Checks the job's statement as sqlcheck_job does; *target is filled on success, freed with sqlcheck_target_free. */
bool sqlcheck_statement(const struct sqlcheck_grammar *grammar, const struct jobfile *job, struct sqlcheck_target *target,
                        struct error *err);
void sqlcheck_target_free(struct sqlcheck_target *target);

/* ---- PostgreSQL's {range} ---- */

/* Where {range} stands in a statement. */
struct sqlcheck_range {
	size_t offset;  /* of "{" */
	size_t length;  /* up to and with "}" */
	char alias[64]; /* as the server knows it, to be quoted; "" if none is given: then the table has no alias either */
};

/* Finds {range} or {range alias} by token, never inside a literal, comment or quoted name; exactly one must be there. */
bool sqlcheck_find_range(const char *statement, struct sqlcheck_range *range, struct error *err);

/* ---- For the grammars ---- */

/* Fails with "KEY, line L, column C: message"; `offset` is in bytes. */
bool sqlcheck_fail_at(const struct sqlcheck_fragment *f, size_t offset, struct error *err, const char *message);
bool sqlcheck_fail(const struct sqlcheck_fragment *f, struct error *err, const char *message);

#endif
