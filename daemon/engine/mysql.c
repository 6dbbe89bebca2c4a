/*
 * mysql.c: an established connection on the loop. One text, or one flight of several, at a time: its statements are asked one
 * after the other, each when the one before it was answered, up to the first error; then the caller is told. Every callback is
 * the last thing a function does: it may close the connection.
 */
#include "daemon/engine/mysql.h"

#include "common/mem.h"
#include "common/text.h"
#include "daemon/engine/connecting.h"
#include "daemon/engine/dialect.h"
#include "daemon/engine/mysql_session.h"
#include "daemon/engine/mysql_text.h"

#include <assert.h>
#include <ev.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* The whole of a piece was a comment that this server passes over. */
enum { EMPTY_QUERY = 1065 };

/* One engine_statement: its text in pieces, and what they have given so far. */
struct question {
	struct mysql_text text;
	const char *why_not; /* the text can't be sent */
	char **params;
	size_t nparams;
	bool strict;
	char *stands; /* the text, if it only sets the session; or NULL */
	struct mysql_answer answer;
};

struct mysql_conn {
	struct engine_conn base; /* first */
	struct ev_loop *loop;
	struct mysql_session *session; /* NULL once the connection is lost */
	ev_io io;                      /* runs whenever the session lives and is not at work itself */
	ev_timer timer;                /* busy: the answer's deadline, or 0 s to tell what is known already */
	ev_timer turn;                 /* the session goes on when others have had their turn */
	bool mariadb;                  /* the server says so */
	bool busy;
	bool ended; /* busy, and nothing more is asked */
	struct question *questions;
	size_t count;
	size_t current, piece; /* the one that is asked */
	char *standing;        /* the text that has set the session as it is; NULL: not known */
	engine_result_fn *fn;
	engine_flown_fn *flown;
	void *context;
	int timeout_ms;
	engine_lost_fn *lost_fn;
	void *lost_context;
	char why_lost[640];
	int64_t backend_pid;
	char peer[300];
};

static struct mysql_conn *from_base(struct engine_conn *conn) {
	return (struct mysql_conn *)conn;
}

/* --- questions --- */

static void question_set(struct question *question, const struct engine_statement *s, bool mariadb) {
	const char *why_not = NULL;
	if (!mysql_text_split(s->sql, s->nparams, mariadb, &question->text, &why_not))
		question->why_not = why_not;
	question->params = mem_alloc(s->nparams * sizeof *question->params);
	question->nparams = s->nparams;
	question->strict = s->strict;
	question->stands = s->stands ? mem_dup(s->sql) : NULL;
	for (size_t i = 0; i < s->nparams; i++)
		question->params[i] = mem_dup(s->params[i]);
}

static void questions_free(struct question *questions, size_t count) {
	for (size_t i = 0; i < count; i++) {
		mysql_text_clear(&questions[i].text);
		mem_free_strings(questions[i].params, questions[i].nparams);
		free(questions[i].stands);
		mysql_answer_clear(&questions[i].answer);
	}
	free(questions);
}

/* The rows are those of the last piece that gave some, what is affected is what the last piece says. */
static void absorb(struct mysql_answer *answer, struct mysql_answer *piece) {
	if (!piece->has_rows && piece->error == 0) {
		answer->affected = piece->affected;
		mysql_answer_clear(piece);
		return;
	}
	mysql_answer_clear(answer);
	*answer = *piece;
}

/* --- the connection --- */

static void watch(struct mysql_conn *conn, int events) {
	if (conn->io.fd != mysql_session_socket(conn->session) || (conn->io.events & (EV_READ | EV_WRITE)) != events)
		ev_io_set(&conn->io, mysql_session_socket(conn->session), events);
	ev_io_start(conn->loop, &conn->io);
}

static void start_timer(struct mysql_conn *conn, double after_s) {
	ev_timer_stop(conn->loop, &conn->timer);
	ev_now_update(conn->loop); /* the loop's time may lie behind */
	ev_timer_set(&conn->timer, after_s, 0.);
	ev_timer_start(conn->loop, &conn->timer);
}

