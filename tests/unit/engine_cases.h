/*
 * engine_cases.h: what holds for each engine alike: connecting beside the loop, losing a connection, closing it, large values.
 * The session of the engine (postgres_session.h, mysql_session.h) includes it, behind the texts that differ.
 */
#ifndef BACKFILLD_ENGINE_CASES_H
#define BACKFILLD_ENGINE_CASES_H

#include "tests/unit/engine_session.h"

/* --- the thread that connects --- */

static inline double longest_gap_of_connecting_to(const char *target) {
	struct beat b = {0};
	struct session s = {0};
	start_beat(&b);
	begin_connect(&s, target, 2);
	assert_true(wait_until(&s.connected, NULL, 0, 4));
	ev_timer_stop(loop, &b.timer);
	assert_null(s.conn);
	assert_int_equal(s.err.code, ERROR_TRY_AGAIN);
	return b.longest;
}

static inline void connecting_never_holds_the_loop(void **state) {
	(void)state;
	int port;
	int hole = open_port(&port);
	autofree char *target = mem_printf("%s://u@127.0.0.1:%d/x", texts.scheme, port);
	/* Blocking would be 2 s every time; a busy machine alone may keep us from running for a moment, so the best of three. */
	double best = 1e9;
	for (int i = 0; i < 3 && best > 0.05; i++) {
		double gap = longest_gap_of_connecting_to(target);
		best = gap < best ? gap : best;
	}
	close(hole);
	assert_true(best <= 0.05);
}

/* Before, while and after the thread hands over. */
static inline void abandon_at(const char *target, int ms) {
	struct session s = {0};
	begin_connect(&s, target, 5);
	usleep((useconds_t)ms * 1000);
	if (ms % 2 == 0)
		run_loop(0.001);
	if (s.connecting != NULL)
		engine->connect_abandon(s.connecting);
	engine_close(s.conn);
}

static inline void abandoned_threads_clean_up(void **state) {
	(void)state;
	int port;
	int hole = open_port(&port);
	struct session s = {0};
	autofree char *target = mem_printf("%s://u@127.0.0.1:%d/x", texts.scheme, port);
	begin_connect(&s, target, 2);
	usleep(100000);
	assert_in_range(count_connect_threads(), 1, 10);
	engine->connect_abandon(s.connecting);
	/* With TLS libmariadb reads all of the system's certificates each time, and lets nobody else do so meanwhile. */
	autofree char *plain = session_url(texts.without_tls), *over_tls = session_url(texts.with_tls);
	for (int i = 0; i < 30; i++)
		abandon_at(i % 6 == 0 ? over_tls : plain, i);
	run_loop(0.2);
	assert_false(s.connected);
	assert_connect_threads_end(); /* what they held, the leak checker counts */
	close(hole);
	/* A session whose statement was given up ends only when the statement does: those sleep from other tests. */
	autofree char *left = NULL;
	for (int i = 0; i < 50 && (left == NULL || strcmp(left, "0") != 0); i++) {
		free(left);
		usleep(50000);
		left = ask(texts.count_sessions);
	}
	assert_string_equal(left, "0");
}

/* --- what callers do --- */

static inline void callbacks_may_execute_and_close(void **state) {
	(void)state;
	struct session s = {.execute_inside = 3};
	open_session(&s);
	execute(&s, "select 'outside'");
	assert_true(wait_until(NULL, &s.answers, 4, 5));
	assert_done(&s, "inside");
	s.close_inside = true;
	execute(&s, "select 'kept'");
	assert_done(&s, "kept");
	assert_null(s.conn);
	end(&s);

	open_session(&s);
	s.close_inside = true;
	execute_params(&s, texts.sleep_given, (const char *const[]){"30"}, 1, 50);
	assert_int_equal(s.result.outcome, ENGINE_LOST);
	assert_null(s.conn);
	end(&s);

	open_session(&s); /* closing while a statement runs: no callback */
	engine_execute(s.conn, "select 1", NULL, 0, 5000, on_result, &s);
	engine_close(s.conn);
	s.conn = NULL;
	run_loop(0.1);
	assert_int_equal(s.answers, 0);
	end(&s);
}

static inline char *large_value(size_t size) {
	char *big = mem_alloc(size + 1);
	memset(big, 'y', size);
	return big;
}

enum { LARGE = 20 * 1024 * 1024, LARGER_THAN_SOCKETS_HOLD = 50 * 1024 * 1024 };

static inline void move_large_values(const char *tls) {
	struct session s = {0};
	autofree char *big = large_value(LARGE);
	open_session_over(&s, tls);
	execute(&s, texts.many_rows);
	assert_done(&s, "1");
	assert_int_equal(s.result.nrows, 200000);
	execute_params(&s, texts.value_given, (const char *const[]){big}, 1, 20000);
	assert_done(&s, big);
	end(&s);
}

static inline void large_values_go_both_ways(void **state) {
	(void)state;
	move_large_values(texts.without_tls);
	move_large_values(texts.with_tls);
}

/* More than sockets and buffers hold, both ways at once: who only flushes, or only reads, waits for ever. */
static inline void fly_large_values(const char *tls) {
	struct session s = {0};
	autofree char *big = large_value(LARGE);
	open_session_over(&s, tls);
	const struct engine_statement flight[] = {with(texts.value_given, (const char *const[]){big}), once(texts.many_rows),
	                                          with(texts.value_given, (const char *const[]){big})};
	fly(&s, flight, 3, "done:yyyyyyyyyy done:1 done:yyyyyyyyyy");
	end(&s);
}

static inline void large_values_fly_both_ways(void **state) {
	(void)state;
	fly_large_values(texts.without_tls);
	fly_large_values(texts.with_tls);
}

