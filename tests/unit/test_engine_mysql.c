/* test_engine_mysql.c: the MySQL engine against a real server of its own, in a temporary folder: connecting and losing it. */
#include "tests/unit/mysql_session.h"

/* --- connecting --- */

static char *socket_url(const char *rest) {
	return mem_printf("mysql://tester@localhost/%s%cunix_socket=%s", rest, strchr(rest, '?') != NULL ? '&' : '?',
	                  sql_server.socket);
}

static void connects_and_says_where(void **state) {
	(void)state;
	struct session s = {0};
	open_session(&s);
	autofree char *peer = mem_printf("127.0.0.1:%d", server.port);
	assert_string_equal(engine_peer(s.conn), peer);
	execute(&s, "select connection_id()");
	assert_int_equal(engine_backend_pid(s.conn), atoi(s.value));
	execute(&s, "select attr_value from performance_schema.session_connect_attrs where attr_name = 'program_name'"
	            " and processlist_id = connection_id()");
	assert_done(&s, "backfilld test");
	execute(&s, "select concat(@@character_set_client, @@character_set_results, @@character_set_connection)");
	assert_done(&s, "utf8mb4utf8mb4utf8mb4");
	execute(&s, "select database()");
	assert_done(&s, "backfilld_test");
	execute(&s, "select length('\xf0\x9f\x98\x80\xc3\xa4')");
	assert_done(&s, "6");
	end(&s);

	connect_to(&s, socket_url(""));
	assert_non_null(s.conn);
	assert_string_equal(engine_peer(s.conn), sql_server.socket);
	execute(&s, "select database() is null");
	assert_done(&s, "1");
	end(&s);

	int dead;
	close(open_port(&dead));
	connect_to(&s, mem_printf("mysql://tester@127.0.0.1:%d,localhost:%d/backfilld_test", dead, server.port));
	assert_non_null(s.conn);
	free(peer);
	peer = mem_printf("localhost:%d", server.port);
	assert_string_equal(engine_peer(s.conn), peer);
	end(&s);
}

static void of_several_hosts_one_that_takes_writes(void **state) {
	(void)state;
	struct session s = {0};
	int dead;
	close(open_port(&dead));
	free(ask("set global read_only = 1"));
	assert_connect_fails(mem_printf("mysql://tester@127.0.0.1:%d,localhost:%d/", dead, server.port), ERROR_TRY_AGAIN,
	                     "localhost: it is read only");
	connect_to(&s, mem_printf("mysql://tester@localhost:%d/", server.port)); /* a replica's url has one host */
	assert_non_null(s.conn);
	end(&s);
	free(ask("set global read_only = 0"));
	connect_to(&s, mem_printf("mariadb://tester@127.0.0.1:%d,localhost:%d/", dead, server.port));
	assert_non_null(s.conn);
	end(&s);
}

static void write_option_file(const char *path, const char *more) {
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	fprintf(f, "[client]\nuser=locked\npassword=right\nport=%d\ndefault-character-set=latin1\nreconnect=1\n[mine]\n%s\n",
	        server.port, more);
	fclose(f);
}

static void option_files_are_read(void **state) {
	(void)state;
	struct session s = {0};
	char path[] = "/tmp/backfilld-test-options-XXXXXX";
	close(mkstemp(path));
	write_option_file(path, "user=tester\npassword=");
	connect_to(&s, mem_printf("mysql://127.0.0.1/?read_default_file=%s", path));
	assert_non_null(s.conn);
	execute(&s, "select substring_index(user(), '@', 1)");
	assert_done(&s, "locked");
	execute(&s, "select concat(@@character_set_client, @@character_set_results)");
	assert_done(&s, "utf8mb4utf8mb4");
	end(&s);
	connect_to(&s, mem_printf("mysql://127.0.0.1/?read_default_file=%s&read_default_group=mine", path));
	assert_non_null(s.conn);
	execute(&s, "select substring_index(user(), '@', 1)");
	assert_done(&s, "tester");
	end(&s);
	unlink(path);
	assert_connect_fails(mem_printf("mysql://u:sesame@127.0.0.1/?read_default_file=%s", path), ERROR_CONFIG, "cannot be read");
}

