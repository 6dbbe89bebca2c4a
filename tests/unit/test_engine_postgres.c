/* test_engine_postgres.c: the PostgreSQL engine against a real server of its own, in a temporary folder. */
#include "tests/unit/postgres_session.h"

/* --- connecting --- */

static void connects_and_says_where(void **state) {
	(void)state;
	struct session s = {0};
	open_session(&s);
	autofree char *peer = mem_printf("127.0.0.1:%d", server.port);
	assert_string_equal(engine_peer(s.conn), peer);
	execute(&s, "select pg_backend_pid()");
	assert_int_equal(engine_backend_pid(s.conn), atoi(s.value));
	execute(&s, "show application_name");
	assert_done(&s, "backfilld test");
	execute(&s, "show client_encoding");
	assert_done(&s, "UTF8");
	end(&s);

	connect_to(&s, mem_printf("postgresql://postgres@/postgres?host=%s&port=%d&application_name=mine&client_encoding=LATIN1",
	                          server.dir, server.port));
	assert_non_null(s.conn);
	assert_string_equal(engine_peer(s.conn), server.dir);
	execute(&s, "show application_name");
	assert_done(&s, "mine");
	execute(&s, "show client_encoding");
	assert_done(&s, "UTF8");
	end(&s);

	int dead;
	close(open_port(&dead));
	connect_to(&s, mem_printf("postgresql://postgres@127.0.0.1:%d,127.0.0.1:%d/postgres?target_session_attrs=read-write", dead,
	                          server.port));
	assert_non_null(s.conn);
	assert_string_equal(engine_peer(s.conn), peer);
	end(&s);
}

static void tls_is_as_the_url_says(void **state) {
	(void)state;
	for (int i = 0; i < 2; i++) {
		struct session s = {0};
		open_session_over(&s, i == 0 ? texts.without_tls : texts.with_tls);
		execute(&s, "select ssl from pg_stat_ssl where pid = pg_backend_pid()");
		assert_done(&s, i == 0 ? "f" : "t");
		end(&s);
	}
}

static void connect_failures_say_why_and_whether_to_try_again(void **state) {
	(void)state;
	int dead;
	close(open_port(&dead));
	assert_connect_fails(mem_printf("postgresql://u:sesame@127.0.0.1:%d/orders", dead), ERROR_TRY_AGAIN,
	                     "database \"orders\" at 127.0.0.1");
	assert_connect_fails(url("postgres@", "nowhere"), ERROR_CONFIG, "\"nowhere\" does not exist");
	assert_connect_fails(url("nobody@", "postgres"), ERROR_CONFIG, "\"nobody\" does not exist");
	assert_connect_fails(url("locked:sesame@", "postgres"), ERROR_CONFIG, "authentication failed");
	assert_connect_fails(url("locked@", "postgres"), ERROR_CONFIG, "no password supplied");
	assert_connect_fails(url("postgres@", "postgres?target_session_attrs=standby"), ERROR_TRY_AGAIN, "not in hot standby");
	assert_connect_fails(url("postgres@", "?service=missing_one"), ERROR_CONFIG, "missing_one");
}

static void bad_urls_never_show_the_password(void **state) {
	(void)state;
	assert_connect_fails(mem_dup("postgresql://u@h/d?nonsense=1"), ERROR_CONFIG, "invalid URI query parameter");
	assert_connect_fails(mem_dup("postgresql://u:open%sesame@h/d"), ERROR_CONFIG, "percent-encoded");
	assert_connect_fails(mem_dup("postgresql://u:open@sesame@h/d"), ERROR_CONFIG, "an @ or /");
	assert_connect_fails(mem_dup("postgresql://u:open/sesame@h/d"), ERROR_CONFIG, "an @ or /");
	assert_connect_fails(mem_dup("postgresql://u:12/sesame@h/d?user=x@y"), ERROR_CONFIG, "an @ or /");
	assert_connect_fails(mem_dup("postgresql://u:sesame@[::1/d"), ERROR_CONFIG, "cannot be read");
	assert_connect_fails(mem_dup("postgresql://u:sesame@[::1]x/d"), ERROR_CONFIG, "cannot be read");
	assert_connect_fails(mem_dup("postgresql://127.0.0.1:99999/d?user=x@y"), ERROR_CONFIG, "port");
	struct error err;
	assert_ptr_equal(engine_for_url("postgresql://u@h/d", &err), &engine_postgres);
	assert_null(engine_for_url("oracle://u:sesame@h/d", &err));
	assert_non_null(strstr(err.message, "oracle://"));
	assert_non_null(strstr(err.hint, "postgresql://"));
	assert_null(strstr(err.message, "sesame"));
	assert_null(engine_for_url("sesame", &err));
	assert_null(strstr(err.message, "sesame"));
}

