/* test_engine_flight.c: several statements in one flight, against a real server. */
#include "tests/unit/postgres_session.h"

static void begin_flight(struct session *s, const struct engine_statement *statements, size_t count, int timeout_ms) {
	int before = s->answers;
	engine_fly(s->conn, statements, count, timeout_ms, on_flown, s);
	assert_int_equal(s->answers, before); /* never before it has returned */
}

static void fly(struct session *s, const struct engine_statement *statements, size_t count, const char *expected) {
	int before = s->answers;
	begin_flight(s, statements, count, 20000);
	assert_true(wait_until(NULL, &s->answers, before + 1, 30));
	run_loop(0.01);
	assert_int_equal(s->answers, before + 1);
	assert_string_equal(s->flown, expected);
}

static void flights_answer_for_each_statement(void **state) {
	(void)state;
	struct session s = {0};
	open_session(&s);
	fly(&s, (const struct engine_statement[]){{"select 7", NULL, 0}}, 1, "done:7");
	const struct engine_statement three[] = {
		{"begin", NULL, 0}, {"select $1::text", (const char *const[]){"x"}, 1}, {"select 3 where false", NULL, 0}};
	fly(&s, three, 3, "done: done:x done:");
	execute(&s, "select now() = statement_timestamp()"); /* still in that transaction, and libpq as before */
	assert_done(&s, "f");
	fly(&s, (const struct engine_statement[]){{"commit", NULL, 0}, {"select 1", NULL, 0}}, 2, "done: done:1");
	s.close_inside = true;
	fly(&s, three, 3, "done: done:x done:");
	assert_null(s.conn);
	end(&s);
}

static void a_flight_ends_with_its_first_error(void **state) {
	(void)state;
	struct session s = {0};
	open_session(&s);
	const struct engine_statement flight[] = {{"begin", NULL, 0},
	                                          {"create table flown as select 1 as i", NULL, 0},
	                                          {"select 1 / (i - $1::int) from flown", (const char *const[]){"1"}, 1},
	                                          {"insert into flown values (2)", NULL, 0},
	                                          {"commit", NULL, 0}};
	fly(&s, flight, 5, "done: done: refused:22012");
	assert_string_equal(s.message, "division by zero");
	execute(&s, "select 1");
	assert_string_equal(s.result.sqlstate, "25P02"); /* the transaction is still there, aborted */
	execute(&s, "rollback");
	execute(&s, "select to_regclass('flown') is null");
	assert_done(&s, "t");
	/* One statement each: nobody smuggles in a second one. */
	fly(&s, (const struct engine_statement[]){{"select 1; select 2", NULL, 0}, {"select 3", NULL, 0}}, 2, "refused:42601");
	execute(&s, "select 1");
	assert_done(&s, "1");
	end(&s);
}

/* More than sockets and buffers hold, both ways at once: who only flushes, or only reads, waits for ever. */
static void fly_large_values(const char *sslmode) {
	struct session s = {0};
	open_session_over(&s, sslmode);
	enum { SIZE = 20 * 1024 * 1024 };
	autofree char *big = mem_alloc(SIZE + 1);
	memset(big, 'y', SIZE);
	const struct engine_statement flight[] = {{"select $1::text", (const char *const[]){big}, 1},
	                                          {"select i, repeat('x', 100) from generate_series(1, 200000) i", NULL, 0},
	                                          {"select $1::text", (const char *const[]){big}, 1}};
	fly(&s, flight, 3, "done:yyyyyyyyyy done:1 done:yyyyyyyyyy");
	end(&s);
}

static void large_values_fly_both_ways(void **state) {
	(void)state;
	fly_large_values("disable");
	fly_large_values("require");
}

static void copy_is_refused(void **state) {
	(void)state;
	struct session s = {0};
	open_session(&s);
	fly(&s, (const struct engine_statement[]){{"select 1", NULL, 0}, {"copy pg_class to stdout", NULL, 0}}, 2, "lost:");
	end(&s);
}

/* Whatever was answered before: how far the server came is not known. */
static void a_flight_is_lost_as_a_whole(void **state) {
	(void)state;
	const struct engine_statement flight[] = {{"select 1", NULL, 0}, {"select pg_sleep(30)", NULL, 0}, {"select 2", NULL, 0}};
	struct session s = {0};
	open_session(&s);
	begin_flight(&s, flight, 3, 20000);
	run_loop(0.2);
	terminate(&s);
	assert_true(wait_until(NULL, &s.answers, 1, 5));
	assert_string_equal(s.flown, "lost:");
	assert_string_equal(s.message, "terminating connection due to administrator command");
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

int main(void) {
	begin_tests();
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(flights_answer_for_each_statement), cmocka_unit_test(a_flight_ends_with_its_first_error),
		cmocka_unit_test(large_values_fly_both_ways),        cmocka_unit_test(copy_is_refused),
		cmocka_unit_test(a_flight_is_lost_as_a_whole),
	};
	int failed = cmocka_run_group_tests(tests, start_server, stop_server);
	ev_loop_destroy(loop);
	return failed;
}