static void rest(struct mysql_conn *conn) {
	ev_io_stop(conn->loop, &conn->io); /* before the library closes what it watches */
	ev_timer_stop(conn->loop, &conn->turn);
}

/* Ends the session from our side without waiting. */
static void drop_session(struct mysql_conn *conn, const char *why) {
	if (why != NULL)
		text_one_line(conn->why_lost, sizeof conn->why_lost, why);
	rest(conn);
	mysql_session_free(conn->session);
	conn->session = NULL;
}

/* Takes the questions and what they gave; the connection is idle (or lost) afterwards. */
static struct question *become_idle(struct mysql_conn *conn) {
	struct question *questions = conn->questions;
	conn->questions = NULL;
	conn->busy = conn->ended = false;
	ev_timer_stop(conn->loop, &conn->timer);
	if (conn->session != NULL)
		watch(conn, EV_READ);
	return questions;
}

/* --- telling --- */

static void tell(const struct mysql_conn *conn, const struct engine_result *results, size_t count) {
	if (conn->flown != NULL)
		conn->flown(conn->context, results, count);
	else
		conn->fn(conn->context, results);
}

static void tell_lost_flight(struct mysql_conn *conn) {
	char message[sizeof conn->why_lost];
	memcpy(message, conn->why_lost, sizeof message);
	size_t count = conn->count;
	struct question *questions = become_idle(conn);
	const struct engine_result lost = {.outcome = ENGINE_LOST, .message = message};
	tell(conn, &lost, 1);
	questions_free(questions, count);
}

static void tell_lost_idle(struct mysql_conn *conn) {
	char message[sizeof conn->why_lost];
	memcpy(message, conn->why_lost, sizeof message);
	if (conn->lost_fn != NULL)
		conn->lost_fn(conn->lost_context, message);
}

static struct engine_result to_result(const struct mysql_answer *answer) {
	struct engine_result result = {.outcome = answer->error != 0 ? ENGINE_REFUSED : ENGINE_DONE,
	                               .message = answer->message,
	                               .nrows = answer->nrows,
	                               .ncolumns = answer->ncolumns,
	                               .affected = answer->affected,
	                               .rows = answer->has_rows ? &answer->base : NULL};
	if (answer->error == 0)
		return result;
	memcpy(result.sqlstate, answer->sqlstate, sizeof result.sqlstate);
	result.error =
		answer->warned ? mysql_classify_warning(answer->error) : mysql_classify(answer->error, answer->sqlstate, answer->message);
	result.rows = NULL;
	result.nrows = result.ncolumns = 0;
	result.affected = 0;
	return result;
}

/* All up to the one that failed, or the last. */
static void tell_answers(struct mysql_conn *conn) {
	size_t answered = conn->current < conn->count ? conn->current + 1 : conn->count, count = conn->count;
	struct question *questions = become_idle(conn);
	autofree struct engine_result *results = mem_alloc(answered * sizeof *results);
	for (size_t i = 0; i < answered; i++)
		results[i] = to_result(&questions[i].answer);
	tell(conn, results, answered);
	questions_free(questions, count);
}

static void tell_end(struct mysql_conn *conn) {
	if (conn->session == NULL)
		tell_lost_flight(conn);
	else
		tell_answers(conn);
}

/* --- asking --- */

static void refuse(struct question *question) {
	question->answer.error = 1064; /* as the servers' parsers do */
	memcpy(question->answer.sqlstate, "42000", sizeof question->answer.sqlstate);
	mysql_message(question->answer.message, sizeof question->answer.message, question->answer.error, question->why_not);
}

static bool is_said(const struct mysql_conn *conn, const struct question *question) {
	return question->stands != NULL && conn->standing != NULL && strcmp(question->stands, conn->standing) == 0;
}

