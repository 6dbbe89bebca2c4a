/*
 * control: a real loop and a real socket in a temporary directory. The clients are plain sockets of this thread; the
 * loop turns between their steps.
 */
#include "daemon/serve/client.h"
#include "daemon/serve/control.h"

#include "common/mem.h"
#include "common/rpc.h"
#include "common/strbuf.h"

#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <grp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { MAX_KEPT = 200 };

struct fixture {
	struct ev_loop *loop;
	struct control *control;
	char *directory;
	char *socket;
	struct call *kept[MAX_KEPT]; /* answered later by the test */
	size_t nkept;
	size_t dispatched;
	size_t answer_bytes; /* of "big" answers */
};

/* Answers by the method: list at once, pause later, show big, reload not at all well. */
static void dispatch(void *context, struct call *call) {
	struct fixture *f = context;
	f->dispatched++;
	const char *method = call_method(call);
	if (strcmp(method, "job.pause") == 0) {
		assert_true(f->nkept < MAX_KEPT);
		f->kept[f->nkept++] = call;
	} else if (strcmp(method, "job.show") == 0) {
		char *text = mem_alloc(f->answer_bytes + 1);
		memset(text, 'x', f->answer_bytes);
		json_t *answer = json_pack("{s:s}", "text", text);
		free(text);
		call_reply(call, answer);
	} else if (strcmp(method, "daemon.reload") == 0) {
		struct error err;
		error_set(&err, ERROR_CONFIG, "line 3: unknown key");
		error_hint(&err, "did you mean targets?");
		call_fail(call, &err);
	} else if (strcmp(method, "events.follow") == 0) {
		call_follow(call, call_string(call, "job"));
		call_reply(call, json_pack("{s:b}", "following", 1));
	} else {
		call_reply(call, json_pack("{s:s,s:b,s:s?}", "actor", call_actor(call), "all", call_bool(call, "all"), "state",
		                           call_string(call, "state")));
	}
}

static void open_control(struct fixture *f, const char *operators, const char *viewers) {
	struct error err;
	struct control_options options = {.socket_path = f->socket, .operators = operators, .viewers = viewers};
	f->control = control_new(f->loop, &options, dispatch, f, &err);
	if (f->control == NULL)
		fail_msg("control_new: %s", err.message);
}

static int setup(void **state) {
	struct fixture *f = mem_alloc(sizeof *f);
	f->loop = ev_loop_new(EVFLAG_AUTO);
	f->directory = mem_dup("/tmp/test_control.XXXXXX");
	assert_non_null(mkdtemp(f->directory));
	f->socket = mem_printf("%s/control.sock", f->directory);
	f->answer_bytes = 100;
	*state = f;
	return 0;
}

static int teardown(void **state) {
	struct fixture *f = *state;
	control_free(f->control);
	ev_loop_destroy(f->loop);
	autofree char *lock = mem_printf("%s.lock", f->socket);
	unlink(lock);
	unlink(f->socket);
	rmdir(f->directory);
	free(f->directory);
	free(f->socket);
	free(f);
	return 0;
}

static void turn(struct fixture *f) {
	for (int i = 0; i < 50; i++)
		ev_run(f->loop, EVRUN_NOWAIT);
}

static int dial(struct fixture *f) {
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	snprintf(address.sun_path, sizeof address.sun_path, "%s", f->socket);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
	turn(f);
	return fd;
}

static void put(struct fixture *f, int fd, const char *text) {
	size_t length = strlen(text);
	assert_int_equal(send(fd, text, length, MSG_NOSIGNAL), (ssize_t)length);
	turn(f);
}

/* What has arrived; the caller frees it. *closed says whether the other side is done. */
static char *get(struct fixture *f, int fd, bool *closed) {
	autostrbuf text = {0};
	char buffer[65536];
	bool end = false;
	for (;;) {
		turn(f);
		ssize_t n = recv(fd, buffer, sizeof buffer, MSG_DONTWAIT);
		if (n <= 0) {
			end = n == 0 || (errno != EAGAIN && errno != EWOULDBLOCK);
			break;
		}
		strbuf_add_n(&text, buffer, (size_t)n);
	}
	if (closed != NULL)
		*closed = end;
	return strbuf_take(&text);
}

static void expect(struct fixture *f, int fd, const char *want) {
	autofree char *got = get(f, fd, NULL);
	assert_string_equal(got, want);
}

