/*
 * postgres_server.h: a PostgreSQL server of the test's own. For one test program to include: start_server and stop_server are
 * cmocka's group set-up and tear-down.
 */
#ifndef BACKFILLD_TEST_POSTGRES_SERVER_H
#define BACKFILLD_TEST_POSTGRES_SERVER_H

#include "tests/unit/private_server.h"

#include <libpq-fe.h>

static char bindir[256];

static char *url(const char *user_at, const char *rest) {
	return mem_printf("postgresql://%s127.0.0.1:%d/%s", user_at, server.port, rest);
}

static void write_hba(const char *data) {
	autofree char *path = mem_printf("%s/pg_hba.conf", data);
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	fputs("local all all trust\nhost all locked 127.0.0.1/32 scram-sha-256\nhost all all 127.0.0.1/32 trust\n", f);
	fclose(f);
}

static void find_bindir(void) {
	const char *chosen = getenv("BACKFILLD_PG_BIN");
	if (chosen != NULL) {
		assert_true(strlen(chosen) < sizeof bindir);
		strcpy(bindir, chosen);
		return;
	}
	FILE *f = popen("pg_config --bindir", "r");
	assert_non_null(f);
	assert_non_null(fgets(bindir, sizeof bindir, f));
	assert_int_equal(pclose(f), 0);
	bindir[strcspn(bindir, "\n")] = '\0';
}

/* Setting up goes over plain blocking libpq, so that the engine is not proved by itself. */
static char *ask(const char *sql) {
	autofree char *conninfo = url("postgres@", "postgres");
	PGconn *pg = PQconnectdb(conninfo);
	PGresult *result = PQexec(pg, sql);
	if (PQresultStatus(result) != PGRES_TUPLES_OK && PQresultStatus(result) != PGRES_COMMAND_OK)
		fail_msg("%s: %s", sql, PQerrorMessage(pg));
	char *value = PQntuples(result) > 0 ? mem_dup(PQgetvalue(result, 0, 0)) : NULL;
	PQclear(result);
	PQfinish(pg);
	return value;
}

static int start_server(void **state) {
	(void)state;
	find_bindir();
	make_dir();
	autofree char *data = mem_printf("%s/data", server.dir), *initdb = mem_printf("%s/initdb", bindir);
	autofree char *postgres = mem_printf("%s/postgres", bindir);
	run((const char *const[]){initdb, "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync",
	                          NULL});
	write_hba(data);
	close(open_port(&server.port));
	autofree char *key = mem_printf("%s/server.key", data), *crt = mem_printf("%s/server.crt", data);
	make_certificate("test", key, crt);
	autofree char *port = mem_printf("%d", server.port);
	server.pid =
		spawn((const char *const[]){postgres, "-D", data, "-p", port, "-k", server.dir, "-c", "listen_addresses=127.0.0.1", "-c",
	                                "ssl=on", "-c", "fsync=off", "-c", "shared_buffers=16MB", NULL});
	autofree char *conninfo = url("postgres@", "postgres");
	for (int i = 0; PQping(conninfo) != PQPING_OK; i++) {
		assert_true(i < 300);
		usleep(100000);
	}
	free(ask("create role locked login password 'right';"
	         "create role limited login;"
	         "create table t (id int primary key, n int check (n < 1000));"
	         "insert into t select i, i from generate_series(1, 10) i"));
	return 0;
}

static int stop_server(void **state) {
	(void)state;
	return end_server(SIGINT);
}

#endif
