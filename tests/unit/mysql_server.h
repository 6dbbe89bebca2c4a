/*
 * mysql_server.h: a MariaDB server of the test's own. For one test program to include: start_server and stop_server are cmocka's
 * group set-up and tear-down. BACKFILLD_MYSQL_SERVER=SOCKET:PORT takes a server that runs already instead, MySQL 9 perhaps, with
 * its root over the socket; what the tests make there they drop.
 */
#ifndef BACKFILLD_TEST_MYSQL_SERVER_H
#define BACKFILLD_TEST_MYSQL_SERVER_H

#include "tests/unit/private_server.h"

#include <mysql.h>

static struct {
	char socket[100];
	char certificate[100]; /* "" if it isn't ours */
	bool borrowed;
	bool mariadb;
} sql_server;

static char *url(const char *user_at, const char *rest) {
	return mem_printf("mysql://%s127.0.0.1:%d/%s", user_at, server.port, rest);
}

/* Setting up goes over the plain blocking library, so that the engine is not proved by itself. NULL: no server yet. */
static MYSQL *open_plain(void) {
	MYSQL *mysql = mysql_init(NULL);
	if (mysql_real_connect(mysql, NULL, "root", NULL, NULL, 0, sql_server.socket, 0) != NULL)
		return mysql;
	mysql_close(mysql);
	return NULL;
}

static char *ask(const char *sql) {
	MYSQL *mysql = open_plain();
	assert_non_null(mysql);
	if (mysql_query(mysql, sql) != 0)
		fail_msg("%s: %s", sql, mysql_error(mysql));
	MYSQL_RES *result = mysql_store_result(mysql);
	MYSQL_ROW row = result != NULL ? mysql_fetch_row(result) : NULL;
	char *value = row != NULL ? mem_dup(row[0]) : NULL;
	mysql_free_result(result);
	mysql_close(mysql);
	return value;
}

static void borrow_server(const char *place) {
	const char *colon = strrchr(place, ':');
	assert_true(colon != NULL && strlen(place) < sizeof sql_server.socket);
	memcpy(sql_server.socket, place, (size_t)(colon - place));
	server.port = atoi(colon + 1);
	sql_server.borrowed = true;
}

/* On the folder that start_mariadb has made. */
static void run_mariadbd(bool with_tls) {
	autofree char *data = mem_printf("--datadir=%s/data", server.dir),
				  *socket_option = mem_printf("--socket=%s", sql_server.socket);
	autofree char *port = mem_printf("--port=%d", server.port), *log = mem_printf("--log-error=%s/log", server.dir);
	autofree char *pid = mem_printf("--pid-file=%s/pid", server.dir), *key = mem_printf("--ssl-key=%s/server.key", server.dir);
	autofree char *certificate = mem_printf("--ssl-cert=%s", sql_server.certificate);
	server.pid = spawn((const char *const[]){
		"mariadbd", "--no-defaults", data, socket_option, port, pid, log, "--bind-address=127.0.0.1", "--skip-name-resolve",
		"--max-allowed-packet=64M", "--innodb-buffer-pool-size=16M", "--innodb-log-file-size=8M",
		"--innodb-flush-log-at-trx-commit=0", "--performance-schema=ON", "--performance-schema-instrument=%=ON",
		"--performance-schema-consumer-events-statements-current=ON", with_tls ? key : NULL, certificate, NULL});
	MYSQL *mysql = NULL;
	for (int i = 0; (mysql = open_plain()) == NULL; i++) {
		assert_true(i < 300);
		usleep(100000);
	}
	mysql_close(mysql);
}

static inline void end_mariadbd(int how) {
	kill(server.pid, how);
	waitpid(server.pid, NULL, 0);
	server.pid = 0;
}

static void start_mariadb(void) {
	make_dir();
	snprintf(sql_server.socket, sizeof sql_server.socket, "%s/s", server.dir);
	snprintf(sql_server.certificate, sizeof sql_server.certificate, "%s/server.crt", server.dir);
	autofree char *data = mem_printf("--datadir=%s/data", server.dir), *key = mem_printf("%s/server.key", server.dir);
	run((const char *const[]){"mariadb-install-db", "--no-defaults", data, "--auth-root-authentication-method=normal",
	                          "--skip-test-db", "--skip-name-resolve", "--innodb-log-file-size=8M", NULL});
	make_certificate("localhost", key, sql_server.certificate);
	close(open_port(&server.port));
	run_mariadbd(true);
}

static void drop_what_we_made(void) {
	free(ask("drop database if exists backfilld_test"));
	free(ask("drop user if exists tester@'%', locked@'%', limited@'%', tester@localhost"));
}

static int start_server(void **state) {
	(void)state;
	const char *running = getenv("BACKFILLD_MYSQL_SERVER");
	if (running != NULL)
		borrow_server(running);
	else
		start_mariadb();
	autofree char *version = ask("select version()");
	sql_server.mariadb = strstr(version, "MariaDB") != NULL;
	drop_what_we_made();
	free(ask("create database backfilld_test"));
	free(ask("create user tester@'%', limited@'%', tester@localhost"));
	free(ask("create user locked@'%' identified by 'right'"));
	free(ask("grant all on *.* to tester@'%', tester@localhost with grant option"));
	free(ask("create table backfilld_test.t (id int primary key, n int check (n < 1000))"));
	free(ask("insert into backfilld_test.t with recursive r (i) as (select 1 union all select i + 1 from r where i < 10) select "
	         "i, i from r"));
	free(ask("grant select (id) on backfilld_test.t to limited@'%'"));
	return 0;
}

static int stop_server(void **state) {
	(void)state;
	if (sql_server.borrowed)
		drop_what_we_made();
	return end_server(SIGTERM);
}

#endif