static void expect_part(struct fixture *f, int fd, const char *part, bool want_closed) {
	bool closed = false;
	autofree char *got = get(f, fd, &closed);
	if (strstr(got, part) == NULL)
		fail_msg("no %s in: %.300s", part, got);
	assert_int_equal(closed, want_closed);
}

#define REQUEST(id, method, params) "{\"jsonrpc\":\"2.0\",\"id\":" #id ",\"method\":\"" method "\",\"params\":" params "}\n"

static void calls_are_answered(void **state) {
	struct fixture *f = *state;
	open_control(f, NULL, NULL);
	int fd = dial(f);
	put(f, fd, REQUEST(1, "job.list", "{\"state\":\"running\",\"all\":true}"));
	autofree char *got = get(f, fd, NULL);
	json_t *answer = json_loads(got, 0, NULL);
	json_t *result = json_object_get(answer, "result");
	assert_int_equal(json_integer_value(json_object_get(answer, "id")), 1);
	assert_true(strlen(json_string_value(json_object_get(result, "actor"))) > 0);
	assert_true(json_is_true(json_object_get(result, "all")));
	assert_string_equal(json_string_value(json_object_get(result, "state")), "running");
	json_decref(answer);

	put(f, fd, REQUEST("a", "daemon.reload", "{}"));
	expect(f, fd,
	       "{\"jsonrpc\":\"2.0\",\"id\":\"a\",\"error\":{\"code\":-32000,\"message\":\"line 3: unknown key\",\"data\":"
	       "{\"code\":\"config\",\"exit\":78,\"hint\":\"did you mean targets?\"}}}\n");
	close(fd);
}

static void bad_requests_are_answered_and_the_line_lives(void **state) {
	struct fixture *f = *state;
	open_control(f, NULL, NULL);
	int fd = dial(f);
	put(f, fd, "garbage\n");
	expect_part(f, fd, "\"id\":null,\"error\":{\"code\":-32700", false);
	put(f, fd, "[]\n");
	expect_part(f, fd, "-32600", false);
	put(f, fd, REQUEST(2, "job.explode", "{}"));
	expect_part(f, fd, "\"id\":2,\"error\":{\"code\":-32601", false);
	put(f, fd, REQUEST(3, "job.list", "[]"));
	expect_part(f, fd, "\"id\":3,\"error\":{\"code\":-32602", false);
	assert_int_equal(f->dispatched, 0);
	put(f, fd, REQUEST(4, "job.list", "{}"));
	expect_part(f, fd, "\"id\":4,\"result\"", false);
	close(fd);
}

static void pieces_and_pipelines(void **state) {
	struct fixture *f = *state;
	open_control(f, NULL, NULL);
	int fd = dial(f);
	const char *request = REQUEST(9, "job.list", "{}");
	for (const char *c = request; *c != '\0'; c++) {
		char one[2] = {*c, '\0'};
		put(f, fd, one);
	}
	expect_part(f, fd, "\"id\":9,\"result\"", false);

	put(f, fd, REQUEST(1, "job.list", "{}") "\r\n\n" REQUEST(2, "job.list", "{}") REQUEST(3, "job.list", "{}"));
	autofree char *got = get(f, fd, NULL);
	assert_true(strstr(got, "\"id\":1") < strstr(got, "\"id\":2"));
	assert_true(strstr(got, "\"id\":2") < strstr(got, "\"id\":3"));
	close(fd);
}

/* More than CLIENT_MAX_CALLS at once: the rest waits, and comes when there is room. */
static void many_calls_under_way_wait_their_turn(void **state) {
	struct fixture *f = *state;
	open_control(f, NULL, NULL);
	int fd = dial(f);
	autostrbuf text = {0};
	for (int i = 0; i < 100; i++)
		strbuf_printf(&text, "{\"jsonrpc\":\"2.0\",\"id\":%d,\"method\":\"job.pause\"}\n", i);
	put(f, fd, text.data);
	assert_int_equal(f->nkept, CLIENT_MAX_CALLS);
	for (size_t i = 0; i < f->nkept; i++) {
		call_reply(f->kept[i], NULL);
		assert_true(f->nkept <= CLIENT_MAX_CALLS + i + 1);
		turn(f);
	}
	assert_int_equal(f->nkept, 100);
	autofree char *got = get(f, fd, NULL);
	assert_non_null(strstr(got, "\"id\":99,\"result\":null"));
	close(fd);
}

