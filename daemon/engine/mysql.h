/* mysql.h: what the files of the MySQL and MariaDB engine share. Nobody else includes it. */
#ifndef BACKFILLD_MYSQL_H
#define BACKFILLD_MYSQL_H

#include "daemon/engine/engine.h"

#include <mysql.h>

/* mysql_error.c: what server and library said, in our terms. */

/* "Duplicate entry '1' for key 'PRIMARY' (1062)" */
void mysql_message(char *out, size_t size, unsigned number, const char *message);
enum engine_error mysql_classify(unsigned number, const char *sqlstate, const char *message);
/* A warning that says nothing of the rows; and what any other is, where warnings are errors. */
bool mysql_is_news(unsigned number);
enum engine_error mysql_classify_warning(unsigned number);
/* The connection is gone with this error, or can't be used any more. */
bool mysql_means_lost(unsigned number);
/* Of libmariadb, whose header has no name for it: the server wants a way to log in that we do not allow. */
enum { MYSQL_WAY_NOT_ALLOWED = 5010 };
/* Can trying again help, or must someone change the configuration? Of a connection that was not made. */
enum error_code mysql_connect_code(unsigned number, const char *message);

/* mysql_connect.c */

struct engine_connecting *mysql_engine_connect(struct ev_loop *loop, const char *url,
                                               const struct engine_connect_options *options, engine_connected_fn *fn,
                                               void *context);

/* mysql.c: a connection around an established session, which it owns from now on. */
struct engine_conn *mysql_conn_new(struct ev_loop *loop, MYSQL *mysql);

#endif