/* A statement stands if the server, which tells of what is set, has told of that. A trigger may set the session, too. */
static void note_session(struct mysql_conn *conn, const struct question *question, bool done, bool changes) {
	bool whole = done && conn->piece == question->text.count;
	if (!changes)
		return;
	free(conn->standing);
	conn->standing = whole ? mem_dup(question->stands) : NULL;
}

/* False: there is nothing more to ask. */
static bool find_piece(struct mysql_conn *conn) {
	for (; conn->current < conn->count; conn->current++, conn->piece = 0) {
		struct question *question = &conn->questions[conn->current];
		if (question->why_not != NULL) {
			refuse(question);
			return false;
		}
		if (conn->piece < question->text.count && !is_said(conn, question))
			return true;
	}
	return false;
}

static int ask(struct mysql_conn *conn) {
	const struct question *question = &conn->questions[conn->current];
	return mysql_session_ask(conn->session, &question->text.pieces[conn->piece], (const char *const *)question->params,
	                         question->strict);
}

/* False: this was an error. */
static bool take_answer(struct mysql_conn *conn) {
	struct mysql_answer answer = mysql_session_take(conn->session);
	if (mysql_means_lost(answer.error) || mysql_session_socket(conn->session) < 0) {
		drop_session(conn, answer.message);
		mysql_answer_clear(&answer);
		return false;
	}
	if (answer.error == EMPTY_QUERY)
		mysql_answer_clear(&answer);
	struct question *question = &conn->questions[conn->current];
	bool done = answer.error == 0, changes = answer.changes;
	absorb(&question->answer, &answer);
	conn->piece++;
	note_session(conn, question, done, changes);
	return done;
}

/* Goes on until the session waits for something, or all is asked. */
static void advance(struct mysql_conn *conn, int waits) {
	while (waits == 0 && !conn->ended) {
		conn->ended = !take_answer(conn) || !find_piece(conn);
		if (!conn->ended)
			waits = ask(conn);
	}
	if (waits == MYSQL_SESSION_YIELDS)
		ev_timer_start(conn->loop, &conn->turn);
	else if (waits != 0)
		watch(conn, ((waits & MYSQL_WAIT_WRITE) != 0 ? EV_WRITE : 0) | ((waits & MYSQL_WAIT_READ) != 0 ? EV_READ : 0));
}

static void look_while_busy(struct mysql_conn *conn, int ready) {
	rest(conn);
	advance(conn, mysql_session_continue(conn->session, ready));
	if (conn->ended)
		tell_end(conn);
}

static void look_while_idle(struct mysql_conn *conn) {
	char why[sizeof conn->why_lost];
	rest(conn);
	mysql_session_last_words(conn->session, why, sizeof why);
	drop_session(conn, why);
	tell_lost_idle(conn);
}

static void socket_ready(struct ev_loop *loop, ev_io *w, int revents) {
	(void)loop;
	struct mysql_conn *conn = w->data;
	if (conn->busy)
		look_while_busy(conn,
		                ((revents & EV_READ) != 0 ? MYSQL_WAIT_READ : 0) | ((revents & EV_WRITE) != 0 ? MYSQL_WAIT_WRITE : 0));
	else
		look_while_idle(conn);
}

static void next_turn(struct ev_loop *loop, ev_timer *w, int revents) {
	(void)loop, (void)revents;
	look_while_busy(w->data, 0);
}

static void time_over(struct ev_loop *loop, ev_timer *w, int revents) {
	(void)loop, (void)revents;
	struct mysql_conn *conn = w->data;
	if (!conn->ended) {
		char why[64];
		text_format(why, sizeof why, "no answer within %d ms", conn->timeout_ms);
		drop_session(conn, why);
	}
	tell_end(conn);
}