static void a_reply_to_a_gone_client_is_safe(void **state) {
	struct fixture *f = *state;
	open_control(f, NULL, NULL);
	int fd = dial(f);
	put(f, fd, REQUEST(1, "job.pause", "{}") REQUEST(2, "job.pause", "{}"));
	close(fd);
	turn(f);
	assert_int_equal(f->nkept, 2);
	assert_true(strlen(call_actor(f->kept[0])) > 0);
	call_reply(f->kept[0], json_object());
	struct error err;
	error_set(&err, ERROR_TRY_AGAIN, "stopped");
	call_fail(f->kept[1], &err);

	fd = dial(f); /* and one that outlives the socket itself */
	put(f, fd, REQUEST(3, "job.pause", "{}"));
	control_free(f->control);
	f->control = NULL;
	call_follow(f->kept[2], NULL);
	call_reply(f->kept[2], NULL);
	expect_part(f, fd, "", true);
	close(fd);
}

/* What socat does: send, end its side, read on. */
static void a_half_closed_client_gets_its_answer(void **state) {
	struct fixture *f = *state;
	open_control(f, NULL, NULL);
	int fd = dial(f);
	put(f, fd, REQUEST(1, "job.pause", "{}") "{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"job.list\"}");
	shutdown(fd, SHUT_WR);
	turn(f);
	expect_part(f, fd, "\"id\":2,\"result\"", false);
	call_reply(f->kept[0], NULL);
	expect_part(f, fd, "\"id\":1,\"result\":null", true);
	close(fd);
}

static void a_request_over_the_limit_ends_the_connection(void **state) {
	struct fixture *f = *state;
	open_control(f, NULL, NULL);
	int fd = dial(f);
	char chunk[4096];
	memset(chunk, 'x', sizeof chunk);
	for (size_t sent = 0; sent < 1024 * 1024 + sizeof chunk; sent += sizeof chunk) {
		if (send(fd, chunk, sizeof chunk, MSG_NOSIGNAL) < 0)
			break;
		ev_run(f->loop, EVRUN_NOWAIT);
	}
	expect_part(f, fd, "\"code\":-32600,\"message\":\"a request is one line of at most 1 MiB", true);
	close(fd);
}

static void a_slow_reader_is_dropped_and_the_others_live(void **state) {
	struct fixture *f = *state;
	open_control(f, NULL, NULL);
	int slow = dial(f);
	int good = dial(f);
	put(f, slow, REQUEST(1, "events.follow", "{}"));
	put(f, good, REQUEST(1, "events.follow", "{}"));
	expect(f, good, "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"following\":true}}\n");
	char *text = mem_alloc(100001);
	memset(text, 'e', 100000);
	json_t *event = json_pack("{s:s}", "reason", text);
	free(text);
	for (int i = 0; i < 100; i++) { /* 10 MB */
		control_notify(f->control, event, "20261121_x");
		autofree char *got = get(f, good, NULL);
		assert_true(strlen(got) > 100000);
	}
	json_decref(event);
	bool closed = false;
	autofree char *rest = get(f, slow, &closed);
	assert_true(closed);
	assert_true(strlen(rest) < 5 * 1024 * 1024);
	put(f, good, REQUEST(2, "job.list", "{}"));
	expect_part(f, good, "\"id\":2", false);
	close(slow);
	close(good);
}

/* Requests of one that never reads stay unserved: the answers don't pile up. */
static void a_pipeliner_that_does_not_read_is_not_served_further(void **state) {
	struct fixture *f = *state;
	open_control(f, NULL, NULL);
	f->answer_bytes = 50000;
	int fd = dial(f);
	for (int i = 0; i < 100; i++)
		put(f, fd, REQUEST(1, "job.show", "{}"));
	assert_true(f->dispatched < 40);
	size_t total = 0;
	for (int i = 0; i < 200 && f->dispatched < 100; i++) {
		autofree char *got = get(f, fd, NULL);
		total += strlen(got);
	}
	assert_int_equal(f->dispatched, 100);
	autofree char *rest = get(f, fd, NULL);
	assert_true(total + strlen(rest) > 100 * 50000);
	close(fd);
}

