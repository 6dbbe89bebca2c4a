/*
 * postgres_server.h: a PostgreSQL server of the test's own, in a temporary folder, that ends with the test whatever ends
 * it. For one test program to include: start_server and stop_server are cmocka's group set-up and tear-down.
 */
#ifndef BACKFILLD_TEST_POSTGRES_SERVER_H
#define BACKFILLD_TEST_POSTGRES_SERVER_H

#include "common/mem.h"

#include <fcntl.h>
#include <libpq-fe.h>
#include <netinet/in.h>
#include <pwd.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static struct {
	char dir[64];
	char bindir[256];
	int port;
	pid_t pid;
} server;

static char *url(const char *user_at, const char *rest) {
	return mem_printf("postgresql://%s127.0.0.1:%d/%s", user_at, server.port, rest);
}

/* Starts a program as a user that PostgreSQL accepts; it ends with us, whatever ends us. */
static pid_t spawn(const char *const *arguments) {
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid > 0)
		return pid;
	const char *argv[40] = {"setpriv", "--pdeathsig=QUIT"};
	size_t n = 2;
	if (getuid() == 0) {
		argv[n++] = "--reuid=postgres";
		argv[n++] = "--regid=postgres";
		argv[n++] = "--clear-groups";
	}
	while (*arguments != NULL)
		argv[n++] = *arguments++;
	int null = open("/dev/null", O_RDWR);
	dup2(null, STDIN_FILENO);
	dup2(null, STDOUT_FILENO);
	if (getenv("BACKFILLD_TEST_VERBOSE") == NULL)
		dup2(null, STDERR_FILENO);
	execvp("setpriv", (char *const *)argv);
	_exit(127);
}

static void run(const char *const *arguments) {
	int status;
	pid_t pid = spawn(arguments);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

/* A socket on 127.0.0.1: listening it is a server that never answers, closed it is a free port. */
static int open_port(int *port) {
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t length = sizeof address;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, length), 0);
	assert_int_equal(listen(fd, 16), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &length), 0);
	*port = ntohs(address.sin_port);
	return fd;
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
		assert_true(strlen(chosen) < sizeof server.bindir);
		strcpy(server.bindir, chosen);
		return;
	}
	FILE *f = popen("pg_config --bindir", "r");
	assert_non_null(f);
	assert_non_null(fgets(server.bindir, sizeof server.bindir, f));
	assert_int_equal(pclose(f), 0);
	server.bindir[strcspn(server.bindir, "\n")] = '\0';
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
	snprintf(server.dir, sizeof server.dir, "/tmp/backfilld-test-XXXXXX");
	assert_non_null(mkdtemp(server.dir));
	if (getuid() == 0) {
		const struct passwd *owner = getpwnam("postgres");
		assert_non_null(owner);
		assert_int_equal(chown(server.dir, owner->pw_uid, owner->pw_gid), 0);
	}
	autofree char *data = mem_printf("%s/data", server.dir), *initdb = mem_printf("%s/initdb", server.bindir);
	autofree char *postgres = mem_printf("%s/postgres", server.bindir);
	run((const char *const[]){initdb, "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync",
	                          NULL});
	write_hba(data);
	close(open_port(&server.port));
	autofree char *key = mem_printf("%s/server.key", data), *crt = mem_printf("%s/server.crt", data);
	run((const char *const[]){"openssl", "req", "-new", "-x509", "-nodes", "-subj", "/CN=test", "-keyout", key, "-out", crt,
	                          NULL});
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
	if (server.pid > 0) {
		kill(server.pid, SIGINT); /* fast shutdown; setpriv became the postmaster by exec */
		waitpid(server.pid, NULL, 0);
	}
	if (server.dir[0] != '\0')
		run((const char *const[]){"rm", "-rf", server.dir, NULL});
	return 0;
}

#endif
