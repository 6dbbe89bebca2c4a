/* test_engine_mysql_execute.c: what the MySQL engine makes of texts, values, rows, warnings and errors of a real server. */
#include "tests/unit/mysql_session.h"

static struct engine_statement strict(const char *sql) {
	return (struct engine_statement){.sql = sql, .strict = true};
}

static void executes_with_parameters(void **state) {
	(void)state;
	struct session s = {0};
	open_session(&s);
	execute_params(&s, "select concat($1, '/', coalesce($2, 'null'))", (const char *const[]){"a'b", NULL}, 2, 5000);
	assert_done(&s, "a'b/null");
	assert_int_equal(s.result.nrows, 1);
	assert_int_equal(s.result.ncolumns, 1);
	assert_int_equal(s.result.affected, 1);
	execute_params(&s, "select cast($1 as signed)", (const char *const[]){NULL}, 1, 5000);
	assert_done(&s, NULL);
	assert_null(s.value);
	execute_params(&s, "select concat($2, $1, $2)", (const char *const[]){"\xf0\x9f\x98\x80", "\\'"}, 2, 5000);
	assert_done(&s, "\\'\xf0\x9f\x98\x80\\'");
	execute_params(&s, "select id from t where id > $1 order by id limit $2 offset $3", (const char *const[]){"2", "1", "3"}, 3,
	               5000);
	assert_done(&s, "6");
	execute_params(&s, "select id from t where id > $1", (const char *const[]){"100"}, 1, 5000);
	assert_done(&s, NULL);
	assert_int_equal(s.result.nrows, 0);
	assert_int_equal(s.result.ncolumns, 1);
	assert_int_equal(s.result.affected, 0);
	execute_params(&s, "select $1", NULL, 0, 5000);
	assert_int_equal(s.result.outcome, ENGINE_REFUSED);
	assert_int_equal(s.result.error, ENGINE_ERROR_SCHEMA);
	assert_string_equal(s.result.sqlstate, "42000");
	end(&s);
}

/* Matched rows, not changed ones. */
static void rows_are_counted_as_matched(void **state) {
	(void)state;
	struct session s = {0};
	open_session(&s);
	execute(&s, "update t set n = n where id <= 7");
	assert_done(&s, NULL);
	assert_int_equal(s.result.affected, 7);
	execute_params(&s, "update t set n = n where id <= $1", (const char *const[]){"4"}, 1, 5000);
	assert_int_equal(s.result.affected, 4);
	execute_params(&s, "update t set n = n where id > $1", (const char *const[]){"400"}, 1, 5000);
	assert_int_equal(s.result.affected, 0);
	execute(&s, "select id from t");
	assert_int_equal(s.result.affected, 10);
	end(&s);
}

static void several_statements_give_the_last_rows_and_the_last_count(void **state) {
	(void)state;
	struct session s = {0};
	open_session(&s);
	execute(&s, "");
	assert_done(&s, NULL);
	assert_int_equal(s.result.ncolumns, 0);
	execute(&s, "begin; select 1; update t set n = n where id < 4; commit;");
	assert_done(&s, "1");
	assert_int_equal(s.result.affected, 0); /* the COMMIT's */
	execute(&s, "select 1; select 'last' from t");
	assert_done(&s, "last");
	assert_int_equal(s.result.nrows, 10);
	execute_params(&s, "update t set n = n where id <= $2; select n from t where id = $1 /* ; */; -- that's all",
	               (const char *const[]){"3", "5"}, 2, 5000);
	assert_done(&s, "3");
	assert_int_equal(s.result.affected, 1);
	execute_params(&s, "select n from t where id = $1; update t set n = n where id <= $2", (const char *const[]){"3", "5"}, 2,
	               5000);
	assert_done(&s, "3");
	assert_int_equal(s.result.nrows, 1);
	assert_int_equal(s.result.affected, 5);
	execute(&s, "select 1; insert into t values (1, 1); insert into t values (99, 99)");
	assert_int_equal(s.result.outcome, ENGINE_REFUSED);
	assert_int_equal(s.result.nrows, 0);
	execute(&s, "select count(*) from t");
	assert_done(&s, "10");
	end(&s);
}

/* --- values --- */