/* What is known at once is told from the loop. */
static void start(struct mysql_conn *conn, const struct engine_statement *statements, size_t count, int timeout_ms) {
	assert(!conn->busy);
	assert(timeout_ms > 0);
	conn->busy = true;
	conn->timeout_ms = timeout_ms;
	conn->questions = mem_alloc(count * sizeof *conn->questions);
	conn->count = count;
	conn->current = conn->piece = 0;
	for (size_t i = 0; i < count; i++)
		question_set(&conn->questions[i], &statements[i], conn->mariadb);
	rest(conn);
	conn->ended = conn->session == NULL || !find_piece(conn); /* lost, and the caller has not closed it yet */
	if (!conn->ended)
		advance(conn, ask(conn));
	start_timer(conn, conn->ended ? 0 : timeout_ms / 1000.);
}

static void execute(struct engine_conn *base, const char *sql, const char *const *params, size_t nparams, int timeout_ms,
                    engine_result_fn *fn, void *context) {
	struct mysql_conn *conn = from_base(base);
	const struct engine_statement statement = {.sql = sql, .params = params, .nparams = nparams};
	conn->fn = fn;
	conn->flown = NULL;
	conn->context = context;
	start(conn, &statement, 1, timeout_ms);
}

static void fly(struct engine_conn *base, const struct engine_statement *statements, size_t count, int timeout_ms,
                engine_flown_fn *fn, void *context) {
	struct mysql_conn *conn = from_base(base);
	conn->flown = fn;
	conn->context = context;
	start(conn, statements, count, timeout_ms);
}

static void close_conn(struct engine_conn *base) {
	struct mysql_conn *conn = from_base(base);
	drop_session(conn, NULL);
	size_t count = conn->count;
	struct question *questions = become_idle(conn);
	if (questions != NULL)
		questions_free(questions, count);
	free(conn->standing);
	free(conn);
}

static void on_lost(struct engine_conn *base, engine_lost_fn *fn, void *context) {
	struct mysql_conn *conn = from_base(base);
	conn->lost_fn = fn;
	conn->lost_context = context;
}

static int64_t backend_pid(const struct engine_conn *base) {
	return ((const struct mysql_conn *)base)->backend_pid;
}

static const char *peer(const struct engine_conn *base) {
	return ((const struct mysql_conn *)base)->peer;
}

static void set_peer(struct mysql_conn *conn, const MYSQL *mysql) {
	if (mysql->unix_socket != NULL)
		snprintf(conn->peer, sizeof conn->peer, "%s", mysql->unix_socket);
	else
		snprintf(conn->peer, sizeof conn->peer, strchr(mysql->host, ':') != NULL ? "[%s]:%u" : "%s:%u", mysql->host, mysql->port);
}

struct engine_conn *mysql_conn_new(struct ev_loop *loop, MYSQL *mysql) {
	struct mysql_conn *conn = mem_alloc(sizeof *conn);
	conn->base.engine = &engine_mysql;
	conn->loop = loop;
	conn->backend_pid = (int64_t)mysql_thread_id(mysql);
	conn->mariadb = mariadb_connection(mysql);
	set_peer(conn, mysql);
	conn->session = mysql_session_new(mysql);
	ev_io_init(&conn->io, socket_ready, mysql_session_socket(conn->session), EV_READ);
	conn->io.data = conn;
	ev_timer_init(&conn->timer, time_over, 0., 0.);
	conn->timer.data = conn;
	/* When we were stopped ourselves, deadline and answer arrive together: the answer goes first. */
	ev_set_priority(&conn->timer, -1);
	ev_timer_init(&conn->turn, next_turn, 0., 0.);
	conn->turn.data = conn;
	watch(conn, EV_READ);
	return &conn->base;
}

#ifdef BACKFILLD_FAILPOINTS
static void cut(struct engine_conn *base) {
	struct mysql_conn *conn = from_base(base);
	if (conn->session == NULL)
		return;
	shutdown(mysql_session_socket(conn->session), SHUT_RDWR);
	if (!conn->busy)
		return;
	rest(conn); /* an answer may have been quicker: nobody hears of it */
	conn->ended = false;
	start_timer(conn, 0);
}
#endif

const struct engine engine_mysql = {
	.name = "mysql",
	.url_schemes = {"mysql://", "mariadb://"},
	.dialect = &dialect_mysql,
	.connect = mysql_engine_connect,
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
