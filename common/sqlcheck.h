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

/* Where {range} stands in a statement. */
struct sqlcheck_range {
	size_t offset; /* of "{" */
	size_t length; /* up to and with "}" */
	char alias[64]; /* "" if none is given */
};

/* Finds {range} or {range alias} by token, never inside a literal, comment or quoted name; exactly one must be there. */
bool sqlcheck_find_range(const char *statement, struct sqlcheck_range *range, struct error *err);

#endif