static const char *const typed[][2] = {
	{"tinyint", "-128"},
	{"smallint unsigned", "65535"},
	{"mediumint", "-8388608"},
	{"int(8) zerofill", "42"},
	{"bigint unsigned", "18446744073709551615"},
	{"bigint", "-9223372036854775808"},
	{"decimal(65, 30)", "-12345678901234567890123456789012345.123456789012345678901234567890"},
	{"decimal(10, 2) zerofill", "1.5"},
	{"float", "0.1"},
	{"float", "1.17549e-38"},
	{"double", "0.1"},
	{"double", "-2.2250738585072014e-308"},
	{"double", "123456789012345680"},
	{"double(10, 3)", "1.5"},
	{"date", "'2024-02-29'"},
	{"datetime", "'1000-01-01 00:00:00'"},
	{"datetime(6)", "'9999-12-31 23:59:59.999999'"},
	{"datetime(6)", "'2024-01-01 00:00:00'"},
	{"datetime(3)", "'2024-01-01 00:00:00.01'"},
	{"timestamp(6) null", "'2024-01-01 10:00:00.000001'"},
	{"time", "'-838:59:59'"},
	{"time(6)", "'-00:00:00.000001'"},
	{"time(2)", "'00:00:00'"},
	{"year", "2024"},
	{"char(10)", "'a  '"},
	{"varchar(10)", "'a  '"},
	{"varchar(10)", "''"},
	{"varchar(700)", "repeat('\xc3\xa4', 600)"},
	{"binary(6)", "'ab'"},
	{"varbinary(10)", "x'61ff62'"},
	{"bit(3)", "b'101'"},
	{"enum('x', 'y')", "'y'"},
	{"set('x', 'y', 'z')", "'x,z'"},
	{"mediumtext", "repeat('x', 100000)"},
	{"blob", "repeat('x', 513)"},
	{"blob", "repeat('x', 512)"},
	{"blob", "repeat('x', 511)"},
	{"json", "'{\"a\": [1, 2.5]}'"},
	{"point", "point(1, 2)"},
};
enum { NTYPED = sizeof typed / sizeof *typed };

static void make_typed(struct session *s) {
	execute(s, "drop table if exists typed");
	autofree char *columns = mem_dup("id int primary key"), *values = mem_dup("1"), *nulls = mem_dup("2");
	for (size_t i = 0; i < NTYPED; i++) {
		char *more[] = {mem_printf("%s, c%zu %s", columns, i, typed[i][0]), mem_printf("%s, %s", values, typed[i][1]),
		                mem_printf("%s, null", nulls)};
		free(columns), free(values), free(nulls);
		columns = more[0], values = more[1], nulls = more[2];
	}
	autofree char *sql = mem_printf("create table typed (%s); insert into typed values (%s), (%s)", columns, values, nulls);
	execute(s, sql);
	assert_done(s, NULL);
}

/* A prepared statement sends numbers and times in binary: the library makes text of them. It is the text that the server makes.
 */
static void values_are_the_server_s_text(void **state) {
	(void)state;
	struct session s = {0};
	open_session(&s);
	make_typed(&s);
	for (size_t i = 0; i < NTYPED; i++) {
		autofree char *plain = mem_printf("select c%zu from typed where id = 1", i);
		execute(&s, plain);
		assert_done(&s, NULL);
		assert_non_null(s.value);
		autofree char *text = mem_dup(s.value);
		autofree char *prepared = mem_printf("select c%zu from typed where id = $1", i);
		execute_params(&s, prepared, (const char *const[]){"1"}, 1, 5000);
		assert_done(&s, NULL);
		if (s.value == NULL || strcmp(s.value, text) != 0)
			fail_msg("%s %s: \"%s\" and \"%s\"", typed[i][0], typed[i][1], text, s.value);
		execute_params(&s, prepared, (const char *const[]){"2"}, 1, 5000);
		assert_done(&s, NULL);
		assert_null(s.value);
	}
	execute(&s, "select c4 from typed where id = 1");
	assert_done(&s, "18446744073709551615");
	execute_params(&s, "select hex(cast($1 as char character set binary))", (const char *const[]){"\xc3\xa4"}, 1, 5000);
	assert_done(&s, "C3A4");
	execute(&s, "drop table typed");
	end(&s);
}

struct rows_seen {
	int answers;
	char text[200];
};

