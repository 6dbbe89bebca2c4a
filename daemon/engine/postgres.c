/*
 * postgres.c: an established connection on the loop. One statement, or one flight of several, at a time: send, flush while
 * reading, collect results until libpq says there are no more, tell the caller. Every callback is the last thing a function
 * does: it may close the connection.
 */
#include "daemon/engine/postgres.h"

#include "common/mem.h"
#include "common/text.h"
#include "daemon/base/log.h"
#include "daemon/engine/connecting.h"
#include "daemon/engine/dialect.h"
#include "daemon/engine/postgres_prepared.h"

#include <assert.h>
#include <ev.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* The protocol counts parameters in 16 bits. */
enum { MAX_PARAMS = 65535 };
/* How often TLS is asked for what it has read ahead. */
static const double tls_look_s = 0.1;

struct answers {
	PGresult **results;
	size_t count;
};

struct postgres_conn {
	struct engine_conn base; /* first */
	struct ev_loop *loop;
	PGconn *pg;     /* NULL once the connection is lost */
	ev_io io;       /* runs whenever pg lives */
	ev_timer timer; /* busy: the answer's deadline, or 0 s to tell that sending failed; idle: 0 s to tell the loss */
	ev_timer tls;   /* busy and TLS only */
	bool busy;
	bool flying;  /* busy with a flight: libpq is in pipeline mode */
	size_t syncs; /* whose answer is to come, before the flight is over */
	bool failed;  /* the last answer is an error: what follows it does not count */
	engine_result_fn *fn;
	engine_flown_fn *flown;
	void *context;
	int timeout_ms;
	struct answers answers; /* a flight's, each; else one: the last so far, or the first error */
	struct postgres_prepared *prepared;
	engine_lost_fn *lost_fn;
	void *lost_context;
	char last_words[512]; /* a FATAL that the server sent while we were idle: why it went */
	char why_lost[640];
	int64_t backend_pid;
	char peer[300];
};

struct postgres_rows {
	struct engine_rows base; /* first */
	const PGresult *result;
};

static struct postgres_conn *from_base(struct engine_conn *conn) {
	return (struct postgres_conn *)conn;
}

static const char *rows_value(const struct engine_rows *rows, int row, int column) {
	const PGresult *result = ((const struct postgres_rows *)rows)->result;
	return PQgetisnull(result, row, column) ? NULL : PQgetvalue(result, row, column);
}

static const char *rows_name(const struct engine_rows *rows, int column) {
	return PQfname(((const struct postgres_rows *)rows)->result, column);
}

static void watch(struct postgres_conn *conn, int events) {
	if (ev_is_active(&conn->io) && (conn->io.events & (EV_READ | EV_WRITE)) == events)
		return;
	ev_io_stop(conn->loop, &conn->io);
	ev_io_set(&conn->io, PQsocket(conn->pg), events);
	ev_io_start(conn->loop, &conn->io);
}

static void start_timer(struct postgres_conn *conn, double after_s) {
	ev_timer_stop(conn->loop, &conn->timer);
	/* The loop's time may lie behind. What the libev manual adds for that ("be smart about timeouts"), ev_time() - ev_now(),
	 * is an hour when somebody sets the wall clock by one. */
	ev_now_update(conn->loop);
	ev_timer_set(&conn->timer, after_s, 0.);
	ev_timer_start(conn->loop, &conn->timer);
}

/*
 * Ends the session from our side without waiting. PQfinish sends a Terminate message if the socket takes it (the
 * connection is non-blocking); with a statement half sent the socket is shut first, so that no more of it goes out.
 */
static void drop_session(struct postgres_conn *conn, const char *why) {
	if (why != NULL)
		text_one_line(conn->why_lost, sizeof conn->why_lost, why);
	ev_io_stop(conn->loop, &conn->io); /* before libpq closes what it watches */
	ev_timer_stop(conn->loop, &conn->tls);
	if (conn->busy && conn->pg != NULL && PQsocket(conn->pg) >= 0)
		shutdown(PQsocket(conn->pg), SHUT_RDWR);
	PQfinish(conn->pg);
	conn->pg = NULL;
}

