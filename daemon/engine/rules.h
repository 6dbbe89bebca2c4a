/*
 * rules.h: what only one kind of server demands of itself and of the tables of a job, over the facts that its resolve.sql and
 * describe.sql give. What holds for every server is daemon/job/preflight_rules.c, which asks these. Pure.
 *
 * Those that answer with bool refuse with err->code ERROR_DATA, and may add to `warnings`. Those that answer with text say
 * what is the matter, as the end of a sentence, or NULL.
 */
#ifndef BACKFILLD_RULES_H
#define BACKFILLD_RULES_H

#include "common/error.h"
#include "common/jobfile.h"
#include "daemon/engine/shape.h"

#include <jansson.h>
#include <stdbool.h>

/* What a job does to the relation that it writes to. */
struct rules_write {
	bool inserts, updates, deletes;
	bool only; /* children of the worked table are left alone */
	const char **columns;
	size_t ncolumns;
};

bool rules_writes_column(const struct rules_write *write, const char *name);

struct rules {
	/* The server takes writes (if not: ERROR_TRY_AGAIN), and such work as the job's is safe there. */
	bool (*check_server)(const struct jobfile *job, const json_t *server, json_t *warnings, struct error *err);
	/* What may help when a table is not found, and when it was named without its schema; and when the server is a replica. */
	const char *missing_hint, *unqualified_hint, *replica_hint;
	/* A relation whose rows are read or written. */
	bool (*check_relation)(const json_t *relation, json_t *warnings, struct error *err);
	/* The worked table as a whole: its partitions and children. */
	bool (*check_family)(const struct rules_write *write, const json_t *table, json_t *warnings, struct error *err);
	/* A relation that is written to. Whether triggers and cascades are allowed is looked at elsewhere. */
	bool (*check_written)(const struct jobfile *job, const struct rules_write *write, const json_t *relation, json_t *warnings,
	                      struct error *err);
	/* Why nothing can be written to a column that isn't generated. */
	const char *(*column_problem)(const json_t *column);
	/* Why a unique index can't be walked, though its columns can; and why one of them can't. */
	const char *(*index_problem)(const json_t *index);
	const char *(*part_problem)(const json_t *column, const json_t *part);
	/* A column of the key that was chosen. */
	bool (*check_key_column)(const json_t *server, const json_t *column, struct error *err);
	/* Whether the server can tell conflicts by this unique index; if not, what it would have to be; and whether it tells them by
	 * this one alone. */
	bool (*is_arbiter)(const json_t *index);
	const char *arbiter_hint;
	bool (*check_conflicts)(const struct jobfile *job, const json_t *into, const json_t *arbiter, struct error *err);
	/* Adds what only this kind of server needs, of the key's index and of the relation that is written to. */
	void (*fill_shape)(struct table_shape *shape, const json_t *key, const struct rules_write *write, const json_t *written);
	/* Hints: the GRANT of a privilege on a relation to the server's role. Returns false. */
	bool (*hint_grant)(const json_t *server, const json_t *relation, const char *privilege, struct error *err);
	/* The role may use what the relation is in. */
	bool (*check_access)(const json_t *server, const json_t *relation, struct error *err);
};

extern const struct rules rules_postgres;
extern const struct rules rules_mysql;

#endif
