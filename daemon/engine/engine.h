/*
 * engine.h: what the daemon needs of a database server, whichever it is: an asynchronous connection that executes one
 * statement at a time and says what came of it in our own terms. Nothing here blocks the loop: connecting (DNS, service
 * and password files, TLS, authentication) runs in a short-lived thread.
 *
 * Owns sockets and protocol. Knows nothing of jobs. SQL texts are the dialect's (dialect.h).
 */
#ifndef BACKFILLD_ENGINE_H
#define BACKFILLD_ENGINE_H

#include "common/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ev_loop;
struct engine_conn;

/* What is known of a statement after it was sent. */
enum engine_outcome {
	ENGINE_DONE,    /* executed; rows and counts are here */
	ENGINE_REFUSED, /* the server answered with an error; the connection lives (a transaction is aborted) */
	ENGINE_LOST,    /* the connection is gone: whether the server executed the statement is not known */
};

/* Why the server refused, as far as it decides what we do next. */
enum engine_error {
	ENGINE_ERROR_NONE,
	ENGINE_ERROR_CONTENTION, /* lock time-out, deadlock, serialization failure: roll back, back off, smaller batch */
	ENGINE_ERROR_TIMEOUT,    /* statement time-out or cancel: roll back, smaller batch */
	ENGINE_ERROR_TOO_LARGE,  /* more than the server takes in one transaction or result: roll back, smaller batch */
	ENGINE_ERROR_DATA,       /* the row's data (SQLSTATE 22…, 23…, P0001) */
	ENGINE_ERROR_DUPLICATE,  /* the same, of a unique key (MySQL's 1062, where an insert looks first: dialect.h) */
	ENGINE_ERROR_AMBIGUOUS,  /* 21000: two source rows with one conflict key: never split, pause */
	ENGINE_ERROR_READ_ONLY,  /* not a primary (any more): hold, reconnect, look for the new one */
	ENGINE_ERROR_DISK_FULL,  /* 53100: pause at once, never retry */
	ENGINE_ERROR_PRIVILEGE,  /* 42501: pause */
	ENGINE_ERROR_SCHEMA,     /* other 42…, 0A…: missing table or column: pause */
	ENGINE_ERROR_RESOURCE,   /* 53300 too many connections, 57P03 starting up, 53200: hold, retry */
	ENGINE_ERROR_OTHER,
};

struct engine_result {
	enum engine_outcome outcome;
	enum engine_error error;
	char sqlstate[6];    /* "" if none */
	const char *message; /* one line, with DETAIL if the server gave one; never NULL; valid during the callback */
	int nrows, ncolumns;
	int64_t affected; /* rows matched by an INSERT, UPDATE or DELETE; rows returned by a SELECT */
	const void *rows; /* the engine's own; begins with a struct engine_rows; NULL if there are none */
};

/* How to read an engine's rows: what engine_value calls. */
struct engine_rows {
	const char *(*value)(const struct engine_rows *rows, int row, int column);
	const char *(*name)(const struct engine_rows *rows, int column);
};

/* The value's text, NULL for SQL NULL; valid during the callback. */
const char *engine_value(const struct engine_result *result, int row, int column);
/* The same of the column that the server calls so; NULL, too, if there is none. For what is no text of ours. */
const char *engine_value_named(const struct engine_result *result, int row, const char *column);

/* Exactly once per engine_execute, never before it returns; not after engine_close. */
typedef void engine_result_fn(void *context, const struct engine_result *result);
/* The same for engine_fly: what was answered, in order. All but the last are ENGINE_DONE; behind one that isn't nothing was
 * executed. ENGINE_LOST stands alone: how far the server came is not known. */
typedef void engine_flown_fn(void *context, const struct engine_result *results, size_t count);
/* conn is NULL on failure (err says why, code ERROR_TRY_AGAIN or ERROR_CONFIG for a refused password and the like). */
typedef void engine_connected_fn(void *context, struct engine_conn *conn, const struct error *err);
/* An idle connection was lost. The connection must still be closed. */
typedef void engine_lost_fn(void *context, const char *message);

struct engine_connect_options {
	const char *application_name; /* as the server's views show it, e.g. "backfilld 20261121_x" */
	int timeout_s;                /* for the whole of connecting */
};

struct engine_statement {
	const char *sql;
	const char *const *params;
	size_t nparams;
	bool repeated; /* in a flight: the same text comes again on this connection, and may be kept parsed in its session */
	bool stands;   /* in a flight: it only sets the session, for good. Left out while the server tells of no change since */
	bool strict;   /* in a flight: a warning is an error, ENGINE_ERROR_DATA. Servers whose warnings are mere news have none */
};

/* A connection being made. */
struct engine_connecting;

struct dialect;
struct engine {
	const char *name;           /* "postgresql" */
	const char *url_schemes[3]; /* "postgresql://"; the first is the one to name; NULL behind the last */
	const struct dialect *dialect;
	struct engine_connecting *(*connect)(struct ev_loop *loop, const char *url, const struct engine_connect_options *options,
	                                     engine_connected_fn *fn, void *context);
	/* Gives up: the callback will not come; the thread is abandoned and cleans up after itself. */
	void (*connect_abandon)(struct engine_connecting *connecting);
	void (*execute)(struct engine_conn *conn, const char *sql, const char *const *params, size_t nparams, int timeout_ms,
	                engine_result_fn *fn, void *context);
	void (*fly)(struct engine_conn *conn, const struct engine_statement *statements, size_t count, int timeout_ms,
	            engine_flown_fn *fn, void *context);
	void (*close)(struct engine_conn *conn);
	void (*on_lost)(struct engine_conn *conn, engine_lost_fn *fn, void *context);
	int64_t (*backend_pid)(const struct engine_conn *conn);
	/* Where the connection led, "host:port" or a socket directory; for messages. */
	const char *(*peer)(const struct engine_conn *conn);
#ifdef BACKFILLD_FAILPOINTS
	/* The network goes away: what was sent arrives, no answer does. */
	void (*cut)(struct engine_conn *conn);
#endif
};

/* Every engine_conn begins with this. */
struct engine_conn {
	const struct engine *engine;
};

/* The engine for a URL, or NULL and an error that names the schemes we know. */
const struct engine *engine_for_url(const char *url, struct error *err);

/*
 * Sends one statement ($1… stand for params, text, NULL = SQL NULL). With nparams = 0 the text may hold several
 * statements (the simple protocol); the result is then the last one's or the first error's. One at a time. When no
 * answer came within timeout_ms the connection is closed from our side and the outcome is ENGINE_LOST.
 * Copies sql and params. Statements with an SQL time-out of their own should give a timeout_ms beyond it.
 */
void engine_execute(struct engine_conn *conn, const char *sql, const char *const *params, size_t nparams, int timeout_ms,
                    engine_result_fn *fn, void *context);
/*
 * Several statements, each a single one, sent together and executed one after the other until one fails: one round trip. Only
 * the last may end a transaction. In other respects as engine_execute. timeout_ms is for all of them.
 */
void engine_fly(struct engine_conn *conn, const struct engine_statement *statements, size_t count, int timeout_ms,
                engine_flown_fn *fn, void *context);
/* Closes the socket without waiting; no callback comes any more. NULL is allowed. Allowed inside a callback. */
void engine_close(struct engine_conn *conn);
/* Tells when the idle connection breaks. */
void engine_on_lost(struct engine_conn *conn, engine_lost_fn *fn, void *context);
int64_t engine_backend_pid(const struct engine_conn *conn);
const char *engine_peer(const struct engine_conn *conn);

extern const struct engine engine_postgres, engine_mysql;

#endif
