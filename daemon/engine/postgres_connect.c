/*
 * postgres_connect.c: makes a connection in a thread. Name look-ups, service and password files, TLS and authentication
 * block in there and nowhere else.
 *
 * The loop and the thread share a struct attempt; whoever drops it last frees it. An abandoned thread finds out when
 * libpq returns, closes what it got and goes. Nobody ever waits for it, not even the end of the process.
 */
#include "common/mem.h"
#include "common/strbuf.h"
#include "common/text.h"
#include "daemon/engine/postgres.h"

#include <ev.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_PARAMS = 16 };

struct attempt {
	pthread_mutex_t mutex;
	int references;
	bool abandoned; /* loop and async are gone */
	struct ev_loop *loop;
	ev_async *async;
	PGconn *pg; /* set by the thread, taken by the loop */
	char *url, *application_name;
	char timeout[16];
};

struct engine_connecting {
	struct ev_loop *loop;
	ev_async async; /* the thread is done */
	ev_timer timer; /* libpq's connect_timeout counts anew for each address; this one is for everything */
	struct attempt *attempt;
	engine_connected_fn *fn;
	void *context;
	char place[256]; /* "database "x" on host:port" */
	struct error err;
};

static void attempt_drop(struct attempt *attempt) {
	pthread_mutex_lock(&attempt->mutex);
	int left = --attempt->references;
	pthread_mutex_unlock(&attempt->mutex);
	if (left > 0)
		return;
	PQfinish(attempt->pg);
	pthread_mutex_destroy(&attempt->mutex);
	free(attempt->url);
	free(attempt->application_name);
	free(attempt);
}

/* libpq: where a keyword is given twice the later one counts, and with expand_dbname a URL in dbname stands for its keywords. */
static PGconn *connect_blocking(const struct attempt *attempt) {
	const char *const params[][2] = {
		{"application_name", attempt->application_name},
		{"connect_timeout", attempt->timeout},
		/* Both ends of a dead path must notice about as fast as idle_in_transaction_session_timeout (2 s) would. */
		{"keepalives", "1"},
		{"keepalives_idle", "2"},
		{"keepalives_interval", "2"},
		{"keepalives_count", "3"},
		{"tcp_user_timeout", "6000"},
		{"dbname", attempt->url}, /* overrides all above */
		{"fallback_application_name", "backfilld"},
		{"client_encoding", "UTF8"}, /* our texts are */
	};
	const char *keywords[MAX_PARAMS] = {NULL}, *values[MAX_PARAMS] = {NULL};
	_Static_assert(sizeof params / sizeof *params < MAX_PARAMS, "the lists end with NULL");
	for (size_t i = 0; i < sizeof params / sizeof *params; i++) {
		keywords[i] = params[i][0];
		values[i] = params[i][1];
	}
	return PQconnectdbParams(keywords, values, 1);
}

static void *connect_thread(void *argument) {
	struct attempt *attempt = argument;
	pthread_setname_np(pthread_self(), "connect"); /* for top -H, gdb and the tests */
	PGconn *pg = connect_blocking(attempt);
	pthread_mutex_lock(&attempt->mutex);
	attempt->pg = pg;
	if (!attempt->abandoned)
		ev_async_send(attempt->loop, attempt->async);
	pthread_mutex_unlock(&attempt->mutex);
	attempt_drop(attempt);
	return NULL;
}

static bool start_thread(struct attempt *attempt) {
	pthread_attr_t attributes;
	pthread_t thread;
	sigset_t all, old;
	sigfillset(&all);
	pthread_attr_init(&attributes);
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	pthread_sigmask(SIG_SETMASK, &all, &old); /* signals are the loop's; the thread inherits the mask */
	attempt->references++;
	bool started = pthread_create(&thread, &attributes, connect_thread, attempt) == 0;
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	pthread_attr_destroy(&attributes);
	if (!started)
		attempt->references--;
	return started;
}

/* Frees `connecting`; returns what the thread has brought, if anything. */
static PGconn *connecting_end(struct engine_connecting *connecting) {
	struct attempt *attempt = connecting->attempt;
	PGconn *pg = NULL;
	ev_async_stop(connecting->loop, &connecting->async);
	ev_timer_stop(connecting->loop, &connecting->timer);
	if (attempt != NULL) {
		pthread_mutex_lock(&attempt->mutex);
		attempt->abandoned = true;
		pg = attempt->pg;
		attempt->pg = NULL;
		pthread_mutex_unlock(&attempt->mutex);
		attempt_drop(attempt);
	}
	free(connecting);
	return pg;
}