static void answers_clear(struct answers *answers) {
	for (size_t i = 0; i < answers->count; i++)
		PQclear(answers->results[i]);
	free(answers->results);
	*answers = (struct answers){0};
}

/* Takes what the finished statement has left; the connection is idle (or lost) afterwards. */
static struct answers become_idle(struct postgres_conn *conn) {
	struct answers answers = conn->answers;
	conn->answers = (struct answers){0};
	conn->busy = false;
	ev_timer_stop(conn->loop, &conn->timer);
	ev_timer_stop(conn->loop, &conn->tls);
	return answers;
}

static void tell(const struct postgres_conn *conn, const struct engine_result *results, size_t count) {
	if (conn->flown != NULL)
		conn->flown(conn->context, results, count);
	else
		conn->fn(conn->context, results);
}

static void tell_lost_statement(struct postgres_conn *conn) {
	char message[sizeof conn->why_lost];
	memcpy(message, conn->why_lost, sizeof message);
	struct answers answers = become_idle(conn);
	const struct engine_result lost = {.outcome = ENGINE_LOST, .message = message};
	tell(conn, &lost, 1);
	answers_clear(&answers);
}

static void tell_lost_idle(struct postgres_conn *conn) {
	char message[sizeof conn->why_lost];
	memcpy(message, conn->why_lost, sizeof message);
	if (conn->lost_fn != NULL)
		conn->lost_fn(conn->lost_context, message);
}

static int64_t affected_rows(PGresult *result) {
	const char *text = PQcmdTuples(result); /* "" for a command that counts nothing */
	return *text != '\0' ? strtoll(text, NULL, 10) : 0;
}

static void fill_done(struct engine_result *done, struct postgres_rows *rows, PGresult *result) {
	*rows = (struct postgres_rows){.base = {.value = rows_value, .name = rows_name}, .result = result};
	*done = (struct engine_result){.outcome = ENGINE_DONE,
	                               .message = "",
	                               .nrows = PQntuples(result),
	                               .ncolumns = PQnfields(result),
	                               .affected = affected_rows(result),
	                               .rows = rows};
}

static void fill_refused(struct engine_result *refused, char *message, size_t size, const PGresult *result) {
	const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
	*refused = (struct engine_result){.outcome = ENGINE_REFUSED, .message = message};
	postgres_message(message, size, result);
	snprintf(refused->sqlstate, sizeof refused->sqlstate, "%s", sqlstate != NULL ? sqlstate : "");
	refused->error = postgres_classify(refused->sqlstate, message);
}

static void tell_answers(struct postgres_conn *conn) {
	bool failed = conn->failed;
	struct answers answers = become_idle(conn);
	if (conn->pg == NULL) /* lost behind the answer: that is told next, unless the callback sends or closes */
		start_timer(conn, 0);
	char message[640];
	autofree struct engine_result *results = mem_alloc(answers.count * sizeof *results);
	autofree struct postgres_rows *rows = mem_alloc(answers.count * sizeof *rows);
	for (size_t i = 0; i < answers.count; i++)
		if (failed && i == answers.count - 1)
			fill_refused(&results[i], message, sizeof message, answers.results[i]);
		else
			fill_done(&results[i], &rows[i], answers.results[i]);
	tell(conn, results, answers.count);
	answers_clear(&answers);
}

/* The statement is over. A connection can break right behind a complete answer: that answer counts. */
static void finish_statement(struct postgres_conn *conn) {
	if (conn->flown != NULL)
		postgres_prepared_landed(conn->prepared, conn->failed ? conn->answers.results[conn->answers.count - 1] : NULL);
	/* Not the end of a flight, or an answer never seen; not knowing the outcome is what LOST says. */
	bool lost = conn->flying || conn->answers.count == 0;
	if (PQstatus(conn->pg) == CONNECTION_BAD) {
		char why[sizeof conn->why_lost];
		lost |= conn->failed;
		if (conn->failed)
			postgres_message(why, sizeof why, conn->answers.results[conn->answers.count - 1]);
		else
			text_one_line(why, sizeof why, PQerrorMessage(conn->pg));
		drop_session(conn, why);
	} else if (lost) {
		drop_session(conn, "libpq gave no result");
	}
	if (lost)
		tell_lost_statement(conn);
	else
		tell_answers(conn);
}