/* --- executing --- */

static void executes_with_parameters(void **state) {
	(void)state;
	struct session s = {0};
	open_session(&s);
	execute_params(&s, "select $1::text || '/' || coalesce($2::text, 'null')", (const char *const[]){"a'b", NULL}, 2, 5000);
	assert_done(&s, "a'b/null");
	assert_int_equal(s.result.nrows, 1);
	assert_int_equal(s.result.ncolumns, 1);
	assert_int_equal(s.result.affected, 1);
	execute_params(&s, "select $1::int", (const char *const[]){NULL}, 1, 5000);
	assert_done(&s, NULL);
	assert_null(s.value);
	execute(&s, "update t set n = n where id <= 7");
	assert_done(&s, NULL);
	assert_int_equal(s.result.affected, 7);
	execute(&s, "");
	assert_done(&s, NULL);
	end(&s);
}

static void several_statements_give_the_last_or_the_first_error(void **state) {
	(void)state;
	struct session s = {0};
	open_session(&s);
	execute(&s, "begin; set local lock_timeout = 900; select 1; update t set n = n where id < 4; commit");
	assert_done(&s, NULL);
	execute(&s, "select 1; select 'last' from t");
	assert_done(&s, "last");
	assert_int_equal(s.result.nrows, 10);
	execute(&s, "select 1; select 1/0; select 2");
	assert_int_equal(s.result.outcome, ENGINE_REFUSED);
	assert_string_equal(s.result.sqlstate, "22012");
	execute(&s, "select 'alive'");
	assert_done(&s, "alive");
	end(&s);
}

static void real_errors_have_their_class(void **state) {
	(void)state;
	struct session s = {0}, other = {0}, limited = {0};
	open_session(&s);
	open_session(&other);
	connect_to(&limited, url("limited@", "postgres"));
	execute(&other, "begin; lock table t");
	assert_done(&other, NULL);
	assert_refused(&s, "set lock_timeout = 50; select * from t", ENGINE_ERROR_CONTENTION, "55P03");
	execute(&other, "rollback");
	assert_refused(&s, "set statement_timeout = 50; select pg_sleep(5)", ENGINE_ERROR_TIMEOUT, "57014");
	execute(&s, "reset statement_timeout");
	assert_refused(&s, "insert into t values (1, 1)", ENGINE_ERROR_DATA, "23505");
	assert_string_equal(s.message, "duplicate key value violates unique constraint \"t_pkey\": Key (id)=(1) already exists.");
	assert_refused(&s, "update t set n = 1000", ENGINE_ERROR_DATA, "23514");
	assert_refused(&s, "select 1/0", ENGINE_ERROR_DATA, "22012");
	assert_refused(&s, "do $$ begin raise 'no'; end $$", ENGINE_ERROR_DATA, "P0001");
	assert_refused(&s, "insert into t values (1, 1), (1, 2) on conflict (id) do update set n = excluded.n",
	               ENGINE_ERROR_AMBIGUOUS, "21000");
	assert_refused(&s, "begin read only; update t set n = 1", ENGINE_ERROR_READ_ONLY, "25006");
	assert_refused(&s, "select 1", ENGINE_ERROR_OTHER, "25P02");
	execute(&s, "rollback");
	assert_refused(&s, "select * from missing", ENGINE_ERROR_SCHEMA, "42P01");
	assert_refused(&s, "create table missing.x ()", ENGINE_ERROR_SCHEMA, "3F000");
	assert_refused(&s, "selec", ENGINE_ERROR_SCHEMA, "42601");
	assert_refused(&limited, "select * from t", ENGINE_ERROR_PRIVILEGE, "42501");
	end(&s);
	end(&other);
	end(&limited);
}

