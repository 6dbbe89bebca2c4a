/* test_engine_mysql_flight.c: several texts in one flight, against a real server: one after the other, inside the engine. */
#include "tests/unit/mysql_session.h"

static void flights_answer_for_each_statement(void **state) {
	(void)state;
	struct session s = {0};
	open_session(&s);
	fly(&s, (const struct engine_statement[]){once("select 7")}, 1, "done:7");
	const struct engine_statement several[] = {once("begin"), with("select $1", (const char *const[]){"x"}), once(""),
	                                           once("select 3 from dual where false"), once("select 1; select 4; do 0")};
	fly(&s, several, 5, "done: done:x done: done: done:4");
	execute(&s, "set transaction read only"); /* refused: still in that transaction */
	assert_string_equal(s.result.sqlstate, "25001");
	fly(&s, (const struct engine_statement[]){once("commit"), once("select 1")}, 2, "done: done:1");
	s.close_inside = true;
	fly(&s, several, 5, "done: done:x done: done: done:4");
	assert_null(s.conn);
	end(&s);
}

static void a_flight_ends_with_its_first_error(void **state) {
	(void)state;
	struct session s = {0};
	open_session(&s);
	const struct engine_statement flight[] = {once("begin"), once("insert into t values (20, 20)"),
	                                          with("insert into t values (21, 21), ($1, 1)", (const char *const[]){"1"}),
	                                          once("insert into t values (22, 22)"), once("commit")};
	fly(&s, flight, 5, "done: done: refused:23000");
	assert_int_equal(s.result.error, ENGINE_ERROR_DUPLICATE);
	execute(&s, "select group_concat(id) from t where id >= 20"); /* the statement is undone, the transaction is still there */
	assert_done(&s, "20");
	execute(&s, "rollback; select count(*) from t");
	assert_done(&s, "10");
	/* In the middle of a text, and of a flight. */
	fly(&s, (const struct engine_statement[]){once("select 1; insert into t values (1, 1); select 2"), once("select 3")}, 2,
	    "refused:23000");
	fly(&s, (const struct engine_statement[]){once("select 1"), once("select $1"), once("select 3")}, 3, "done:1 refused:42000");
	assert_string_equal(s.message, "the text names a value that was not given (1064)");
	fly(&s, (const struct engine_statement[]){once("select $1"), once("select 3")}, 2, "refused:42000");
	execute(&s, "select 1");
	assert_done(&s, "1");
	end(&s);
}

/* The deadline is for the flight, not for each of its statements. */
static void the_time_is_for_all(void **state) {
	(void)state;
	const struct engine_statement flight[] = {once("do sleep(0.2)"), once("do sleep(0.2)"), once("do sleep(0.2)"),
	                                          once("do sleep(0.2)")};
	struct session s = {0};
	open_session(&s);
	begin_flight(&s, flight, 4, 500);
	assert_true(wait_until(NULL, &s.answers, 1, 5));
	assert_string_equal(s.flown, "lost:");
	end(&s);
}

#ifdef BACKFILLD_FAILPOINTS
/* The network goes away: what was sent arrives, no answer does, quick as it may be. */
static void what_was_sent_before_a_cut_arrives(void **state) {
	(void)state;
	struct session s = {0};
	for (int i = 0; i < 20; i++) {
		open_session(&s);
		begin_flight(&s, (const struct engine_statement[]){once("insert into t values (30, 30)")}, 1, 20000);
		usleep(i % 2 == 0 ? 0 : 5000);
		engine->cut(s.conn);
		assert_true(wait_until(NULL, &s.answers, 1, 5));
		assert_string_equal(s.flown, "lost:");
		end(&s);
		autofree char *arrived = NULL;
		for (int k = 0; k < 50 && (arrived == NULL || strcmp(arrived, "1") != 0); k++) {
			free(arrived);
			usleep(20000);
			arrived = ask("select count(*) from backfilld_test.t where id = 30");
		}
		assert_string_equal(arrived, "1");
		free(ask("delete from backfilld_test.t where id = 30"));
	}

	open_session(&s); /* idle */
	engine->cut(s.conn);
	assert_true(wait_until(&s.lost, NULL, 0, 5));
	engine->cut(s.conn); /* and once more */
	end(&s);
}
#endif

/* OpenSSL keeps errors for the thread, not for the session: those of one that died must not end another. */
static void tls_sessions_die_alone(void **state) {
	(void)state;
	struct session s = {0}, other = {0};
	open_session_over(&s, "required");
	for (int i = 0; i < 4; i++) {
		open_session_over(&other, "required");
		if (i % 2 == 0)
			execute_params(&other, "select sleep(30)", NULL, 0, 100);
		else
			terminate(&other);
		run_loop(0.1);
		end(&other);
		fly(&s, (const struct engine_statement[]){with("select $1", (const char *const[]){"x"}), once("select 2")}, 2,
		    "done:x done:2");
	}
	end(&s);
}

int main(void) {
	begin_tests();
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(flights_answer_for_each_statement),
		cmocka_unit_test(a_flight_ends_with_its_first_error),
		cmocka_unit_test(large_values_fly_both_ways),
		cmocka_unit_test(a_flight_is_lost_as_a_whole),
		cmocka_unit_test(the_time_is_for_all),
#ifdef BACKFILLD_FAILPOINTS
		cmocka_unit_test(what_was_sent_before_a_cut_arrives),
#endif
		cmocka_unit_test(tls_sessions_die_alone),
	};
	int failed = cmocka_run_group_tests(tests, start_server, stop_server);
	ev_loop_destroy(loop);
	mysql_library_end();
	return failed;
}