static void connect_failures_say_why_and_whether_to_try_again(void **state) {
	(void)state;
	int dead;
	close(open_port(&dead));
	assert_connect_fails(mem_printf("mysql://u:sesame@127.0.0.1:%d/orders", dead), ERROR_TRY_AGAIN,
	                     "database \"orders\" at 127.0.0.1");
	assert_connect_fails(mem_printf("mysql://u:sesame@127.0.0.1:%d,127.0.0.1:%d/", dead, dead), ERROR_TRY_AGAIN,
	                     "the server at 127.0.0.1");
	assert_connect_fails(mem_dup("mysql://u:sesame@no.such.host.invalid/orders"), ERROR_TRY_AGAIN, "no.such.host.invalid");
	assert_connect_fails(mem_dup("mysql://u:sesame@localhost/orders?unix_socket=/nonexistent/s"), ERROR_TRY_AGAIN,
	                     "at /nonexistent/s: ");
	assert_connect_fails(url("tester@", "nowhere"), ERROR_CONFIG, "Unknown database 'nowhere' (1049)");
	assert_connect_fails(url("limited@", "mysql"), ERROR_CONFIG, "(1044)");
	assert_connect_fails(url("nobody@", ""), ERROR_CONFIG, "(1045)");
	assert_connect_fails(url("locked:sesame@", ""), ERROR_CONFIG, "(1045)");
	assert_connect_fails(url("locked@", ""), ERROR_CONFIG, "(1045)");
	assert_connect_fails(mem_dup("mysql://u:open@sesame@h/d"), ERROR_CONFIG, "an @");
}

static void too_many_connections_is_no_fault_of_the_configuration(void **state) {
	(void)state;
	if (sql_server.borrowed)
		return; /* others use it */
	struct session s = {0}, extra[12] = {0};
	open_session(&s);
	execute(&s, "set global max_connections = 10"); /* the least it takes */
	for (size_t i = 0; i < 12; i++)
		connect_to(&extra[i], url("tester@", "?ssl_mode=preferred"));
	assert_null(extra[11].conn);
	assert_int_equal(extra[11].err.code, ERROR_TRY_AGAIN);
	assert_non_null(strstr(extra[11].err.message, "Too many connections"));
	execute(&s, "set global max_connections = 151");
	assert_done(&s, NULL);
	for (size_t i = 0; i < 12; i++)
		end(&extra[i]);
	end(&s);
}

/* --- TLS --- */

static void assert_tls(char *target, bool expected) {
	struct session s = {0};
	connect_to(&s, target);
	if (s.conn == NULL)
		fail_msg("%s", s.err.message);
	execute(&s, "select variable_value <> '' from performance_schema.session_status where variable_name = 'Ssl_cipher'");
	assert_done(&s, expected ? "1" : "0");
	end(&s);
}

static void tls_is_as_the_url_says(void **state) {
	(void)state;
	assert_tls(url("tester@", ""), true);
	assert_tls(url("tester@", "?ssl_mode=required"), true);
	assert_tls(url("tester@", "?ssl_mode=disabled"), false);
	assert_tls(socket_url(""), false);
	assert_tls(socket_url("?ssl_mode=required"), true);
	assert_connect_fails(url("tester@", "?ssl_mode=verify_identity"), ERROR_CONFIG, "(2026)");
	assert_connect_fails(url("tester@", "?ssl_mode=required&ssl_ca=/nonexistent"), ERROR_CONFIG, "/nonexistent cannot be read");
}

static void certificates_are_verified(void **state) {
	(void)state;
	if (sql_server.borrowed)
		return; /* its certificate is not ours */
	autofree char *other = mem_printf("%s/other.crt", server.dir), *key = mem_printf("%s/other.key", server.dir);
	make_certificate("localhost", key, other);
	assert_tls(mem_printf("mysql://tester@127.0.0.1:%d/?ssl_mode=verify_ca&ssl_ca=%s", server.port, sql_server.certificate),
	           true);
	assert_tls(mem_printf("mysql://tester@localhost:%d/?ssl_mode=verify_identity&ssl_ca=%s", server.port, sql_server.certificate),
	           true);
	assert_connect_fails(
		mem_printf("mysql://tester@127.0.0.1:%d/?ssl_mode=verify_identity&ssl_ca=%s", server.port, sql_server.certificate),
		ERROR_CONFIG, "(2026)");
	assert_connect_fails(mem_printf("mysql://tester@localhost:%d/?ssl_mode=verify_ca&ssl_ca=%s", server.port, other),
	                     ERROR_CONFIG, "(2026)");
}