static void on_rows(void *context, const struct engine_result *result) {
	struct rows_seen *seen = context;
	seen->answers++;
	for (int row = 0; row < result->nrows; row++)
		for (int column = 0; column < result->ncolumns; column++) {
			const char *value = engine_value(result, row, column);
			size_t length = strlen(seen->text);
			snprintf(seen->text + length, sizeof seen->text - length, "%s;", value != NULL ? value : "NULL");
		}
	assert_null(engine_value(result, result->nrows, 0));
	assert_null(engine_value(result, 0, result->ncolumns));
}

static void rows_and_columns_are_where_they_belong(void **state) {
	(void)state;
	static const char *const forms[] = {
		"select 1, null, 'a' union all select 2, '', null union all select null, 'c', repeat('x', 0)",
		"select 1, null, 'a' union all select 2, '', null union all select null, 'c', repeat('x', $1)",
	};
	struct session s = {0};
	open_session(&s);
	for (size_t i = 0; i < 2; i++) {
		struct rows_seen seen = {0};
		engine_execute(s.conn, forms[i], (const char *const[]){"0"}, i, 5000, on_rows, &seen);
		assert_true(wait_until(NULL, &seen.answers, 1, 5));
		assert_string_equal(seen.text, "1;NULL;a;2;;NULL;NULL;c;;");
	}
	end(&s);
}

/* However many are here already: between the turns, others have theirs. */
static void rows_come_in_turns(void **state) {
	(void)state;
	static const char *const forms[] = {
		"with recursive r (i) as (select 1 union all select i + 1 from r where i < 100) select a.i, '' from r a, r b",
		"with recursive r (i) as (select 1 union all select i + 1 from r where i < 100) select a.i, $1 from r a, r b",
	};
	for (size_t i = 0; i < 4; i++) {
		struct session s = {0};
		open_session_over(&s, i < 2 ? "disabled" : "required");
		execute_params(&s, forms[i % 2], (const char *const[]){""}, i % 2, 5000); /* prepared from now on */
		engine_execute(s.conn, forms[i % 2], (const char *const[]){""}, i % 2, 20000, on_result, &s);
		usleep(300000);
		int turns = 0;
		for (; s.answers == 1; turns++)
			ev_run(loop, EVRUN_ONCE);
		assert_done(&s, NULL);
		assert_int_equal(s.result.nrows, 10000);
		assert_in_range(turns, 15, 1000);
		end(&s);
	}
}

static void many_rows_never_hold_the_loop(void **state) {
	(void)state;
	static const char *const modes[] = {"disabled", "required"};
	for (size_t i = 0; i < 2; i++) {
		struct session s = {0};
		struct beat b = {0};
		open_session_over(&s, modes[i]);
		start_beat(&b);
		execute_params(&s,
		               "with recursive r (i) as (select 1 union all select i + 1 from r where i < 1000)"
		               " select a.i, repeat('x', $1) from r a, r b where b.i <= 300",
		               (const char *const[]){"50"}, 1, 20000);
		ev_timer_stop(loop, &b.timer);
		assert_done(&s, NULL);
		assert_int_equal(s.result.nrows, 300000);
		end(&s);
		assert_true(b.longest_cpu <= 0.05);
	}
}

/* --- warnings --- */

static void warnings_are_errors_where_asked_for(void **state) {
	(void)state;
	struct session s = {0};
	open_session(&s);
	execute(&s, "set sql_mode = ''; create temporary table w (a tinyint, b varchar(3))");
	assert_done(&s, NULL);
	execute(&s, "insert into w values (300, 'x')");
	assert_done(&s, NULL);
	fly(&s, (const struct engine_statement[]){strict("insert into w values (1, 'x')")}, 1, "done:");
	fly(&s, (const struct engine_statement[]){strict("insert into w values (300, 'x')"), once("select 2")}, 2, "refused:01000");
	assert_string_equal(s.message, "Out of range value for column 'a' at row 1 (1264)");
	struct engine_statement long_text = with("insert into w values (1, $1)", (const char *const[]){"long"});
	long_text.strict = true;
	fly(&s, (const struct engine_statement[]){once("begin"), long_text, once("select 2")}, 3, "done: refused:01000");
	assert_string_equal(s.message, "Data truncated for column 'b' at row 1 (1265)");
	/* Of a SELECT, which has its warnings behind its rows; and in the middle of a text. */
	fly(&s, (const struct engine_statement[]){strict("select 1 + '1x'")}, 1, "refused:01000");
	struct engine_statement select = with("select 1 + $1", (const char *const[]){"1x"});
	select.strict = true;
	fly(&s, (const struct engine_statement[]){select}, 1, "refused:01000");
	fly(&s, (const struct engine_statement[]){strict("select 1 + '1x'; select 2")}, 1, "refused:01000");
	fly(&s, (const struct engine_statement[]){strict("select 1; select 2")}, 1, "done:2");
	/* A note is none. */
	fly(&s, (const struct engine_statement[]){strict("drop table if exists no_such_table")}, 1, "done:");
	execute(&s, "rollback");
	fly(&s, (const struct engine_statement[]){strict("insert into w values (1, 'x')")}, 1, "done:");
	end(&s);
}

