/*
 * preflight_rules.h: what must be true of the tables of a job, judged over what the catalogue said of them (describe.sql of
 * the server's kind). What one kind alone demands is behind daemon/engine/rules.h. Pure.
 */
#ifndef BACKFILLD_PREFLIGHT_RULES_H
#define BACKFILLD_PREFLIGHT_RULES_H

#include "common/error.h"
#include "common/jobfile.h"
#include "common/sqlcheck.h"
#include "daemon/engine/rules.h"
#include "daemon/engine/shape.h"

#include <jansson.h>
#include <stdbool.h>

/* What a job writes, and to which relation. The strings are the jobfile's or the target's. */
struct preflight_write {
	const char *schema; /* NULL = the worked table's */
	const char *table;
	bool to_worked_table;
	struct rules_write does;
	struct sqlcheck_target target; /* kind statement */
};

/* For a job that sqlcheck_job passes. */
bool preflight_write_of(const struct sqlcheck_grammar *grammar, const struct jobfile *job, struct preflight_write *write,
                        struct error *err);
void preflight_write_free(struct preflight_write *write);

/* Objects as resolve.sql and describe.sql make them. */
struct preflight_facts {
	const struct rules *rules; /* of the server's kind */
	const json_t *server;
	const json_t *table;
	const json_t *written; /* NULL when the worked table itself is written */
};

/* After resolve.sql: the server takes writes and the table is there. */
bool preflight_rules_server(const struct jobfile *job, const struct rules *rules, const json_t *server, json_t *warnings,
                            struct error *err);
/* Every rule. *shape is new on success; strings are added to `warnings`. */
bool preflight_rules(const struct jobfile *job, const struct preflight_write *write, const struct preflight_facts *facts,
                     json_t *warnings, struct table_shape **shape, struct error *err);

#endif
