/* mysql_session.h: a connection of the MySQL engine to a test's own server. */
#ifndef BACKFILLD_TEST_MYSQL_SESSION_H
#define BACKFILLD_TEST_MYSQL_SESSION_H

#include "tests/unit/engine_session.h"
#include "tests/unit/mysql_server.h"

static const struct engine_texts texts = {
	.scheme = "mysql",
	.without_tls = "disabled",
	.with_tls = "required",
	.count_sessions = "select count(*) from information_schema.processlist where user = 'tester' and coalesce(info, '') not like "
					  "'%sleep%'",
	.sleep = "select sleep(30)",
	.sleep_given = "select sleep($1)",
	.value_given = "select $1",
	.length_given = "select length($1)",
	.many_rows = "with recursive r (i) as (select 1 union all select i + 1 from r where i < 1000)"
				 " select 1, repeat('x', 100) from r a, r b where b.i <= 200",
	.ended_idle = "the server has closed the connection",
	.ended_executing = "(2013)",
};

static inline char *session_url(const char *ssl_mode) {
	autofree char *rest = mem_printf("backfilld_test?ssl_mode=%s", ssl_mode);
	return url("tester@", rest);
}

static inline void open_session_over(struct session *s, const char *ssl_mode) {
	connect_to(s, session_url(ssl_mode));
	if (s->conn == NULL)
		fail_msg("%s", s->err.message);
}

static inline void open_session(struct session *s) {
	open_session_over(s, texts.without_tls);
}

static inline void terminate(const struct session *s) {
	autofree char *sql = mem_printf("kill %d", (int)engine_backend_pid(s->conn));
	free(ask(sql));
}

/* A server that is not ours is for others, too. */
static inline bool can_freeze(void) {
	return !sql_server.borrowed;
}

/* All sessions of a server stop: it has one process, which is returned. The signal alone leaves its threads some time. */
static inline pid_t freeze(const struct session *s) {
	(void)s;
	int status = 0;
	assert_int_equal(kill(server.pid, SIGSTOP), 0);
	assert_int_equal(waitpid(server.pid, &status, WUNTRACED), server.pid);
	assert_true(WIFSTOPPED(status));
	return server.pid;
}

static inline void begin_tests(void) {
	signal(SIGPIPE, SIG_IGN);
	setenv("HOME", "/nonexistent", 1); /* no option file of whoever runs this */
	unsetenv("MYSQL_PWD");
	mysql_library_init(0, NULL, NULL);
	loop = ev_loop_new(EVFLAG_AUTO);
	engine = &engine_mysql;
}

#include "tests/unit/engine_cases.h"

#endif