static void the_class_of_a_warning_is_data(void **state) {
	(void)state;
	struct session s = {0};
	open_session(&s);
	execute(&s, "set sql_mode = '', max_error_count = 2; create temporary table w (a tinyint)");
	assert_done(&s, NULL);
	fly(&s, (const struct engine_statement[]){strict("insert into w select 300 from t")}, 1, "refused:01000");
	assert_int_equal(s.result.error, ENGINE_ERROR_DATA);
	execute(&s, "set max_error_count = 0"); /* the server counts them, but keeps none */
	fly(&s, (const struct engine_statement[]){strict("insert into w select 300 from t")}, 1, "refused:01000");
	assert_string_equal(s.message, "there were more warnings than the server keeps (1105)");
	end(&s);
}

/* --- errors --- */

static void real_errors_have_their_class(void **state) {
	(void)state;
	struct session s = {0}, other = {0}, limited = {0};
	open_session(&s);
	open_session(&other);
	connect_to(&limited, url("limited@", "backfilld_test"));
	execute(&other, "begin; update t set n = n where id = 1");
	assert_done(&other, NULL);
	assert_refused(&s, "set innodb_lock_wait_timeout = 1; update t set n = n where id = 1", ENGINE_ERROR_CONTENTION, "HY000");
	assert_string_equal(s.message, "Lock wait timeout exceeded; try restarting transaction (1205)");
	assert_refused(&s, "begin; select * from t where id = 1 for update nowait", ENGINE_ERROR_CONTENTION, "HY000");
	execute(&s, "rollback");
	execute(&other, "rollback");
	assert_refused(&s, "insert into t values (1, 1)", ENGINE_ERROR_DUPLICATE, "23000");
	assert_non_null(strstr(s.message, "Duplicate entry '1' for key"));
	assert_non_null(strstr(s.message, "(1062)"));
	assert_refused(&s, "update t set n = 1000", ENGINE_ERROR_DATA, sql_server.mariadb ? "23000" : "HY000");
	assert_refused(&s, "insert into t values (null, 1)", ENGINE_ERROR_DATA, "23000");
	assert_refused(&s, "insert into t values (99, 'x')", ENGINE_ERROR_DATA, sql_server.mariadb ? "22007" : "HY000");
	assert_refused(&s, "insert into t values (99999999999, 1)", ENGINE_ERROR_DATA, "22003");
	assert_refused(&s, "signal sqlstate '45000' set message_text = 'no'", ENGINE_ERROR_DATA, "45000");
	assert_string_equal(s.message, "no (1644)");
	assert_refused(&s, "select (select id from t)", ENGINE_ERROR_AMBIGUOUS, "21000");
	assert_refused(&s, "select * from missing", ENGINE_ERROR_SCHEMA, "42S02");
	assert_refused(&s, "select missing from t", ENGINE_ERROR_SCHEMA, "42S22");
	assert_refused(&s, "select * from missing.x", ENGINE_ERROR_SCHEMA, sql_server.mariadb ? "42S02" : "42000");
	assert_refused(&s, "selec", ENGINE_ERROR_SCHEMA, "42000");
	assert_refused(&s, "set nonsense = 1", ENGINE_ERROR_SCHEMA, "HY000");
	assert_refused(&s, "start transaction read only; update t set n = 1", ENGINE_ERROR_READ_ONLY, "25006");
	execute(&s, "rollback");
	assert_refused(&limited, "select n from t", ENGINE_ERROR_PRIVILEGE, "42000");
	assert_refused(&limited, "update t set n = 1", ENGINE_ERROR_PRIVILEGE, "42000");
	assert_refused(&limited, "set global read_only = 1", ENGINE_ERROR_PRIVILEGE, "42000");
	end(&s);
	end(&other);
	end(&limited);
}

