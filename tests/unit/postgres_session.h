/* postgres_session.h: a connection of the PostgreSQL engine to a test's own server. */
#ifndef BACKFILLD_POSTGRES_SESSION_H
#define BACKFILLD_POSTGRES_SESSION_H

#include "tests/unit/engine_session.h"
#include "tests/unit/postgres_server.h"

static const struct engine_texts texts = {
	.scheme = "postgresql",
	.without_tls = "disable",
	.with_tls = "require",
	.count_sessions = "select count(*) from pg_stat_activity where application_name = 'backfilld test' and query !~ 'pg_sleep'",
	.sleep = "select pg_sleep(30)",
	.sleep_given = "select pg_sleep($1::float8)",
	.value_given = "select $1::text",
	.length_given = "select length($1::text)",
	.many_rows = "select i, repeat('x', 100) from generate_series(1, 200000) i",
	.ended_idle = "terminating connection due to administrator command",
	.ended_executing = "terminating connection due to administrator command",
};

static inline char *session_url(const char *sslmode) {
	autofree char *rest = mem_printf("postgres?sslmode=%s", sslmode);
	return url("postgres@", rest);
}

static inline void open_session_over(struct session *s, const char *sslmode) {
	connect_to(s, session_url(sslmode));
	if (s->conn == NULL)
		fail_msg("%s", s->err.message);
}

static inline void open_session(struct session *s) {
	open_session_over(s, texts.without_tls);
}

static inline void terminate(const struct session *s) {
	autofree char *sql = mem_printf("select pg_terminate_backend(%d, 5000)", (int)engine_backend_pid(s->conn));
	autofree char *done = ask(sql);
	assert_string_equal(done, "t");
}

static inline bool can_freeze(void) {
	return true;
}

/* The session's process, which is returned. */
static inline pid_t freeze(const struct session *s) {
	pid_t backend = (pid_t)engine_backend_pid(s->conn);
	assert_int_equal(kill(backend, SIGSTOP), 0);
	return backend;
}

static inline void begin_tests(void) {
	signal(SIGPIPE, SIG_IGN);
	setenv("HOME", "/nonexistent", 1); /* no certificates, password or service files of whoever runs this */
	setenv("PGPASSFILE", "/nonexistent", 1);
	setenv("PGSSLMODE", "disable", 1); /* unless the test says otherwise */
	loop = ev_loop_new(EVFLAG_AUTO);
	engine = &engine_postgres;
}

#include "tests/unit/engine_cases.h"

#endif
