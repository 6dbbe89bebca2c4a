/*
 * mysql_session.h: one statement at a time on an established session, by the library's calls that don't block: they say what to
 * wait for, and are continued. Prepared statements, rows as text, and warnings are in here. Knows nothing of the loop.
 * https://mariadb.com/docs/connectors/mariadb-connector-c/non-blocking-api
 */
#ifndef BACKFILLD_MYSQL_SESSION_H
#define BACKFILLD_MYSQL_SESSION_H

#include "daemon/engine/engine.h"
#include "daemon/engine/mysql_text.h"

#include "common/strbuf.h"

#include <mysql.h>

/* Nothing to wait for: it had the processor long enough. Not one of the library's MYSQL_WAIT_…. */
enum { MYSQL_SESSION_YIELDS = 1 << 8 };

/* What a statement gave. */
struct mysql_answer {
	struct engine_rows base; /* first; of `rows` */
	bool has_rows;           /* maybe none, but columns */
	int nrows, ncolumns;
	struct strbuf bytes; /* the values, each with a NUL behind it */
	size_t *offsets;     /* of each value in there; SIZE_MAX: NULL */
	size_t noffsets, room;
	struct strbuf names; /* of the columns, each with a NUL behind it */
	int64_t affected;
	unsigned error; /* the server's number, or the library's; 0: done */
	bool changes;   /* the session may be set otherwise now: the server told of it, or it failed half-way */
	bool warned;    /* the statement was strict, and done with that warning */
	char sqlstate[6];
	char message[640]; /* with the number; "" if done */
};

void mysql_answer_clear(struct mysql_answer *answer);

struct mysql_session;

/* Takes an established session; its socket does not block any more. */
struct mysql_session *mysql_session_new(MYSQL *mysql);
/* Closes it without waiting, whatever is on its way. The caller doesn't watch the socket any more. NULL allowed. */
void mysql_session_free(struct mysql_session *session);
/* The socket; it may be closed by any call below that says there is nothing to wait for. */
int mysql_session_socket(const struct mysql_session *session);
/*
 * Sends a statement; piece and params must live until it has ended. Returns what to wait for (MYSQL_WAIT_READ, MYSQL_WAIT_WRITE,
 * or MYSQL_SESSION_YIELDS), 0 when it has ended.
 */
int mysql_session_ask(struct mysql_session *session, const struct mysql_piece *piece, const char *const *params, bool strict);
/* The same, when what it waits for has come: some of the library's. */
int mysql_session_continue(struct mysql_session *session, int ready);
/* The answer, when it has ended: the caller clears it. */
struct mysql_answer mysql_session_take(struct mysql_session *session);
/* Why the server has closed the idle session, if it said so. Nothing can be asked any more. */
void mysql_session_last_words(struct mysql_session *session, char *out, size_t size);

#endif