static void a_read_only_server_is_recognised(void **state) {
	(void)state;
	if (sql_server.borrowed)
		return; /* others write there */
	struct session limited = {0};
	free(ask("grant update on backfilld_test.* to locked@'%'"));
	free(ask("set global read_only = 1"));
	connect_to(&limited, url("locked:right@", "backfilld_test"));
	assert_refused(&limited, "update t set n = 1 where id = 1", ENGINE_ERROR_READ_ONLY, "HY000");
	free(ask("set global read_only = 0"));
	end(&limited);
}

static void a_deadlock_is_contention(void **state) {
	(void)state;
	struct session s = {0}, other = {0};
	open_session(&s);
	open_session(&other);
	execute(&s, "begin; update t set n = n where id = 1");
	execute(&other, "begin; update t set n = n where id in (2, 3, 4)"); /* the heavier one survives */
	engine_execute(other.conn, "update t set n = n where id = 1", NULL, 0, 20000, on_result, &other);
	run_loop(0.2);
	assert_refused(&s, "update t set n = n where id = 2", ENGINE_ERROR_CONTENTION, "40001");
	assert_true(wait_until(NULL, &other.answers, 2, 5));
	assert_done(&other, NULL);
	end(&s);
	end(&other);
}

static void interrupted_statements_are_timeouts(void **state) {
	(void)state;
	static const char slow[] = "select count(*) from information_schema.columns a, information_schema.columns b,"
							   " information_schema.columns c where sleep(0.01) = 0";
	struct session s = {0};
	open_session(&s);
	execute(&s, sql_server.mariadb ? "set max_statement_time = 0.1" : "set max_execution_time = 100");
	assert_refused(&s, slow, ENGINE_ERROR_TIMEOUT, sql_server.mariadb ? "70100" : "HY000");
	execute(&s, sql_server.mariadb ? "set max_statement_time = 0" : "set max_execution_time = 0");
	engine_execute(s.conn, slow, NULL, 0, 20000, on_result, &s);
	run_loop(0.2);
	autofree char *kill_query = mem_printf("kill query %d", (int)engine_backend_pid(s.conn));
	free(ask(kill_query));
	assert_true(wait_until(NULL, &s.answers, 4, 10));
	assert_int_equal(s.result.error, ENGINE_ERROR_TIMEOUT);
	assert_non_null(strstr(s.message, "(1317)"));
	execute(&s, "select 'alive'");
	assert_done(&s, "alive");
	end(&s);
}

/* Between its rows, where the library's prepared statements know of no error. */
static void an_error_between_rows_is_an_error(void **state) {
	(void)state;
	static const char *const forms[] = {
		"select repeat('x', 100000), (select id from t where id <= u.id) from t u order by id",
		"select repeat('x', $1), (select id from t where id <= u.id) from t u order by id",
	};
	struct session s = {0};
	open_session(&s);
	for (size_t i = 0; i < 2; i++) {
		execute_params(&s, forms[i], (const char *const[]){"100000"}, i, 5000);
		assert_int_equal(s.result.outcome, ENGINE_REFUSED);
		assert_string_equal(s.result.sqlstate, "21000");
		assert_int_equal(s.result.nrows, 0);
	}
	execute(&s, "select 'alive'");
	assert_done(&s, "alive");
	end(&s);
}