static void thread_done(struct ev_loop *loop, ev_async *w, int revents) {
	(void)revents;
	struct engine_connecting *connecting = w->data;
	engine_connected_fn *fn = connecting->fn;
	void *context = connecting->context;
	char place[sizeof connecting->place];
	memcpy(place, connecting->place, sizeof place);

	PGconn *pg = connecting_end(connecting);
	if (pg != NULL && PQstatus(pg) == CONNECTION_OK) {
		fn(context, postgres_conn_new(loop, pg), NULL);
		return;
	}
	char why[800];
	struct error err;
	text_one_line(why, sizeof why, pg != NULL ? PQerrorMessage(pg) : "out of memory");
	PQfinish(pg);
	error_set(&err, postgres_connect_code(why), "cannot connect to %s: %s", place, why);
	if (err.code == ERROR_CONFIG)
		error_hint(&err, "check the URL, the password file and the server's pg_hba.conf");
	fn(context, NULL, &err);
}

/* The time for everything is over, or it could not even begin. */
static void give_up(struct ev_loop *loop, ev_timer *w, int revents) {
	(void)loop, (void)revents;
	struct engine_connecting *connecting = w->data;
	engine_connected_fn *fn = connecting->fn;
	void *context = connecting->context;
	struct error err = connecting->err;
	PQfinish(connecting_end(connecting));
	fn(context, NULL, &err);
}

/* "database "x" at host:port", as far as the URL says it. */
static void describe(char *out, size_t size, const PQconninfoOption *options) {
	const char *name = postgres_url_option(options, "dbname"), *service = postgres_url_option(options, "service");
	const char *host = postgres_url_option(options, "host"), *port = postgres_url_option(options, "port");
	if (host == NULL)
		host = postgres_url_option(options, "hostaddr");
	autostrbuf text = {0};
	if (name != NULL)
		strbuf_printf(&text, "database \"%s\"", name);
	else
		strbuf_add(&text, "the database");
	if (service != NULL)
		strbuf_printf(&text, " of service \"%s\"", service);
	if (host != NULL)
		strbuf_printf(&text, " at %s%s%s", host, port != NULL ? ":" : "", port != NULL ? port : "");
	text_one_line(out, size, text.data);
}

/*
 * libpq gives each host the whole connect_timeout. Of a URL with several hosts each gets its share, so that one that is
 * silent does not keep us from the next; below 2 s libpq does not go.
 */
static int timeout_per_host_s(const PQconninfoOption *options, int timeout_s) {
	const char *hosts = postgres_url_option(options, "host");
	int count = 1;
	for (const char *p = hosts; p != NULL && *p != '\0'; p++)
		count += *p == ',';
	return timeout_s / count > 2 ? timeout_s / count : 2;
}

static struct attempt *attempt_new(struct engine_connecting *connecting, const char *url, const char *application_name,
                                   int timeout_s) {
	struct attempt *attempt = mem_alloc(sizeof *attempt);
	pthread_mutex_init(&attempt->mutex, NULL);
	attempt->references = 1;
	attempt->loop = connecting->loop;
	attempt->async = &connecting->async;
	attempt->url = mem_dup(url);
	attempt->application_name = mem_dup(application_name);
	snprintf(attempt->timeout, sizeof attempt->timeout, "%d", timeout_s);
	return attempt;
}

struct engine_connecting *postgres_connect(struct ev_loop *loop, const char *url, const struct engine_connect_options *options,
                                           engine_connected_fn *fn, void *context) {
	struct engine_connecting *connecting = mem_alloc(sizeof *connecting);
	connecting->loop = loop;
	connecting->fn = fn;
	connecting->context = context;
	ev_async_init(&connecting->async, thread_done);
	connecting->async.data = connecting;
	ev_async_start(loop, &connecting->async);

	double wait_s = 0; /* errors of the start are told from the loop, like all others */
	PQconninfoOption *parsed = postgres_parse_url(url, &connecting->err);
	if (parsed != NULL) {
		describe(connecting->place, sizeof connecting->place, parsed);
		connecting->attempt =
			attempt_new(connecting, url, options->application_name, timeout_per_host_s(parsed, options->timeout_s));
		PQconninfoFree(parsed);
		if (start_thread(connecting->attempt)) {
			wait_s = options->timeout_s;
			error_set(&connecting->err, ERROR_TRY_AGAIN, "cannot connect to %s: no answer within %d s", connecting->place,
			          options->timeout_s);
		} else {
			error_set(&connecting->err, ERROR_TRY_AGAIN, "cannot connect to %s: no thread could be started", connecting->place);
		}
	}
	ev_now_update(loop); /* the loop's time may lie behind */
	ev_timer_init(&connecting->timer, give_up, wait_s, 0.);
	connecting->timer.data = connecting;
	ev_timer_start(loop, &connecting->timer);
	return connecting;
}

void postgres_connect_abandon(struct engine_connecting *connecting) {
	if (connecting != NULL)
		PQfinish(connecting_end(connecting));
}
