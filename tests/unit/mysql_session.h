/* mysql_session.h: a connection of the MySQL engine to a test's own server. */
#ifndef BACKFILLD_TEST_MYSQL_SESSION_H
#define BACKFILLD_TEST_MYSQL_SESSION_H

#include "tests/unit/engine_session.h"
#include "tests/unit/mysql_server.h"

/* ssl_mode: required, or disabled. */
static inline void open_session_over(struct session *s, const char *ssl_mode) {
	autofree char *rest = mem_printf("backfilld_test?ssl_mode=%s", ssl_mode);
	connect_to(s, url("tester@", rest));
	if (s->conn == NULL)
		fail_msg("%s", s->err.message);
}

static inline void open_session(struct session *s) {
	open_session_over(s, "disabled");
}

static inline void terminate(const struct session *s) {
	autofree char *sql = mem_printf("kill %d", (int)engine_backend_pid(s->conn));
	free(ask(sql));
}

static inline void begin_tests(void) {
	signal(SIGPIPE, SIG_IGN);
	setenv("HOME", "/nonexistent", 1); /* no option file of whoever runs this */
	unsetenv("MYSQL_PWD");
	mysql_library_init(0, NULL, NULL);
	loop = ev_loop_new(EVFLAG_AUTO);
	engine = &engine_mysql;
}

#endif
