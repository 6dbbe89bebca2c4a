/* postgres_session.h: a connection of the PostgreSQL engine to a test's own server. */
#ifndef BACKFILLD_POSTGRES_SESSION_H
#define BACKFILLD_POSTGRES_SESSION_H

#include "tests/unit/engine_session.h"
#include "tests/unit/postgres_server.h"

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
	engine = &engine_postgres;
}

#endif