static void keep_answer(struct postgres_conn *conn, PGresult *result) {
	struct answers *answers = &conn->answers;
	if (!conn->flying)
		answers_clear(answers);
	answers->results = mem_resize(answers->results, answers->count + 1, sizeof(PGresult *));
	answers->results[answers->count++] = result;
}

/* Remembers one of several results. False: it began a COPY, which has no end here. */
static bool keep_result(struct postgres_conn *conn, PGresult *result) {
	if (conn->flying && postgres_prepared_absorb(conn->prepared, result)) {
		PQclear(result);
		return true;
	}
	switch (PQresultStatus(result)) {
	case PGRES_PIPELINE_ABORTED: /* skipped, behind the one that failed */
		PQclear(result);
		return true;
	case PGRES_COPY_IN:
	case PGRES_COPY_OUT:
	case PGRES_COPY_BOTH:
		PQclear(result);
		return false;
	case PGRES_FATAL_ERROR:
	case PGRES_BAD_RESPONSE:
		if (conn->failed) {
			PQclear(result);
			return true;
		}
		conn->failed = true;
		break;
	default:
		if (conn->failed) {
			PQclear(result);
			return true;
		}
		break;
	}
	keep_answer(conn, result);
	return true;
}

/*
 * Everything libpq can give without waiting. PQgetResult does not block when PQisBusy says no; when the connection has
 * broken PQisBusy says no as well, and PQgetResult then gives the server's last words and libpq's own error. In a flight NULL
 * stands behind the results of each statement, and the end is the answer to the last Sync.
 * https://www.postgresql.org/docs/15/libpq-pipeline-mode.html
 */
static void collect(struct postgres_conn *conn) {
	for (bool between = false; !PQisBusy(conn->pg);) {
		PGresult *result = PQgetResult(conn->pg);
		if (result == NULL && conn->flying && PQstatus(conn->pg) != CONNECTION_BAD && !between) {
			between = true;
			continue;
		}
		between = false;
		if (PQresultStatus(result) == PGRES_PIPELINE_SYNC) {
			PQclear(result);
			if (--conn->syncs > 0)
				continue;
			result = NULL;
			conn->flying = PQexitPipelineMode(conn->pg) != 1;
		}
		if (result == NULL) {
			finish_statement(conn);
			return;
		}
		if (!keep_result(conn, result)) {
			drop_session(conn, "COPY is not supported");
			tell_lost_statement(conn);
			return;
		}
	}
}

/* The manual, PQflush: on 1 wait for the socket to become read- or write-ready, consume input when readable, flush again. */
static void flush(struct postgres_conn *conn) {
	bool more = PQflush(conn->pg) == 1;
	if (PQstatus(conn->pg) == CONNECTION_BAD) /* libpq has closed the socket */
		ev_io_stop(conn->loop, &conn->io);
	else
		watch(conn, more ? EV_READ | EV_WRITE : EV_READ);
}

static void look_while_busy(struct postgres_conn *conn, bool readable) {
	if (readable)
		(void)PQconsumeInput(conn->pg); /* its error comes as a result, behind what the server still said */
	flush(conn);
	collect(conn);
}

static void look_while_idle(struct postgres_conn *conn) {
	bool ok = PQconsumeInput(conn->pg);
	(void)PQisBusy(conn->pg); /* parses: a FATAL of the server reaches notice(), as the manual says of idle connections */
	PGnotify *notify;
	while ((notify = PQnotifies(conn->pg)) != NULL)
		PQfreemem(notify);
	if (ok && PQstatus(conn->pg) != CONNECTION_BAD)
		return;
	char why[sizeof conn->why_lost];
	text_format(why, sizeof why, "%s", conn->last_words[0] != '\0' ? conn->last_words : PQerrorMessage(conn->pg));
	drop_session(conn, why);
	tell_lost_idle(conn);
}