static void followers_hear_their_job_only(void **state) {
	struct fixture *f = *state;
	open_control(f, NULL, NULL);
	int all = dial(f);
	int one = dial(f);
	int none = dial(f);
	put(f, all, REQUEST(1, "events.follow", "{}"));
	put(f, one, REQUEST(1, "events.follow", "{\"job\":\"a\"}"));
	free(get(f, all, NULL));
	free(get(f, one, NULL));
	json_t *event = json_pack("{s:i}", "seq", 7);
	control_notify(f->control, event, "a");
	control_notify(f->control, event, "b");
	control_notify(f->control, event, NULL);
	json_decref(event);
#define EVENT "{\"jsonrpc\":\"2.0\",\"method\":\"event\",\"params\":{\"seq\":7}}\n"
	expect(f, all, EVENT EVENT EVENT);
	expect(f, one, EVENT);
	expect(f, none, "");
	close(all);
	close(one);
	close(none);
}

static void the_257th_client_is_told_and_closed(void **state) {
	struct fixture *f = *state;
	open_control(f, NULL, NULL);
	int fds[256];
	for (size_t i = 0; i < 256; i++)
		fds[i] = dial(f);
	int extra = dial(f);
	expect_part(f, extra, "too many clients", true);
	close(extra);
	close(fds[0]);
	turn(f);
	fds[0] = dial(f);
	put(f, fds[0], REQUEST(1, "job.list", "{}"));
	expect_part(f, fds[0], "\"id\":1,\"result\"", false);
	for (size_t i = 0; i < 256; i++)
		close(fds[i]);
}

static void a_second_daemon_is_refused_with_the_pid(void **state) {
	struct fixture *f = *state;
	open_control(f, NULL, NULL);
	struct error err;
	struct control_options options = {.socket_path = f->socket};
	assert_null(control_new(f->loop, &options, dispatch, f, &err));
	autofree char *pid = mem_printf("pid %ld", (long)getpid());
	assert_non_null(strstr(err.message, pid));
	assert_non_null(strstr(err.message, f->socket));
	int fd = dial(f); /* the first goes on */
	put(f, fd, REQUEST(1, "job.list", "{}"));
	expect_part(f, fd, "\"result\"", false);
	close(fd);
}

/* A child that is killed leaves socket and lock file; the next one takes both over. */
static void a_killed_predecessor_is_replaced(void **state) {
	struct fixture *f = *state;
	int ready[2];
	assert_int_equal(pipe(ready), 0);
	pid_t child = fork();
	if (child == 0) {
		struct error err;
		struct control_options options = {.socket_path = f->socket};
		struct control *control = control_new(f->loop, &options, dispatch, f, &err);
		if (write(ready[1], control != NULL ? "1" : "0", 1) != 1)
			_exit(1);
		pause();
		_exit(0);
	}
	char ok = 0;
	assert_int_equal(read(ready[0], &ok, 1), 1);
	assert_int_equal(ok, '1');
	struct error err;
	struct control_options options = {.socket_path = f->socket};
	assert_null(control_new(f->loop, &options, dispatch, f, &err));
	autofree char *pid = mem_printf("pid %ld", (long)child);
	assert_non_null(strstr(err.message, pid));
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	close(ready[0]);
	close(ready[1]);
	struct stat st;
	assert_int_equal(lstat(f->socket, &st), 0);
	open_control(f, NULL, NULL);
	close(dial(f));
}