static void raised_errors_have_their_class(void **state) {
	(void)state;
	static const struct {
		int number;
		const char *sqlstate, *text;
		enum engine_error error;
	} cases[] = {
		{1020, "HY000", "x", ENGINE_ERROR_CONTENTION},
		{1197, "HY000", "x", ENGINE_ERROR_TOO_LARGE},
		{1153, "08S01", "x", ENGINE_ERROR_TOO_LARGE},
		{1206, "HY000", "x", ENGINE_ERROR_TOO_LARGE},
		{3101, "40000", "x", ENGINE_ERROR_CONTENTION},
		{3100, "HY000", "x", ENGINE_ERROR_CONTENTION},
		{1180, "HY000", "Got error 90 during COMMIT", ENGINE_ERROR_TOO_LARGE},
		{1180, "HY000", "Got error 28 \"No space left on device\" during COMMIT", ENGINE_ERROR_DISK_FULL},
		{1030, "HY000", "Got error 28 from storage engine", ENGINE_ERROR_DISK_FULL},
		{1030, "HY000", "Got error 121 from storage engine", ENGINE_ERROR_OTHER},
		{1026, "HY000", "Error writing file (errno: 28 No space left on device)", ENGINE_ERROR_DISK_FULL},
		{3, "HY000", "Error writing file (Errcode: 28 No space left on device)", ENGINE_ERROR_DISK_FULL},
		{1021, "HY000", "x", ENGINE_ERROR_DISK_FULL},
		{1114, "HY000", "x", ENGINE_ERROR_DISK_FULL},
		{3024, "HY000", "x", ENGINE_ERROR_TIMEOUT},
		{1969, "70100", "x", ENGINE_ERROR_TIMEOUT},
		{1290, "HY000", "running with the --read-only option so", ENGINE_ERROR_READ_ONLY},
		{1290, "HY000", "running with the --super-read-only option so", ENGINE_ERROR_READ_ONLY},
		{1290, "HY000", "running with the --secure-file-priv option so", ENGINE_ERROR_OTHER},
		{1036, "HY000", "x", ENGINE_ERROR_READ_ONLY},
		{1015, "HY000", "lock file (errno: 165 - Table is read only)", ENGINE_ERROR_READ_ONLY},
		{1015, "HY000", "lock file (errno: 11 - x)", ENGINE_ERROR_OTHER},
		{1231, "42000", "wrong value: the server is read only", ENGINE_ERROR_READ_ONLY},
		{1231, "42000", "wrong value: x", ENGINE_ERROR_SCHEMA},
		{1836, "HY000", "x", ENGINE_ERROR_READ_ONLY},
		{1044, "42000", "x", ENGINE_ERROR_PRIVILEGE},
		{1227, "42000", "x", ENGINE_ERROR_PRIVILEGE},
		{1040, "08004", "x", ENGINE_ERROR_RESOURCE},
		{1203, "42000", "x", ENGINE_ERROR_RESOURCE},
		{1226, "42000", "x", ENGINE_ERROR_RESOURCE},
		{1053, "08S01", "x", ENGINE_ERROR_RESOURCE},
		{1364, "HY000", "x", ENGINE_ERROR_DATA},
		{1264, "22003", "x", ENGINE_ERROR_DATA},
		{3819, "HY000", "x", ENGINE_ERROR_DATA},
		{1241, "21000", "x", ENGINE_ERROR_SCHEMA},
		{1046, "3D000", "x", ENGINE_ERROR_SCHEMA},
		{1235, "42000", "x", ENGINE_ERROR_SCHEMA},
		{1105, "HY000", "x", ENGINE_ERROR_OTHER},
	};
	struct session s = {0};
	open_session(&s);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		autofree char *sql = mem_printf("signal sqlstate '%s' set mysql_errno = %d, message_text = '%s\ntwo lines'",
		                                cases[i].sqlstate, cases[i].number, cases[i].text);
		assert_refused(&s, sql, cases[i].error, cases[i].sqlstate);
		assert_non_null(strstr(s.message, " two lines ("));
	}
	execute(&s, "signal sqlstate '45000' set message_text = '\xc3\xa4\xc3\xa4'");
	assert_string_equal(s.message, "\xc3\xa4\xc3\xa4 (1644)");
	end(&s);
}

/* --- prepared statements --- */

/* How many statements the session keeps prepared, and how often they were run. */
static void assert_prepared(struct session *s, const char *expected) {
	execute(s,
	        "select concat(count(*), '/', coalesce(sum(count_execute), 0)) from performance_schema.prepared_statements_instances"
	        " join performance_schema.threads on owner_thread_id = thread_id where processlist_id = connection_id()");
	assert_done(s, expected);
}

static void statements_are_prepared_once(void **state) {
	(void)state;
	struct session s = {0};
	open_session(&s);
	for (int i = 0; i < 10; i++) {
		execute_params(&s, "select $1; select 7; select concat($1, 'x')", (const char *const[]){"7"}, 1, 5000);
		assert_done(&s, "7x");
	}
	assert_prepared(&s, "2/20");
	execute_params(&s, "select $1 from missing", (const char *const[]){"7"}, 1, 5000); /* what can't be is not kept */
	execute_params(&s, "select $1 from missing", (const char *const[]){"7"}, 1, 5000);
	assert_int_equal(s.result.error, ENGINE_ERROR_SCHEMA);
	execute_params(&s, "select $1", (const char *const[]){NULL}, 1, 5000); /* the type may change */
	assert_null(s.value);
	assert_prepared(&s, "2/21");
	end(&s);
}