static void socket_ready(struct ev_loop *loop, ev_io *w, int revents) {
	(void)loop;
	struct postgres_conn *conn = w->data;
	if (conn->busy)
		look_while_busy(conn, (revents & EV_READ) != 0);
	else
		look_while_idle(conn);
}

/*
 * TLS may hold bytes that the socket no longer announces: OpenSSL reads whole records (16 KiB), libpq takes as much as
 * its buffer has room for. PostgreSQL itself writes 8 KiB at most, poolers more.
 */
static void look_into_tls(struct ev_loop *loop, ev_timer *w, int revents) {
	(void)loop, (void)revents;
	look_while_busy(w->data, true);
}

static void time_over(struct ev_loop *loop, ev_timer *w, int revents) {
	(void)loop, (void)revents;
	struct postgres_conn *conn = w->data;
	if (!conn->busy) {
		tell_lost_idle(conn);
		return;
	}
	if (conn->pg != NULL) {
		char why[64];
		text_format(why, sizeof why, "no answer within %d ms", conn->timeout_ms);
		drop_session(conn, why);
	}
	tell_lost_statement(conn);
}

static bool send_one(struct postgres_conn *conn, const struct engine_statement *s) {
	if (s->nparams == 0) /* only the simple protocol takes several statements */
		return PQsendQuery(conn->pg, s->sql) == 1;
	return s->nparams <= MAX_PARAMS && PQsendQueryParams(conn->pg, s->sql, (int)s->nparams, NULL, s->params, NULL, NULL, 0) == 1;
}

/*
 * idle_in_transaction_session_timeout runs only behind the answer to a Sync: without one behind each statement, a flight of
 * which a part arrives holds its locks for as long as we are silent. Within a transaction that is safe, as a statement that
 * fails fails all those behind it (25P02) and makes COMMIT a ROLLBACK; before BEGIN has been answered it is not.
 */
static bool send_flight(struct postgres_conn *conn, const struct engine_statement *statements, size_t count) {
	bool in_transaction = PQtransactionStatus(conn->pg) == PQTRANS_INTRANS;
	bool ok = PQenterPipelineMode(conn->pg) == 1;
	conn->flying = ok;
	conn->syncs = in_transaction ? count : 1;
	for (size_t i = 0; ok && i < count; i++) {
		ok = postgres_prepared_send(conn->prepared, conn->pg, &statements[i]);
		if (ok && (in_transaction || i == count - 1))
			ok = PQpipelineSync(conn->pg) == 1;
	}
	return ok;
}

static void start(struct postgres_conn *conn, const struct engine_statement *statements, size_t count, int timeout_ms) {
	assert(!conn->busy);
	assert(timeout_ms > 0);
	conn->busy = true;
	conn->failed = conn->flying = false;
	conn->timeout_ms = timeout_ms;
	if (conn->pg == NULL) { /* lost, and the caller has not closed it yet */
		start_timer(conn, 0);
		return;
	}
	if (!(conn->flown != NULL ? send_flight(conn, statements, count) : send_one(conn, statements))) {
		char why[sizeof conn->why_lost];
		text_one_line(why, sizeof why, PQerrorMessage(conn->pg));
		drop_session(conn, why);
		start_timer(conn, 0);
		return;
	}
	start_timer(conn, timeout_ms / 1000.);
	flush(conn);
	if (PQstatus(conn->pg) == CONNECTION_BAD) { /* flushing also reads, and found the end */
		drop_session(conn, PQerrorMessage(conn->pg));
		start_timer(conn, 0);
	} else if (PQsslInUse(conn->pg)) {
		ev_timer_again(conn->loop, &conn->tls);
	}
}

static void execute(struct engine_conn *base, const char *sql, const char *const *params, size_t nparams, int timeout_ms,
                    engine_result_fn *fn, void *context) {
	struct postgres_conn *conn = from_base(base);
	const struct engine_statement statement = {.sql = sql, .params = params, .nparams = nparams};
	conn->fn = fn;
	conn->flown = NULL;
	conn->context = context;
	start(conn, &statement, 1, timeout_ms);
}

