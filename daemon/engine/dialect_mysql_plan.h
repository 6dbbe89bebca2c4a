/*
 * dialect_mysql_plan.h: how MySQL and MariaDB are asked for plans: the functions `explain` and `row_check` of their dialect.
 */
#ifndef BACKFILLD_DIALECT_MYSQL_PLAN_H
#define BACKFILLD_DIALECT_MYSQL_PLAN_H

#include "common/jobfile.h"
#include "daemon/engine/shape.h"

/* `ask`, and of a text that may be several statements the one that writes, or the first if none does. Caller frees. */
char *explain_mysql_text(const char *ask, const char *sql);
/* NULL unless the job inserts: an UPDATE refuses by itself what is no row's own. Caller frees. */
char *row_check_mysql(const struct jobfile *job, const struct shape_leaf *leaf);

#endif
