/* sqlcheck_mysql.h: what the files of sqlcheck_mysql share. */
#ifndef BACKFILLD_SQLCHECK_MYSQL_H
#define BACKFILLD_SQLCHECK_MYSQL_H

#include "common/sqllex_mysql.h"

#include <stdbool.h>
#include <stddef.h>

/* Why the tokens [from, to) are not one expression, and *at which token (`to`: at the end); NULL if they are. What stands in
 * brackets is passed over. */
const char *sqlcheck_mysql_expression(const struct sqllex *lex, size_t from, size_t to, size_t *at);

/* Whether one of the keywords stands between the brackets themselves, not in others inside. */
bool sqlcheck_mysql_brackets_have(const struct sqllex *lex, size_t open, const char *const words[]);

/* Of struct sqlcheck_grammar. */
bool sqlcheck_mysql_demands_null(const char *where, const char *column);
bool sqlcheck_mysql_reads(const char *where, const char *column);
bool sqlcheck_mysql_may_read(const char *expr, const char *table, const char *column);

#endif