static void fly(struct engine_conn *base, const struct engine_statement *statements, size_t count, int timeout_ms,
                engine_flown_fn *fn, void *context) {
	struct postgres_conn *conn = from_base(base);
	conn->flown = fn;
	conn->context = context;
	start(conn, statements, count, timeout_ms);
}

static void close_conn(struct engine_conn *base) {
	struct postgres_conn *conn = from_base(base);
	drop_session(conn, NULL);
	struct answers answers = become_idle(conn);
	answers_clear(&answers);
	postgres_prepared_free(conn->prepared);
	free(conn);
}

static void on_lost(struct engine_conn *base, engine_lost_fn *fn, void *context) {
	struct postgres_conn *conn = from_base(base);
	conn->lost_fn = fn;
	conn->lost_context = context;
}

static int64_t backend_pid(const struct engine_conn *base) {
	return ((const struct postgres_conn *)base)->backend_pid;
}

static const char *peer(const struct engine_conn *base) {
	return ((const struct postgres_conn *)base)->peer;
}

/* Notices say nothing that decides anything; a FATAL that comes while idle says why the connection is about to end. */
static void notice(void *context, const PGresult *result) {
	struct postgres_conn *conn = context;
	const char *severity = PQresultErrorField(result, PG_DIAG_SEVERITY_NONLOCALIZED);
	char message[sizeof conn->last_words];
	postgres_message(message, sizeof message, result);
	if (severity != NULL && (strcmp(severity, "FATAL") == 0 || strcmp(severity, "PANIC") == 0))
		memcpy(conn->last_words, message, sizeof message);
	log_debug(NULL, "%s: %s", conn->peer, message);
}

static void set_peer(struct postgres_conn *conn) {
	const char *host = PQhost(conn->pg), *port = PQport(conn->pg);
	if (host[0] == '/' || host[0] == '@') /* a socket's directory, or an abstract socket */
		snprintf(conn->peer, sizeof conn->peer, "%s", host);
	else
		snprintf(conn->peer, sizeof conn->peer, strchr(host, ':') != NULL ? "[%s]:%s" : "%s:%s", host, port);
}

struct engine_conn *postgres_conn_new(struct ev_loop *loop, PGconn *pg) {
	struct postgres_conn *conn = mem_alloc(sizeof *conn);
	conn->base.engine = &engine_postgres;
	conn->loop = loop;
	conn->pg = pg;
	conn->backend_pid = PQbackendPID(pg);
	conn->prepared = postgres_prepared_new();
	set_peer(conn);
	PQsetNoticeReceiver(pg, notice, conn);
	PQsetnonblocking(pg, 1); /* with nothing to flush it cannot fail */
	ev_init(&conn->io, socket_ready);
	conn->io.data = conn;
	ev_timer_init(&conn->timer, time_over, 0., 0.);
	conn->timer.data = conn;
	/* When we were stopped ourselves, deadline and answer arrive together: the answer goes first. */
	ev_set_priority(&conn->timer, -1);
	ev_timer_init(&conn->tls, look_into_tls, 0., tls_look_s);
	conn->tls.data = conn;
	watch(conn, EV_READ);
	return &conn->base;
}

#ifdef BACKFILLD_FAILPOINTS
static void cut(struct engine_conn *base) {
	struct postgres_conn *conn = from_base(base);
	if (conn->pg != NULL)
		shutdown(PQsocket(conn->pg), SHUT_RDWR);
}
#endif

const struct engine engine_postgres = {
	.name = "postgresql",
	.url_schemes = {"postgresql://", "postgres://"},
	.dialect = &dialect_postgres,
	.connect = postgres_connect,
	.connect_abandon = connecting_abandon,
	.execute = execute,
	.fly = fly,
	.close = close_conn,
	.on_lost = on_lost,
	.backend_pid = backend_pid,
	.peer = peer,
#ifdef BACKFILLD_FAILPOINTS
	.cut = cut,
#endif
};
