/* test_engine_flight.c: several statements in one flight, against a real server. */
#include "tests/unit/postgres_session.h"

static void flights_answer_for_each_statement(void **state) {
	(void)state;
	struct session s = {0};
	open_session(&s);
	fly(&s, (const struct engine_statement[]){once("select 7")}, 1, "done:7");
	const struct engine_statement three[] = {once("begin"), with("select $1::text", (const char *const[]){"x"}),
	                                         once("select 3 where false")};
	fly(&s, three, 3, "done: done:x done:");
	execute(&s, "select now() = statement_timestamp()"); /* still in that transaction, and libpq as before */
	assert_done(&s, "f");
	fly(&s, (const struct engine_statement[]){once("select 1"), once("commit")}, 2, "done:1 done:");
	s.close_inside = true;
	fly(&s, three, 3, "done: done:x done:");
	assert_null(s.conn);
	end(&s);
}

static void a_flight_ends_with_its_first_error(void **state) {
	(void)state;
	struct session s = {0};
	open_session(&s);
	const struct engine_statement flight[] = {once("begin"), once("create table flown as select 1 as i"),
	                                          with("select 1 / (i - $1::int) from flown", (const char *const[]){"1"}),
	                                          once("insert into flown values (2)"), once("commit")};
	fly(&s, flight, 5, "done: done: refused:22012");
	assert_string_equal(s.message, "division by zero");
	execute(&s, "select 1");
	assert_string_equal(s.result.sqlstate, "25P02"); /* the transaction is still there, aborted */
	execute(&s, "rollback");
	execute(&s, "select to_regclass('flown') is null");
	assert_done(&s, "t");
	/* One statement each: nobody smuggles in a second one. */
	fly(&s, (const struct engine_statement[]){once("select 1; select 2"), once("select 3")}, 2, "refused:42601");
	execute(&s, "select 1");
	assert_done(&s, "1");
	end(&s);
}

/* There each statement is answered by itself: those behind the error must not be done either. */
static void a_flight_within_a_transaction_commits_nothing_behind_an_error(void **state) {
	(void)state;
	struct session s = {0};
	open_session(&s);
	execute(&s, "create table behind (i int)");
	execute(&s, "begin");
	const struct engine_statement flight[] = {once("insert into behind values (1)"), once("select 1 / (select 0)"),
	                                          once("insert into behind values (2)"), once("commit")};
	fly(&s, flight, 4, "done: refused:22012");
	execute(&s, "select count(*) from behind"); /* COMMIT was a ROLLBACK */
	assert_done(&s, "0");
	execute(&s, "begin");
	const struct engine_statement whole[] = {flight[0], flight[2], flight[3]};
	fly(&s, whole, 3, "done: done: done:");
	execute(&s, "select count(*) from behind");
	assert_done(&s, "2");
	end(&s);
}

static void copy_is_refused(void **state) {
	(void)state;
	struct session s = {0};
	open_session(&s);
	fly(&s, (const struct engine_statement[]){once("select 1"), once("copy pg_class to stdout")}, 2, "lost:");
	end(&s);
}

/* How many statements the session keeps parsed, and how often they were run that way. */
static void assert_prepared(struct session *s, const char *expected) {
	execute(s, "select count(*) || '/' || coalesce(sum(generic_plans + custom_plans), 0) from pg_prepared_statements");
	assert_done(s, expected);
}

static void what_is_repeated_is_prepared_once(void **state) {
	(void)state;
	struct session s = {0};
	open_session(&s);
	const struct engine_statement with_value = {
		.sql = "select $1::int + 1", .params = (const char *const[]){"4"}, .nparams = 1, .repeated = true};
	const struct engine_statement flight[] = {once("begin"), repeated("select 7"), with_value, repeated("select 7"),
	                                          once("commit")};
	fly(&s, flight, 5, "done: done:7 done:5 done:7 done:");
	assert_prepared(&s, "2/3");
	fly(&s, flight, 5, "done: done:7 done:5 done:7 done:");
	assert_prepared(&s, "2/6");
	end(&s);
}

/* Of what stands behind an error nothing is prepared, of what stands before it all, though it is rolled back. */
static void an_error_leaves_prepared_what_stood_before_it(void **state) {
	(void)state;
	struct session s = {0};
	open_session(&s);
	const struct engine_statement wrong[] = {once("begin"), repeated("select 7"), repeated("select 1 / 0"), repeated("select 8")};
	fly(&s, wrong, 4, "done: done:7 refused:22012");
	execute(&s, "rollback");
	assert_prepared(&s, "2/1"); /* division by a constant fails as it is planned */
	fly(&s, (const struct engine_statement[]){repeated("select 7"), repeated("select 8"), repeated("nonsense")}, 3,
	    "done:7 done:8 refused:42601");
	assert_prepared(&s, "3/3");
	fly(&s, (const struct engine_statement[]){repeated("nonsense")}, 1, "refused:42601");
	fly(&s, (const struct engine_statement[]){repeated("select 8")}, 1, "done:8");
	assert_prepared(&s, "3/4");
	end(&s);
}

static void only_so_many_are_prepared(void **state) {
	(void)state;
	struct session s = {0};
	char sql[40], expected[20];
	open_session(&s);
	for (int round = 0; round < 2; round++)
		for (int i = 0; i < 20; i++) {
			snprintf(sql, sizeof sql, "select %d", i);
			snprintf(expected, sizeof expected, "done:%d", i);
			fly(&s, (const struct engine_statement[]){repeated(sql)}, 1, expected);
		}
	assert_prepared(&s, "8/16");
	end(&s);
}

/* As a trigger might, or a pooler between two transactions: an error once, and no other one behind it. */
static void what_the_session_forgot_is_not_prepared_again(void **state) {
	(void)state;
	struct session s = {0};
	open_session(&s);
	const struct engine_statement flight[] = {repeated("select 7"), repeated("select 8")};
	fly(&s, flight, 2, "done:7 done:8");
	execute(&s, "deallocate all");
	fly(&s, flight, 2, "refused:26000");
	fly(&s, flight, 2, "done:7 done:8");
	fly(&s, flight, 2, "done:7 done:8");
	assert_prepared(&s, "0/0");
	end(&s);
}

int main(void) {
	begin_tests();
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(flights_answer_for_each_statement),
		cmocka_unit_test(a_flight_ends_with_its_first_error),
		cmocka_unit_test(a_flight_within_a_transaction_commits_nothing_behind_an_error),
		cmocka_unit_test(large_values_fly_both_ways),
		cmocka_unit_test(copy_is_refused),
		cmocka_unit_test(a_flight_is_lost_as_a_whole),
		cmocka_unit_test(what_is_repeated_is_prepared_once),
		cmocka_unit_test(an_error_leaves_prepared_what_stood_before_it),
		cmocka_unit_test(only_so_many_are_prepared),
		cmocka_unit_test(what_the_session_forgot_is_not_prepared_again),
	};
	int failed = cmocka_run_group_tests(tests, start_server, stop_server);
	ev_loop_destroy(loop);
	return failed;
}