/* --- losing it --- */

static inline void silence_is_lost(void **state) {
	(void)state;
	struct session s = {0};
	open_session(&s);
	double before = ev_time();
	execute_params(&s, texts.sleep, NULL, 0, 200);
	assert_true(ev_time() - before < 5);
	assert_int_equal(s.result.outcome, ENGINE_LOST);
	assert_string_equal(s.message, "no answer within 200 ms");
	execute(&s, "select 1"); /* not closed yet: lost again, not a crash */
	assert_int_equal(s.result.outcome, ENGINE_LOST);
	run_loop(0.05);
	assert_false(s.lost); /* the statements were told already */
	end(&s);
}

static inline void termination_is_noticed(void **state) {
	(void)state;
	struct session s = {0};
	open_session(&s); /* idle */
	terminate(&s);
	assert_true(wait_until(&s.lost, NULL, 0, 5));
	assert_string_equal(s.why_lost, texts.ended_idle);
	end(&s);

	open_session_over(&s, texts.with_tls); /* idle, over TLS, after work */
	execute_params(&s, texts.value_given, (const char *const[]){"x"}, 1, 5000);
	assert_done(&s, "x");
	terminate(&s);
	assert_true(wait_until(&s.lost, NULL, 0, 5));
	end(&s);

	open_session(&s); /* idle, closing itself */
	s.close_inside = true;
	terminate(&s);
	assert_true(wait_until(&s.lost, NULL, 0, 5));
	assert_null(s.conn);
	end(&s);

	open_session(&s); /* executing */
	engine_execute(s.conn, texts.sleep, NULL, 0, 20000, on_result, &s);
	run_loop(0.1);
	terminate(&s);
	assert_true(wait_until(NULL, &s.answers, 1, 5));
	assert_int_equal(s.result.outcome, ENGINE_LOST);
	assert_non_null(strstr(s.message, texts.ended_executing));
	end(&s);

	open_session(&s); /* gone, but the loop has not looked yet */
	terminate(&s);
	usleep(200000);
	execute(&s, "select 1");
	assert_int_equal(s.result.outcome, ENGINE_LOST);
	assert_false(s.lost);
	end(&s);
}

static inline void frozen_server_is_lost(void **state) {
	(void)state;
	struct session s = {0};
	if (!can_freeze())
		return;
	open_session(&s);
	pid_t frozen = freeze(&s);
	execute_params(&s, "select 1", NULL, 0, 200);
	kill(frozen, SIGCONT);
	assert_int_equal(s.result.outcome, ENGINE_LOST);
	end(&s);
}

/* A statement, or its value, that the socket does not take whole must not hold up closing. */
static inline double time_to_close_on_frozen_server(const char *tls, bool with_value) {
	struct session s = {0};
	autofree char *big = large_value(LARGER_THAN_SOCKETS_HOLD);
	open_session_over(&s, tls);
	if (with_value) /* prepared, so that the value itself goes next */
		execute_params(&s, texts.length_given, (const char *const[]){"y"}, 1, 5000);
	int answers = s.answers;
	pid_t frozen = freeze(&s);
	if (with_value)
		engine_execute(s.conn, texts.length_given, (const char *const[]){big}, 1, 5000, on_result, &s);
	else
		engine_execute(s.conn, big, NULL, 0, 5000, on_result, &s);
	run_loop(0.1);
	assert_int_equal(s.answers, answers);
	double before = ev_time();
	engine_close(s.conn);
	double took = ev_time() - before;
	s.conn = NULL;
	kill(frozen, SIGCONT);
	end(&s);
	return took;
}

/* Waiting would be for ever, each time; a busy machine alone may keep us from running for a moment, so the best of three. */
static inline void assert_closes_at_once(const char *tls, bool with_value) {
	double best = 1e9;
	for (int i = 0; i < 3 && best > 0.2; i++) {
		double took = time_to_close_on_frozen_server(tls, with_value);
		best = took < best ? took : best;
	}
	assert_true(best <= 0.2);
}

static inline void closing_never_waits(void **state) {
	(void)state;
	if (!can_freeze())
		return;
	assert_closes_at_once(texts.without_tls, false);
	assert_closes_at_once(texts.with_tls, false);
	assert_closes_at_once(texts.without_tls, true);
	assert_closes_at_once(texts.with_tls, true);
}

/* Whatever was answered before: how far the server came is not known. */
static inline void a_flight_is_lost_as_a_whole(void **state) {
	(void)state;
	const struct engine_statement flight[] = {once("select 1"), with(texts.sleep_given, (const char *const[]){"30"}),
	                                          once("select 2")};
	struct session s = {0};
	open_session(&s);
	begin_flight(&s, flight, 3, 20000);
	run_loop(0.2);
	terminate(&s);
	assert_true(wait_until(NULL, &s.answers, 1, 5));
	assert_string_equal(s.flown, "lost:");
	assert_non_null(strstr(s.message, texts.ended_executing));
	end(&s);
	open_session(&s);
	begin_flight(&s, flight, 3, 200);
	assert_true(wait_until(NULL, &s.answers, 1, 5));
	assert_string_equal(s.flown, "lost:");
	assert_string_equal(s.message, "no answer within 200 ms");
	fly(&s, flight, 1, "lost:"); /* not closed yet: lost again, not a crash */
	end(&s);
	open_session(&s); /* closing in flight: no callback */
	begin_flight(&s, flight, 3, 20000);
	engine_close(s.conn);
	s.conn = NULL;
	run_loop(0.1);
	assert_int_equal(s.answers, 0);
	end(&s);
}

#endif