static void only_so_many_are_kept(void **state) {
	(void)state;
	struct session s = {0};
	open_session(&s);
	char sql[40], expected[20];
	for (int round = 0; round < 2; round++)
		for (int i = 0; i < 40; i++) {
			snprintf(sql, sizeof sql, "select %d + $1", i);
			snprintf(expected, sizeof expected, "%d", i);
			execute_params(&s, sql, (const char *const[]){"0"}, 1, 5000);
			assert_done(&s, expected);
			execute_params(&s, "select $1", (const char *const[]){"kept"}, 1, 5000); /* used all the time: never given up */
			assert_done(&s, "kept");
		}
	assert_prepared(&s, "32/111");
	end(&s);
}

/* The server prepares them anew by itself; rows may have other columns then. */
static void prepared_statements_outlive_a_change_of_the_table(void **state) {
	(void)state;
	struct session s = {0};
	open_session(&s);
	execute(&s, "drop table if exists altered; create table altered (a int, b int); insert into altered values (1, 2)");
	assert_done(&s, NULL);
	for (int i = 0; i < 2; i++) {
		execute_params(&s, "select b from altered where a = $1", (const char *const[]){"1"}, 1, 5000);
		assert_done(&s, i == 0 ? "2" : "2.50");
		execute_params(&s, "update altered set b = b where a = $1", (const char *const[]){"1"}, 1, 5000);
		assert_int_equal(s.result.affected, 1);
		free(ask("alter table backfilld_test.altered modify b decimal(5, 2)"));
		free(ask("update backfilld_test.altered set b = 2.5"));
	}
	execute(&s, "drop table altered");
	execute_params(&s, "select b from altered where a = $1", (const char *const[]){"1"}, 1, 5000);
	assert_int_equal(s.result.error, ENGINE_ERROR_SCHEMA);
	end(&s);
}

/* --- what callers do --- */

static void several_results_are_refused(void **state) {
	(void)state;
	struct session s = {0};
	open_session(&s);
	execute(&s, "drop procedure if exists twice");
	free(ask("create procedure backfilld_test.twice(x int) begin select 1; select x; end"));
	execute(&s, "call twice(2)");
	assert_int_equal(s.result.outcome, ENGINE_LOST);
	assert_non_null(strstr(s.message, "several results"));
	end(&s);
	open_session(&s);
	execute_params(&s, "call twice($1)", (const char *const[]){"2"}, 1, 5000);
	assert_int_equal(s.result.outcome, ENGINE_LOST);
	free(ask("drop procedure backfilld_test.twice"));
	end(&s);
}

int main(void) {
	begin_tests();
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(executes_with_parameters),
		cmocka_unit_test(rows_are_counted_as_matched),
		cmocka_unit_test(several_statements_give_the_last_rows_and_the_last_count),
		cmocka_unit_test(values_are_the_server_s_text),
		cmocka_unit_test(rows_and_columns_are_where_they_belong),
		cmocka_unit_test(large_values_go_both_ways),
		cmocka_unit_test(rows_come_in_turns),
		cmocka_unit_test(many_rows_never_hold_the_loop),
		cmocka_unit_test(warnings_are_errors_where_asked_for),
		cmocka_unit_test(the_class_of_a_warning_is_data),
		cmocka_unit_test(real_errors_have_their_class),
		cmocka_unit_test(a_read_only_server_is_recognised),
		cmocka_unit_test(a_deadlock_is_contention),
		cmocka_unit_test(interrupted_statements_are_timeouts),
		cmocka_unit_test(an_error_between_rows_is_an_error),
		cmocka_unit_test(raised_errors_have_their_class),
		cmocka_unit_test(statements_are_prepared_once),
		cmocka_unit_test(only_so_many_are_kept),
		cmocka_unit_test(prepared_statements_outlive_a_change_of_the_table),
		cmocka_unit_test(several_results_are_refused),
		cmocka_unit_test(callbacks_may_execute_and_close),
	};
	int failed = cmocka_run_group_tests(tests, start_server, stop_server);
	ev_loop_destroy(loop);
	mysql_library_end();
	return failed;
}
