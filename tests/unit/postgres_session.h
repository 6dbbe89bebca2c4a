/* postgres_session.h: a connection of the PostgreSQL engine to a test's own server, and what it was told last. */
#ifndef BACKFILLD_POSTGRES_SESSION_H
#define BACKFILLD_POSTGRES_SESSION_H

#include "tests/unit/postgres_server.h"

#include "daemon/engine/engine.h"

#include <ev.h>

/* --- one connection, seen by a test --- */

static struct ev_loop *loop;

struct session {
	struct engine_connecting *connecting;
	struct engine_conn *conn;
	struct error err; /* of connecting */
	bool connected;   /* or failed to */
	bool lost;
	char why_lost[640];
	/* the last answer */
	int answers;
	struct engine_result result; /* without rows */
	char message[640];
	char *value;     /* row 0, column 0 */
	char flown[200]; /* "done:1 done:2 refused:22012": row 0, column 0, or SQLSTATE, of each */
	/* what the callback does */
	bool close_inside;
	int execute_inside;
};

static inline void on_connected(void *context, struct engine_conn *conn, const struct error *err) {
	struct session *s = context;
	s->connecting = NULL;
	s->connected = true;
	s->conn = conn;
	if (conn == NULL)
		s->err = *err;
}

static inline void on_lost(void *context, const char *message) {
	struct session *s = context;
	s->lost = true;
	snprintf(s->why_lost, sizeof s->why_lost, "%s", message);
	if (s->close_inside) {
		engine_close(s->conn);
		s->conn = NULL;
	}
}

static inline void on_result(void *context, const struct engine_result *result) {
	struct session *s = context;
	s->answers++;
	s->result = *result;
	s->result.rows = NULL;
	if (s->close_inside) {
		engine_close(s->conn);
		s->conn = NULL;
	}
	/* Message and rows must have survived the closing. */
	snprintf(s->message, sizeof s->message, "%s", result->message);
	free(s->value);
	s->value = mem_dup(engine_value(result, 0, 0));
	if (s->execute_inside > 0) {
		s->execute_inside--;
		engine_execute(s->conn, "select 'inside'", NULL, 0, 5000, on_result, s);
	}
}

static inline void on_flown(void *context, const struct engine_result *results, size_t count) {
	static const char *const outcomes[] = {[ENGINE_DONE] = "done", [ENGINE_REFUSED] = "refused", [ENGINE_LOST] = "lost"};
	struct session *s = context;
	s->answers++;
	s->flown[0] = '\0';
	if (s->close_inside) {
		engine_close(s->conn);
		s->conn = NULL;
	}
	for (size_t i = 0; i < count; i++) {
		const char *value = engine_value(&results[i], 0, 0);
		size_t length = strlen(s->flown);
		snprintf(s->flown + length, sizeof s->flown - length, "%s%s:%.10s", i > 0 ? " " : "", outcomes[results[i].outcome],
		         value != NULL ? value : results[i].sqlstate);
		snprintf(s->message, sizeof s->message, "%s", results[i].message);
	}
}

static inline void time_over(struct ev_loop *l, ev_timer *w, int revents) {
	(void)l, (void)revents;
	*(bool *)w->data = true;
}

static inline bool wait_until(const bool *flag, const int *count, int wanted, double seconds) {
	bool over = false;
	ev_timer timer;
	ev_now_update(loop);
	ev_timer_init(&timer, time_over, seconds, 0.);
	timer.data = &over;
	ev_timer_start(loop, &timer);
	while (!over && !(flag != NULL && *flag) && !(count != NULL && *count >= wanted))
		ev_run(loop, EVRUN_ONCE);
	ev_timer_stop(loop, &timer);
	return !over;
}

static inline void run_loop(double seconds) {
	wait_until(NULL, NULL, 0, seconds);
}

static inline void begin_connect(struct session *s, const char *target, int timeout_s) {
	const struct engine_connect_options options = {.application_name = "backfilld test", .timeout_s = timeout_s};
	struct error err;
	const struct engine *engine = engine_for_url(target, &err);
	assert_ptr_equal(engine, &engine_postgres);
	s->connecting = engine->connect(loop, target, &options, on_connected, s);
	assert_false(s->connected); /* never before connect has returned */
}

static inline void connect_to(struct session *s, char *target) {
	begin_connect(s, target, 10);
	free(target);
	assert_true(wait_until(&s->connected, NULL, 0, 15));
	if (s->conn != NULL)
		engine_on_lost(s->conn, on_lost, s);
}

static inline void open_session(struct session *s) {
	connect_to(s, url("postgres@", "postgres"));
	if (s->conn == NULL)
		fail_msg("%s", s->err.message);
}

/* sslmode: require, or disable. */
static inline void open_session_over(struct session *s, const char *sslmode) {
	autofree char *rest = mem_printf("postgres?sslmode=%s", sslmode);
	connect_to(s, url("postgres@", rest));
	if (s->conn == NULL)
		fail_msg("%s", s->err.message);
}

static inline void execute_params(struct session *s, const char *sql, const char *const *params, size_t nparams, int timeout_ms) {
	int before = s->answers;
	engine_execute(s->conn, sql, params, nparams, timeout_ms, on_result, s);
	assert_int_equal(s->answers, before); /* never before execute has returned */
	assert_true(wait_until(NULL, &s->answers, before + 1, timeout_ms / 1000. + 10));
	assert_int_equal(s->answers, before + 1);
}

static inline void execute(struct session *s, const char *sql) {
	execute_params(s, sql, NULL, 0, 20000);
}

static inline void end(struct session *s) {
	engine_close(s->conn);
	free(s->value);
	*s = (struct session){0};
}

static inline void assert_done(const struct session *s, const char *value) {
	if (s->result.outcome != ENGINE_DONE)
		fail_msg("outcome %d: %s", (int)s->result.outcome, s->message);
	if (value != NULL)
		assert_string_equal(s->value, value);
}

static inline void terminate(const struct session *s) {
	autofree char *sql = mem_printf("select pg_terminate_backend(%d, 5000)", (int)engine_backend_pid(s->conn));
	autofree char *done = ask(sql);
	assert_string_equal(done, "t");
}

static inline void begin_tests(void) {
	signal(SIGPIPE, SIG_IGN);
	setenv("HOME", "/nonexistent", 1); /* no certificates, password or service files of whoever runs this */
	setenv("PGPASSFILE", "/nonexistent", 1);
	setenv("PGSSLMODE", "disable", 1); /* unless the test says otherwise */
	loop = ev_loop_new(EVFLAG_AUTO);
}

#endif