static void a_server_without_tls_is_refused_where_it_is_required(void **state) {
	(void)state;
	if (sql_server.borrowed)
		return; /* it can't be started anew */
	end_mariadbd(SIGTERM);
	run_mariadbd(false);
	assert_tls(url("tester@", ""), false);
	assert_connect_fails(url("tester@", "?ssl_mode=required"), ERROR_CONFIG, "has no TLS");
	assert_connect_fails(url("tester@", "?ssl_mode=verify_identity"), ERROR_CONFIG, "(2026)");
	end_mariadbd(SIGTERM);
	run_mariadbd(true);
}

/* MySQL's own way to log in, whose first time sends the password, over TLS or a Unix socket. */
static void caching_sha2_password_logs_in(void **state) {
	(void)state;
	if (sql_server.mariadb)
		return; /* it has it from 12.1 on */
	free(ask("alter user locked@'%' identified with caching_sha2_password by 'right'"));
	assert_tls(url("locked:right@", "?ssl_mode=required"), true);
	assert_tls(url("locked:right@", "?ssl_mode=disabled"), false); /* the server remembers it now */
	free(ask("alter user locked@'%' identified with caching_sha2_password by 'wrong'"));
	assert_connect_fails(url("locked:right@", "?ssl_mode=required"), ERROR_CONFIG, "(1045)");
	free(ask("alter user locked@'%' identified with caching_sha2_password by 'right'"));
	assert_tls(mem_printf("mysql://locked:right@localhost/?unix_socket=%s", sql_server.socket), false);
}

/* --- losing it --- */

/* The same in each call that may wait: preparing, executing, reading rows. */
static void silence_is_lost_in_prepared_statements(void **state) {
	(void)state;
	struct session s = {0};
	for (int i = 0; i < 2; i++) {
		open_session_over(&s, i == 0 ? "disabled" : "required");
		execute_params(&s, "select sleep($1)", (const char *const[]){"30"}, 1, 200);
		assert_int_equal(s.result.outcome, ENGINE_LOST);
		assert_string_equal(s.message, "no answer within 200 ms");
		end(&s);
		open_session_over(&s, i == 0 ? "disabled" : "required");
		execute_params(&s, "select repeat('x', 20000) union all select sleep($1)", (const char *const[]){"30"}, 1, 400);
		assert_int_equal(s.result.outcome, ENGINE_LOST);
		end(&s);
	}
}

static void idle_timeouts_are_noticed(void **state) {
	(void)state;
	static const char *const modes[] = {"disabled", "required"};
	for (size_t i = 0; i < 2; i++) {
		struct session s = {0};
		open_session_over(&s, modes[i]);
		execute(&s, "set session wait_timeout = 1");
		assert_true(wait_until(&s.lost, NULL, 0, 5));
		assert_non_null(strstr(s.why_lost, sql_server.mariadb ? "closed the connection" : "because of inactivity"));
		end(&s);
	}
}

int main(void) {
	begin_tests();
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(connects_and_says_where),
		cmocka_unit_test(of_several_hosts_one_that_takes_writes),
		cmocka_unit_test(option_files_are_read),
		cmocka_unit_test(connect_failures_say_why_and_whether_to_try_again),
		cmocka_unit_test(too_many_connections_is_no_fault_of_the_configuration),
		cmocka_unit_test(tls_is_as_the_url_says),
		cmocka_unit_test(certificates_are_verified),
		cmocka_unit_test(a_server_without_tls_is_refused_where_it_is_required),
		cmocka_unit_test(caching_sha2_password_logs_in),
		cmocka_unit_test(connecting_never_holds_the_loop),
		cmocka_unit_test(silence_is_lost),
		cmocka_unit_test(silence_is_lost_in_prepared_statements),
		cmocka_unit_test(termination_is_noticed),
		cmocka_unit_test(idle_timeouts_are_noticed),
		cmocka_unit_test(frozen_server_is_lost),
		cmocka_unit_test(closing_never_waits),
		cmocka_unit_test(abandoned_threads_clean_up),
	};
	int failed = cmocka_run_group_tests(tests, start_server, stop_server);
	ev_loop_destroy(loop);
	mysql_library_end();
	return failed;
}
