/* postgres.h: what the files of the PostgreSQL engine share. Nobody else includes it. */
#ifndef BACKFILLD_POSTGRES_H
#define BACKFILLD_POSTGRES_H

#include "daemon/engine/engine.h"

#include <libpq-fe.h>

/* postgres_error.c: what the server said, in our terms. */

/* The primary message and, behind a colon, the detail. */
void postgres_message(char *out, size_t size, const PGresult *result);
enum engine_error postgres_classify(const char *sqlstate, const char *message);
/* Can trying again help, or must someone change the configuration? By the words of a failed connection. */
enum error_code postgres_connect_code(const char *message);
/* The URL as libpq parses it, freed with PQconninfoFree; NULL and err (which never shows a password). */
PQconninfoOption *postgres_parse_url(const char *url, struct error *err);
const char *postgres_url_option(const PQconninfoOption *options, const char *keyword);

/* postgres_connect.c */

struct engine_connecting *postgres_connect(struct ev_loop *loop, const char *url, const struct engine_connect_options *options,
                                           engine_connected_fn *fn, void *context);

/* postgres.c: a connection around an established session, which it owns from now on. */
struct engine_conn *postgres_conn_new(struct ev_loop *loop, PGconn *pg);

#endif