static void raised_errors_have_their_class(void **state) {
	(void)state;
	static const struct {
		const char *sqlstate, *text;
		enum engine_error error;
	} cases[] = {
		{"40001", "x", ENGINE_ERROR_CONTENTION},
		{"40P01", "x", ENGINE_ERROR_CONTENTION},
		{"26000", "x", ENGINE_ERROR_CONTENTION},
		{"53100", "x", ENGINE_ERROR_DISK_FULL},
		{"58030", "No space left on device", ENGINE_ERROR_DISK_FULL},
		{"58030", "x", ENGINE_ERROR_OTHER},
		{"53200", "x", ENGINE_ERROR_RESOURCE},
		{"53300", "x", ENGINE_ERROR_RESOURCE},
		{"57P03", "x", ENGINE_ERROR_RESOURCE},
		{"57P01", "x", ENGINE_ERROR_RESOURCE},
		{"0A000", "x", ENGINE_ERROR_SCHEMA},
		{"2BP01", "x", ENGINE_ERROR_SCHEMA},
		{"3D000", "x", ENGINE_ERROR_SCHEMA},
		{"XX000", "x", ENGINE_ERROR_OTHER},
	};
	struct session s = {0};
	open_session(&s);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		autofree char *sql = mem_printf("do $$ begin raise exception '%s' using errcode = '%s', detail = E'two\\nlines'; end $$",
		                                cases[i].text, cases[i].sqlstate);
		assert_refused(&s, sql, cases[i].error, cases[i].sqlstate);
		assert_non_null(strstr(s.message, ": two lines"));
	}
	execute(&s, "do $$ begin raise exception '%', repeat('ä', 2000); end $$");
	assert_int_equal(s.result.outcome, ENGINE_REFUSED);
	assert_in_range(strlen(s.message), 500, 639);
	assert_int_equal(strlen(s.message) % 2, 0); /* no half character */
	end(&s);
}

static void copy_is_refused(void **state) {
	(void)state;
	struct session s = {0};
	open_session(&s);
	execute(&s, "copy t from stdin");
	assert_int_equal(s.result.outcome, ENGINE_LOST);
	assert_string_equal(s.message, "COPY is not supported");
	end(&s);
}

/* --- losing it --- */

static void idle_transactions_are_ended(void **state) {
	(void)state;
	struct session s = {0};
	open_session(&s);
	execute(&s, "begin; set local idle_in_transaction_session_timeout = 50");
	assert_true(wait_until(&s.lost, NULL, 0, 5));
	assert_non_null(strstr(s.why_lost, "idle-in-transaction timeout"));
	end(&s);
}

int main(void) {
	begin_tests();
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(connects_and_says_where),
		cmocka_unit_test(tls_is_as_the_url_says),
		cmocka_unit_test(connect_failures_say_why_and_whether_to_try_again),
		cmocka_unit_test(bad_urls_never_show_the_password),
		cmocka_unit_test(connecting_never_holds_the_loop),
		cmocka_unit_test(executes_with_parameters),
		cmocka_unit_test(several_statements_give_the_last_or_the_first_error),
		cmocka_unit_test(real_errors_have_their_class),
		cmocka_unit_test(raised_errors_have_their_class),
		cmocka_unit_test(large_values_go_both_ways),
		cmocka_unit_test(copy_is_refused),
		cmocka_unit_test(callbacks_may_execute_and_close),
		cmocka_unit_test(silence_is_lost),
		cmocka_unit_test(termination_is_noticed),
		cmocka_unit_test(idle_transactions_are_ended),
		cmocka_unit_test(frozen_server_is_lost),
		cmocka_unit_test(closing_never_waits),
		cmocka_unit_test(abandoned_threads_clean_up),
	};
	int failed = cmocka_run_group_tests(tests, start_server, stop_server);
	ev_loop_destroy(loop);
	return failed;
}
