/*
 * pg_server.h: a PostgreSQL server of a test's own: in a temporary folder, over a Unix socket there, ended with the test.
 * Included by the one file of a test program, so everything is static.
 */
#ifndef BACKFILLD_TEST_PG_SERVER_H
#define BACKFILLD_TEST_PG_SERVER_H

#include "common/mem.h"

#include <fcntl.h>
#include <libpq-fe.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static struct pg_server {
	char dir[64];
	char bindir[256];
	char url[160]; /* as the superuser postgres */
	pid_t pid;
} pg_server;

/* Starts a program as a user that PostgreSQL accepts (it refuses root); it ends with us, whatever ends us. */
static pid_t pg_server_spawn(const char *const *arguments) {
	pid_t pid = fork();
	if (pid != 0)
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

static bool pg_server_run(const char *const *arguments) {
	int status = -1;
	pid_t pid = pg_server_spawn(arguments);
	return waitpid(pid, &status, 0) == pid && status == 0;
}

static void pg_server_quiet(void *context, const char *message) {
	(void)context;
	(void)message;
}

/* Over blocking libpq; several statements may stand in `sql`. Says what went wrong and ends the test program. */
static void pg_server_sql(const char *sql) {
	PGconn *pg = PQconnectdb(pg_server.url);
	PQsetNoticeProcessor(pg, pg_server_quiet, NULL);
	PGresult *result = PQexec(pg, sql);
	if (PQresultStatus(result) != PGRES_TUPLES_OK && PQresultStatus(result) != PGRES_COMMAND_OK) {
		fprintf(stderr, "%s: %s\n", sql, PQerrorMessage(pg));
		abort();
	}
	PQclear(result);
	PQfinish(pg);
}

static bool pg_server_start(void) {
	FILE *f = popen("pg_config --bindir", "r");
	if (f == NULL || fgets(pg_server.bindir, sizeof pg_server.bindir, f) == NULL || pclose(f) != 0)
		return false;
	pg_server.bindir[strcspn(pg_server.bindir, "\n")] = '\0';
	snprintf(pg_server.dir, sizeof pg_server.dir, "/tmp/backfilld-test-XXXXXX");
	if (mkdtemp(pg_server.dir) == NULL)
		return false;
	const struct passwd *owner = getpwnam("postgres");
	if (getuid() == 0 && (owner == NULL || chown(pg_server.dir, owner->pw_uid, owner->pw_gid) != 0))
		return false;
	autofree char *data = mem_printf("%s/data", pg_server.dir), *initdb = mem_printf("%s/initdb", pg_server.bindir);
	autofree char *postgres = mem_printf("%s/postgres", pg_server.bindir);
	if (!pg_server_run((const char *const[]){initdb, "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8",
	                                         "--locale=C.UTF-8", "--no-sync", NULL}))
		return false;
	pg_server.pid =
		pg_server_spawn((const char *const[]){postgres, "-D", data, "-k", pg_server.dir, "-c", "listen_addresses=", "-c",
	                                          "fsync=off", "-c", "shared_buffers=16MB", NULL});
	snprintf(pg_server.url, sizeof pg_server.url, "postgresql://postgres@/postgres?host=%s", pg_server.dir);
	for (int i = 0; i < 300; i++) {
		if (PQping(pg_server.url) == PQPING_OK)
			return true;
		usleep(100000);
	}
	return false;
}

static void pg_server_stop(void) {
	if (pg_server.pid > 0) {
		kill(pg_server.pid, SIGINT); /* fast shutdown; setpriv became the postmaster by exec */
		waitpid(pg_server.pid, NULL, 0);
	}
	if (pg_server.dir[0] != '\0')
		pg_server_run((const char *const[]){"rm", "-rf", pg_server.dir, NULL});
}

#endif
