/* explain_mysql_json.h: the document that EXPLAIN FORMAT=JSON answers, read as JSON, which MariaDB's is not. Pure. */
#ifndef BACKFILLD_EXPLAIN_MYSQL_JSON_H
#define BACKFILLD_EXPLAIN_MYSQL_JSON_H

#include <jansson.h>

/* NULL if it can't be read: `why` says it. What is no text (a byte that is not UTF-8) becomes '?'. */
json_t *explain_mysql_json(const char *document, json_error_t *why);

#endif