static void what_is_not_a_stale_socket_stays(void **state) {
	struct fixture *f = *state;
	struct error err;
	struct control_options options = {.socket_path = f->socket};
	int fd = open(f->socket, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	close(fd);
	assert_null(control_new(f->loop, &options, dispatch, f, &err));
	assert_non_null(strstr(err.message, "is not a socket"));
	assert_int_equal(access(f->socket, F_OK), 0);
	unlink(f->socket);

	/* somebody else's, alive */
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	snprintf(address.sun_path, sizeof address.sun_path, "%s", f->socket);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
	assert_int_equal(listen(fd, 1), 0);
	assert_null(control_new(f->loop, &options, dispatch, f, &err));
	assert_non_null(strstr(err.message, "another program listens"));
	close(fd);
}

static void bad_paths_are_clear_errors(void **state) {
	struct fixture *f = *state;
	struct error err;
	char path[200];
	memset(path, 'p', sizeof path - 1);
	path[0] = '/';
	path[sizeof path - 1] = '\0';
	struct control_options options = {.socket_path = path};
	assert_null(control_new(f->loop, &options, dispatch, f, &err));
	assert_non_null(strstr(err.message, "too long"));
	assert_int_equal(err.code, ERROR_CONFIG);
	options.socket_path = "/nonexistent/x.sock";
	assert_null(control_new(f->loop, &options, dispatch, f, &err));
	assert_non_null(strstr(err.message, "/nonexistent/x.sock"));
	assert_true(err.hint[0] != '\0');
}

static void the_socket_goes_with_the_control(void **state) {
	struct fixture *f = *state;
	open_control(f, NULL, NULL);
	struct stat st;
	assert_int_equal(lstat(f->socket, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600); /* no groups: nobody else could do anything */
	control_regroup(f->control, NULL, "no-such-group-here");
	assert_int_equal(lstat(f->socket, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0666);
	control_free(f->control);
	f->control = NULL;
	assert_int_equal(lstat(f->socket, &st), -1);
}

/* Runs as another user with one group, in a child: asks `methods` and says what came back through its exit status. */
static int ask_as(struct fixture *f, gid_t group, const char *request, const char *want) {
	pid_t child = fork();
	if (child == 0) {
		gid_t groups[] = {group};
		if (setgroups(1, groups) < 0 || setgid(65534) < 0 || setuid(65534) < 0)
			_exit(9);
		int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
		struct sockaddr_un address = {.sun_family = AF_UNIX};
		snprintf(address.sun_path, sizeof address.sun_path, "%s", f->socket);
		if (connect(fd, (struct sockaddr *)&address, sizeof address) < 0)
			_exit(8);
		char buffer[4096] = "";
		if (write(fd, request, strlen(request)) < 0 || read(fd, buffer, sizeof buffer - 1) <= 0)
			_exit(7);
		_exit(strstr(buffer, want) != NULL ? 0 : 1);
	}
	int status = 0;
	while (waitpid(child, &status, WNOHANG) == 0) {
		ev_run(f->loop, EVRUN_NOWAIT);
		usleep(1000);
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void groups_decide_what_a_caller_may_do(void **state) {
	struct fixture *f = *state;
	const struct group *group = getgrnam("games");
	gid_t viewer = group != NULL ? group->gr_gid : 0;
	group = getgrnam("mail");
	gid_t operator_gid = group != NULL ? group->gr_gid : 0;
	if (geteuid() != 0 || viewer == 0 || operator_gid == 0) {
		skip();
		return;
	}
	assert_int_equal(chmod(f->directory, 0755), 0);
	open_control(f, "mail", "games");
	const char *list = REQUEST(1, "job.list", "{}");
	const char *reload = REQUEST(1, "daemon.reload", "{}");
	assert_int_equal(ask_as(f, viewer, list, "\"result\""), 0);
	assert_int_equal(ask_as(f, viewer, reload, "\"code\":\"not_permitted\",\"exit\":77"), 0);
	assert_int_equal(ask_as(f, operator_gid, list, "\"result\""), 0);
	assert_int_equal(ask_as(f, operator_gid, reload, "\"exit\":78"), 0);
	assert_int_equal(ask_as(f, 65534, list, "\"exit\":77"), 0);
	control_regroup(f->control, "no-such-group-here", "mail");
	assert_int_equal(ask_as(f, operator_gid, list, "\"result\""), 0);
	assert_int_equal(ask_as(f, operator_gid, reload, "\"exit\":77"), 0);
	assert_int_equal(ask_as(f, viewer, list, "\"exit\":77"), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
	const struct CMUnitTest tests[] = {
		TEST(calls_are_answered),
		TEST(bad_requests_are_answered_and_the_line_lives),
		TEST(pieces_and_pipelines),
		TEST(many_calls_under_way_wait_their_turn),
		TEST(a_reply_to_a_gone_client_is_safe),
		TEST(a_half_closed_client_gets_its_answer),
		TEST(a_request_over_the_limit_ends_the_connection),
		TEST(a_slow_reader_is_dropped_and_the_others_live),
		TEST(a_pipeliner_that_does_not_read_is_not_served_further),
		TEST(followers_hear_their_job_only),
		TEST(the_257th_client_is_told_and_closed),
		TEST(a_second_daemon_is_refused_with_the_pid),
		TEST(a_killed_predecessor_is_replaced),
		TEST(what_is_not_a_stale_socket_stays),
		TEST(bad_paths_are_clear_errors),
		TEST(the_socket_goes_with_the_control),
		TEST(groups_decide_what_a_caller_may_do),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
