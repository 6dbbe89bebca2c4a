/*
 * sqlcheck.h: proves that the SQL fragments of a job file stay in their place (PostgreSQL's grammar): first a token scan
 * of the fragment alone (brackets never close what they did not open, no `;`, no comment), then the parse tree of a
 * wrapper whose other clauses must come back as we wrote them. Pure.
 */
#ifndef BACKFILLD_SQLCHECK_H
#define BACKFILLD_SQLCHECK_H

#include "common/error.h"
#include "common/jobfile.h"

#include <stdbool.h>

/* All fragments of the job: set, where, columns, statement. err->code ERROR_DATA, the message names the key (set.x). */
bool sqlcheck_job(const struct jobfile *job, struct error *err);

/* Does `where` hold only where every column of `set` is NULL (`c IS NULL AND …`)? Then no old value needs to be read. */
bool sqlcheck_old_values_null(const struct jobfile *job);

/* With `sweep`, whether the work may be done twice: an update whose `where` reads a column of `set` (not in a subquery), or an
 * insert that skips conflicts. sqlcheck_job asks it, too. */
bool sqlcheck_sweep(const struct jobfile *job, struct error *err);

/* Where {range} stands in a statement. */
struct sqlcheck_range {
	size_t offset;  /* of "{" */
	size_t length;  /* up to and with "}" */
	char alias[64]; /* as the server knows it, to be quoted; "" if none is given: then the table has no alias either */
};

/* Finds {range} or {range alias} by token, never inside a literal, comment or quoted name; exactly one must be there. */
bool sqlcheck_find_range(const char *statement, struct sqlcheck_range *range, struct error *err);

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

/* Checks the job's statement as sqlcheck_job does; *target is filled on success, freed with sqlcheck_target_free. */
bool sqlcheck_statement(const struct jobfile *job, struct sqlcheck_target *target, struct error *err);
void sqlcheck_target_free(struct sqlcheck_target *target);

#endif
