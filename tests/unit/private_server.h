/*
 * private_server.h: a database server of the test's own, in a temporary folder, that ends with the test whatever ends it: what
 * every kind of server needs. For postgres_server.h and mysql_server.h.
 */
#ifndef BACKFILLD_TEST_PRIVATE_SERVER_H
#define BACKFILLD_TEST_PRIVATE_SERVER_H

#include "common/mem.h"

#include <fcntl.h>
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
	int port;
	pid_t pid;
} server;

/* Starts a program as a user that servers accept; it ends with us, whatever ends us. */
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

/* Where the server's files go; its user's. */
static void make_dir(void) {
	snprintf(server.dir, sizeof server.dir, "/tmp/backfilld-test-XXXXXX");
	assert_non_null(mkdtemp(server.dir));
	if (getuid() == 0) {
		const struct passwd *owner = getpwnam("postgres");
		assert_non_null(owner);
		assert_int_equal(chown(server.dir, owner->pw_uid, owner->pw_gid), 0);
	}
}

/* A certificate that the server itself has signed, for that name. */
static void make_certificate(const char *name, const char *key, const char *certificate) {
	autofree char *subject = mem_printf("/CN=%s", name);
	run((const char *const[]){"openssl", "req", "-new", "-x509", "-nodes", "-subj", subject, "-keyout", key, "-out", certificate,
	                          NULL});
}

/* With the signal for a quick shutdown; setpriv became the server by exec. */
static int end_server(int quick) {
	if (server.pid > 0) {
		kill(server.pid, SIGCONT); /* a test that failed may have left it stopped */
		kill(server.pid, quick);
		waitpid(server.pid, NULL, 0);
	}
	if (server.dir[0] != '\0')
		run((const char *const[]){"rm", "-rf", server.dir, NULL});
	return 0;
}

#endif
