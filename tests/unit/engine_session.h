/* engine_session.h: a connection of an engine to a test's own server, and what it was told last. */
#ifndef BACKFILLD_ENGINE_SESSION_H
#define BACKFILLD_ENGINE_SESSION_H

#include "tests/unit/private_server.h"

#include "daemon/engine/engine.h"

#include <dirent.h>
#include <ev.h>
#include <time.h>

/* What the cases of engine_cases.h say to an engine, and hear from it. */
struct engine_texts {
	const char *scheme;                 /* of its URLs */
	const char *without_tls, *with_tls; /* of session_url */
	const char *count_sessions;         /* the tests' that have not ended, but those that sleep */
	const char *sleep, *sleep_given;    /* 30 s, $1 s */
	const char *value_given;            /* of the text $1 */
	const char *length_given;
	const char *many_rows;       /* 200,000, of 100 bytes and more; the first begins with 1 */
	const char *ended_idle;      /* what is said of a session that was ended by its server */
	const char *ended_executing; /* is in what is said */
};

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
		s->result = results[i];
		s->result.rows = NULL;
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

/* The engine under test: set first. */
static const struct engine *engine;

static inline void begin_connect(struct session *s, const char *target, int timeout_s) {
	const struct engine_connect_options options = {.application_name = "backfilld test", .timeout_s = timeout_s};
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

static inline void assert_connect_fails(char *target, enum error_code code, const char *words) {
	struct session s = {0};
	connect_to(&s, target);
	assert_null(s.conn);
	if (s.err.code != code || strstr(s.err.message, words) == NULL)
		fail_msg("code %d, wanted %d and \"%s\": %s", (int)s.err.code, (int)code, words, s.err.message);
	assert_null(strstr(s.err.message, "sesame"));
	assert_null(strstr(s.err.hint, "sesame"));
	assert_null(strchr(s.err.message, '\n'));
}

/* --- how long the loop was held --- */

struct beat {
	ev_timer timer;
	double last, longest;
	double last_cpu, longest_cpu; /* by the processor's time, of which others take none away */
};

static inline double cpu_time(void) {
	struct timespec t;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static inline void beat(struct ev_loop *l, ev_timer *w, int revents) {
	(void)l, (void)revents;
	struct beat *b = w->data;
	double now = ev_time(), now_cpu = cpu_time();
	if (now - b->last > b->longest)
		b->longest = now - b->last;
	if (now_cpu - b->last_cpu > b->longest_cpu)
		b->longest_cpu = now_cpu - b->last_cpu;
	b->last = now;
	b->last_cpu = now_cpu;
}

static inline void start_beat(struct beat *b) {
	b->last = ev_time();
	b->last_cpu = cpu_time();
	ev_timer_init(&b->timer, beat, 0.005, 0.005);
	b->timer.data = b;
	ev_timer_start(loop, &b->timer);
}

/* --- threads that connect --- */

static inline int count_connect_threads(void) {
	DIR *dir = opendir("/proc/self/task");
	assert_non_null(dir);
	int count = 0;
	for (const struct dirent *entry; (entry = readdir(dir)) != NULL;) {
		autofree char *path = mem_printf("/proc/self/task/%s/comm", entry->d_name);
		char name[32] = "";
		FILE *f = fopen(path, "r");
		if (f == NULL) /* "..", or it has just ended */
			continue;
		count += fgets(name, sizeof name, f) != NULL && strcmp(name, "connect\n") == 0;
		fclose(f);
	}
	closedir(dir);
	return count;
}

static inline void assert_connect_threads_end(void) {
	for (int i = 0; count_connect_threads() > 0; i++) {
		assert_true(i < 100);
		usleep(100000);
	}
}

static inline void assert_refused(struct session *s, const char *sql, enum engine_error error, const char *sqlstate) {
	execute(s, sql);
	if (s->result.outcome != ENGINE_REFUSED || s->result.error != error || strcmp(s->result.sqlstate, sqlstate) != 0)
		fail_msg("%s: outcome %d error %d sqlstate %s: %s", sql, (int)s->result.outcome, (int)s->result.error, s->result.sqlstate,
		         s->message);
}

/* --- flights --- */

static inline struct engine_statement once(const char *sql) {
	return (struct engine_statement){.sql = sql};
}

static inline struct engine_statement with(const char *sql, const char *const *value) {
	return (struct engine_statement){.sql = sql, .params = value, .nparams = 1};
}

static inline struct engine_statement repeated(const char *sql) {
	return (struct engine_statement){.sql = sql, .repeated = true};
}

static inline void begin_flight(struct session *s, const struct engine_statement *statements, size_t count, int timeout_ms) {
	int before = s->answers;
	engine_fly(s->conn, statements, count, timeout_ms, on_flown, s);
	assert_int_equal(s->answers, before); /* never before it has returned */
}

static inline void fly(struct session *s, const struct engine_statement *statements, size_t count, const char *expected) {
	int before = s->answers;
	begin_flight(s, statements, count, 20000);
	assert_true(wait_until(NULL, &s->answers, before + 1, 30));
	run_loop(0.01);
	assert_int_equal(s->answers, before + 1);
	assert_string_equal(s->flown, expected);
}

#endif
