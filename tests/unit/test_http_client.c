/*
 * test_http_client.c: a real loop, and a server of the test's own on 127.0.0.1 that answers well, badly and not at all. What it
 * sees it says through a pipe. Names are looked up by a getaddrinfo of ours, which may hang. Nothing sleeps: the loop turns
 * until what is waited for has come, or fails the test. Where a call is to run into its time-out, that is long enough for a busy
 * machine to get so far.
 */
#include "daemon/base/http_client.c"

#include "tests/unit/private_server.h"

#include <errno.h>
#include <ev.h>
#include <netdb.h>
#include <pthread.h>
#include <sys/prctl.h>
#include <sys/resource.h>

static const double deadline_s = 30;
enum { SHORT_MS = 500, LONG_MS = 20000 };

/* --- the server --- */

struct http_server {
	pid_t pid;
	int port;
	int news; /* a byte each: 'r' a request has been read, 'e' a connection was ended by the client */
};

static void say(int fd, const char *text) {
	for (size_t left = strlen(text); left > 0;) {
		ssize_t n = send(fd, text, left, MSG_NOSIGNAL);
		if (n <= 0)
			return;
		text += n, left -= (size_t)n;
	}
}

static void say_body(int fd, int status, const char *body) {
	autofree char *answer = mem_printf("HTTP/1.1 %d x\r\nContent-Length: %zu\r\n\r\n%s", status, strlen(body), body);
	say(fd, answer);
}

static void say_without_end(int fd) {
	char zeros[1025];
	memset(zeros, '0', sizeof zeros - 1);
	zeros[sizeof zeros - 1] = '\0';
	autofree char *chunk = mem_printf("400\r\n%s\r\n", zeros);
	say(fd, "HTTP/1.1 200 x\r\nTransfer-Encoding: chunked\r\n\r\n");
	for (char byte; recv(fd, &byte, 1, MSG_DONTWAIT) != 0 && send(fd, chunk, strlen(chunk), MSG_NOSIGNAL) > 0;)
		;
}

static void wait_for_end(int fd, int news) {
	for (char byte; recv(fd, &byte, 1, 0) > 0;)
		;
	assert_int_equal(write(news, "e", 1), 1);
}

/* False: the connection is done. */
static bool answer(int fd, int news, int connection, const char *request) {
	char number[16];
	snprintf(number, sizeof number, "%d", connection);
	if (strstr(request, " /number ") != NULL)
		say_body(fd, 200, "0.0123\n");
	else if (strstr(request, " /connection ") != NULL)
		say_body(fd, 200, number);
	else if (strstr(request, " /echo") != NULL)
		say_body(fd, 200, request);
	else if (strstr(request, " /busy ") != NULL)
		say_body(fd, 429, "too much");
	else if (strstr(request, " /moved ") != NULL)
		say(fd, "HTTP/1.1 302 x\r\nLocation: /number\r\nContent-Length: 0\r\n\r\n");
	else if (strstr(request, " /empty ") != NULL)
		say(fd, "HTTP/1.1 200 x\r\nContent-Length: 0\r\n\r\n");
	else if (strstr(request, " /old ") != NULL)
		say(fd, "HTTP/1.0 200 x\r\n\r\nup to the end");
	else if (strstr(request, " /nul ") != NULL)
		send(fd, "HTTP/1.1 200 x\r\nContent-Length: 3\r\n\r\na\0b", 40, MSG_NOSIGNAL);
	else if (strstr(request, " /garbage ") != NULL)
		say(fd, "SSH-2.0-OpenSSH_9.2\r\n\r\n");
	else if (strstr(request, " /half ") != NULL)
		say(fd, "HTTP/1.1 200 x\r\nContent-Length: 100\r\n\r\nhalf");
	else if (strstr(request, " /stuck ") != NULL)
		say(fd, "HTTP/1.1 200 x\r\nContent-Length: 100\r\n\r\nhalf"), wait_for_end(fd, news);
	else if (strstr(request, " /long ") != NULL)
		say(fd, "HTTP/1.1 200 x\r\nContent-Length: 1001\r\n\r\n"), wait_for_end(fd, news);
	else if (strstr(request, " /endless ") != NULL)
		say_without_end(fd);
	else if (strstr(request, " /silent ") != NULL)
		wait_for_end(fd, news);
	return strstr(request, " /number ") != NULL || strstr(request, " /connection ") != NULL || strstr(request, " /echo") != NULL;
}

static void serve(int fd, int news, int connection) {
	autostrbuf request = {0};
	char bytes[4096];
	for (ssize_t n; (n = recv(fd, bytes, sizeof bytes, 0)) > 0;) {
		strbuf_add_n(&request, bytes, (size_t)n);
		if (strstr(request.data, "\r\n\r\n") == NULL)
			continue;
		assert_int_equal(write(news, "r", 1), 1);
		if (!answer(fd, news, connection, request.data))
			break;
		strbuf_consume(&request, request.length);
	}
}

/* Until it is killed; a process each connection. */
static void run_server(int listener, int news) {
	signal(SIGCHLD, SIG_IGN);
	for (int connection = 1;; connection++) {
		int fd = accept(listener, NULL, NULL);
		if (fd >= 0 && fork() == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			serve(fd, news, connection);
			_exit(0);
		}
		close(fd);
	}
}

static void start_server(struct http_server *web) {
	int listener = open_port(&web->port), news[2];
	assert_int_equal(pipe(news), 0);
	web->pid = fork();
	assert_true(web->pid >= 0);
	if (web->pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		run_server(listener, news[1]);
	}
	close(listener);
	close(news[1]);
	web->news = news[0];
}

/* --- names: those of `hanging.test` are looked up when the test says so, others never --- */

static struct {
	pthread_mutex_t mutex;
	pthread_cond_t changed;
	int waiting;   /* threads that look it up */
	bool released; /* they go on, and find 127.0.0.1 */
} resolver = {.mutex = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints, struct addrinfo **found) {
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	(void)hints;
	if (strcmp(name, "hanging.test") != 0)
		return EAI_NONAME;
	pthread_mutex_lock(&resolver.mutex);
	resolver.waiting++;
	while (!resolver.released)
		pthread_cond_wait(&resolver.changed, &resolver.mutex);
	resolver.waiting--;
	pthread_mutex_unlock(&resolver.mutex);
	struct addrinfo *one = mem_alloc(sizeof *one + sizeof address);
	address.sin_port = htons((uint16_t)strtoul(service, NULL, 10));
	*one = (struct addrinfo){.ai_family = AF_INET, .ai_socktype = SOCK_STREAM, .ai_addrlen = sizeof address};
	one->ai_addr = (struct sockaddr *)(one + 1);
	memcpy(one->ai_addr, &address, sizeof address);
	*found = one;
	return 0;
}

void freeaddrinfo(struct addrinfo *one) {
	free(one);
}

static int lookups(void) {
	pthread_mutex_lock(&resolver.mutex);
	int waiting = resolver.waiting;
	pthread_mutex_unlock(&resolver.mutex);
	return waiting;
}

static void release_lookups(bool release) {
	pthread_mutex_lock(&resolver.mutex);
	resolver.released = release;
	pthread_cond_broadcast(&resolver.changed);
	pthread_mutex_unlock(&resolver.mutex);
}

/* --- the client's side --- */

struct fixture {
	struct ev_loop *loop;
	struct http_client *client;
	struct http_server web;
	ev_timer deadline, tick;
	int requests_seen, ends_seen; /* by the server */
};

/* A call, and what became of it. */
struct asked {
	struct fixture *f;
	struct http_request *request;
	int answers;
	struct http_response response;
	char *body;
	void (*then)(struct asked *asked);
	struct asked *other;
};

static void too_late(struct ev_loop *loop, ev_timer *w, int revents) {
	(void)loop, (void)w, (void)revents;
	fail_msg("waited for %g s", deadline_s);
}

static void nothing(struct ev_loop *loop, ev_timer *w, int revents) {
	(void)loop, (void)w, (void)revents;
}

static int setup(void **state) {
	struct fixture *f = mem_alloc(sizeof *f);
	signal(SIGPIPE, SIG_IGN);
	alarm(4 * (unsigned)deadline_s); /* the deadline's timer is of no use to a loop that is blocked */
	start_server(&f->web);
	f->loop = ev_loop_new(EVFLAG_AUTO);
	f->client = http_client_new(f->loop);
	ev_timer_init(&f->deadline, too_late, deadline_s, 0.);
	ev_timer_start(f->loop, &f->deadline);
	ev_timer_init(&f->tick, nothing, 0.002, 0.002); /* for what is no event of the loop's */
	ev_timer_start(f->loop, &f->tick);
	assert_int_equal(fcntl(f->web.news, F_SETFL, O_NONBLOCK), 0);
	*state = f;
	return 0;
}

static int teardown(void **state) {
	struct fixture *f = *state;
	http_client_free(f->client);
	ev_timer_stop(f->loop, &f->deadline);
	ev_timer_stop(f->loop, &f->tick);
	ev_loop_destroy(f->loop);
	kill(f->web.pid, SIGKILL);
	waitpid(f->web.pid, NULL, 0);
	close(f->web.news);
	release_lookups(true);
	while (lookups() > 0)
		;
	release_lookups(false);
	free(f);
	return 0;
}

static void turn(struct fixture *f) {
	ev_run(f->loop, EVRUN_ONCE);
	for (char byte; read(f->web.news, &byte, 1) == 1;)
		*(byte == 'r' ? &f->requests_seen : &f->ends_seen) += 1;
}

#define WAIT_UNTIL(f, condition)                                                                                                 \
	while (!(condition))                                                                                                         \
	turn(f)

static void take(void *context, const struct http_response *response) {
	struct asked *asked = context;
	asked->answers++;
	asked->response = *response;
	free(asked->body);
	asked->body = mem_alloc(response->length + 1);
	memcpy(asked->body, response->body, response->length);
	assert_int_equal(response->body[response->length], '\0');
	asked->request = NULL;
	if (asked->then != NULL)
		asked->then(asked);
}

static void ask_with(struct fixture *f, struct asked *asked, const struct http_call *call) {
	asked->f = f;
	int before = asked->answers;
	asked->request = http_get(f->client, call, take, asked);
	assert_non_null(asked->request);
	assert_int_equal(asked->answers, before); /* never before it returns */
}

static void ask(struct fixture *f, struct asked *asked, int timeout_ms, const char *path) {
	autofree char *url = mem_printf("http://127.0.0.1:%d%s", f->web.port, path);
	ask_with(f, asked, &(struct http_call){.url = url, .timeout_ms = timeout_ms, .max_bytes = 1000});
}

static void forget(struct asked *asked) {
	free(asked->body);
	asked->body = NULL;
}

static void assert_answer(struct fixture *f, const char *path, long status, const char *body) {
	struct asked asked = {0};
	ask(f, &asked, LONG_MS, path);
	WAIT_UNTIL(f, asked.answers > 0);
	if (!asked.response.answered)
		fail_msg("%s: %s", path, asked.response.why);
	assert_int_equal(asked.response.status, status);
	assert_string_equal(asked.body, body);
	assert_int_equal(asked.response.length, strlen(body));
	assert_string_equal(asked.response.why, "");
	assert_true(asked.response.duration_us > 0);
	forget(&asked);
}

static void assert_why(struct fixture *f, const struct http_call *call, const char *why) {
	struct asked asked = {0};
	ask_with(f, &asked, call);
	WAIT_UNTIL(f, asked.answers > 0);
	assert_false(asked.response.answered);
	assert_string_equal(asked.response.why, why);
	assert_int_equal(asked.response.status, 0);
	assert_string_equal(asked.body, "");
	assert_int_equal(asked.response.length, 0);
	assert_true(asked.response.duration_us >= 0);
	forget(&asked);
}

static void assert_path_fails(struct fixture *f, int timeout_ms, const char *path, const char *why) {
	autofree char *url = mem_printf("http://user:hunter2@127.0.0.1:%d%s", f->web.port, path);
	autofree char *whole = mem_printf("127.0.0.1:%d: %s", f->web.port, why);
	assert_why(f, &(struct http_call){.url = url, .timeout_ms = timeout_ms, .max_bytes = 1000}, whole);
}

/* --- tests --- */

static void answers_arrive(void **state) {
	struct fixture *f = *state;
	assert_answer(f, "/number", 200, "0.0123\n");
	assert_answer(f, "/busy", 429, "too much");
	assert_answer(f, "/moved", 302, "");
	assert_answer(f, "/empty", 200, "");
	assert_answer(f, "/old", 200, "up to the end");
	struct asked asked = {0};
	ask(f, &asked, LONG_MS, "/nul");
	WAIT_UNTIL(f, asked.answers > 0);
	assert_int_equal(asked.response.length, 3);
	assert_memory_equal(asked.body, "a\0b", 3);
	forget(&asked);
}

static void connections_are_used_again(void **state) {
	struct fixture *f = *state;
	for (int i = 0; i < 5; i++)
		assert_answer(f, "/connection", 200, "1");
	struct asked silent = {0};
	int before = f->requests_seen;
	ask(f, &silent, LONG_MS, "/silent");
	WAIT_UNTIL(f, f->requests_seen > before);
	assert_answer(f, "/connection", 200, "2");
	http_cancel(silent.request);
	assert_answer(f, "/connection", 200, "2");
}

static void what_is_sent(void **state) {
	struct fixture *f = *state;
	struct asked asked = {0};
	autofree char *url = mem_printf("http://user:hunter2@127.0.0.1:%d/echo?query=sum(a{b=\"c\"}) > 1", f->web.port);
	ask_with(f, &asked,
	         &(struct http_call){.url = url,
	                             .timeout_ms = LONG_MS,
	                             .max_bytes = 1000,
	                             .headers = (const char *const[]){"X-Scope-OrgID: 1", "Accept: application/json", NULL}});
	WAIT_UNTIL(f, asked.answers > 0);
	static const char line[] = "GET /echo?query=sum(a{b=\"c\"})+>+1 HTTP/1.1\r\n";
	assert_int_equal(strncmp(asked.body, line, sizeof line - 1), 0);
	assert_non_null(strstr(asked.body, "\r\nAuthorization: Basic dXNlcjpodW50ZXIy\r\n"));
	assert_non_null(strstr(asked.body, "\r\nUser-Agent: backfilld/"));
	assert_non_null(strstr(asked.body, "\r\nX-Scope-OrgID: 1\r\n"));
	assert_non_null(strstr(asked.body, "\r\nAccept: application/json\r\n"));
	forget(&asked);
}

static void proxies_of_the_environment_are_ignored(void **state) {
	struct fixture *f = *state;
	setenv("http_proxy", "http://127.0.0.1:1/", 1);
	setenv("ALL_PROXY", "http://127.0.0.1:1/", 1);
	assert_answer(f, "/number", 200, "0.0123\n");
	unsetenv("http_proxy");
	unsetenv("ALL_PROXY");
}

static void bad_answers_say_why(void **state) {
	struct fixture *f = *state;
	assert_path_fails(f, LONG_MS, "/close", "it closed the connection without an answer");
	assert_path_fails(f, LONG_MS, "/half", "it closed the connection in the middle of the answer");
	assert_path_fails(f, LONG_MS, "/garbage", "what it answers is not HTTP");
	assert_path_fails(f, LONG_MS, "/long", "the answer is longer than 1000 bytes");
	assert_path_fails(f, LONG_MS, "/endless", "the answer is longer than 1000 bytes");
	assert_path_fails(f, SHORT_MS, "/silent", "timed out after 500ms, waiting for the answer");
	assert_path_fails(f, SHORT_MS, "/stuck", "timed out after 500ms, in the middle of the answer");
	assert_answer(f, "/number", 200, "0.0123\n");
}

static void bad_connections_say_why(void **state) {
	struct fixture *f = *state;
	int port, listener = open_port(&port);
	close(listener);
	struct http_call call = {.timeout_ms = LONG_MS, .max_bytes = 1000};
	autofree char *closed = mem_printf("http://user:hunter2@127.0.0.1:%d/?token=hunter2", port);
	autofree char *refused = mem_printf("127.0.0.1:%d: Connection refused", port);
	call.url = closed;
	assert_why(f, &call, refused);

	struct rlimit old;
	int next = dup(STDERR_FILENO);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	close(next);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &(struct rlimit){(rlim_t)next, old.rlim_max}), 0);
	autofree char *no_socket = mem_printf("127.0.0.1:%d: Too many open files", port);
	assert_why(f, &call, no_socket);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);

	call.url = "http://user:hunter2@unknown.test/x?token=hunter2";
	assert_why(f, &call, "unknown.test:80: its name can't be resolved");
}

static void bad_calls_are_told_from_the_loop(void **state) {
	struct fixture *f = *state;
	struct http_call call = {.timeout_ms = LONG_MS, .max_bytes = 1000};
	static const char *const schemes[] = {"ftp://user:hunter2@127.0.0.1/", "file:///etc/passwd", "gopherx://hunter2/"};
	for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++) {
		call.url = schemes[i];
		assert_why(f, &call, "the URL begins with neither http:// nor https://");
	}
	static const char *const bad[] = {"", "127.0.0.1/hunter2", "http://", "http://user:hunter2/@127.0.0.1/",
	                                  "http://a\nb/hunter2"};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct asked asked = {0};
		call.url = bad[i];
		ask_with(f, &asked, &call);
		WAIT_UNTIL(f, asked.answers > 0);
		assert_false(asked.response.answered);
		if (strncmp(asked.response.why, "the URL can't be read: ", 23) != 0 || strstr(asked.response.why, "hunter2") != NULL)
			fail_msg("%s: %s", bad[i], asked.response.why);
		forget(&asked);
	}
	call.url = "http://127.0.0.1/";
	call.headers = (const char *const[]){"A: b\r\nC: d", NULL};
	assert_why(f, &call, "127.0.0.1:80: a header has a line break");
}

static void cancelled_in_flight(void **state) {
	struct fixture *f = *state;
	struct asked asked = {0};
	ask(f, &asked, LONG_MS, "/silent");
	WAIT_UNTIL(f, f->requests_seen == 1);
	http_cancel(asked.request);
	WAIT_UNTIL(f, f->ends_seen == 1); /* and not only when the time is over */
	assert_answer(f, "/number", 200, "0.0123\n");
	assert_int_equal(asked.answers, 0);

	ask(f, &asked, LONG_MS, "/number");
	http_cancel(asked.request); /* before the loop has seen it */
	http_cancel(NULL);
	assert_answer(f, "/number", 200, "0.0123\n");
	assert_int_equal(asked.answers, 0);

	ask_with(f, &asked, &(struct http_call){.url = "no URL", .timeout_ms = LONG_MS, .max_bytes = 1000});
	http_cancel(asked.request);
	assert_answer(f, "/number", 200, "0.0123\n");
	assert_int_equal(asked.answers, 0);
}

static void ask_again(struct asked *asked) {
	if (asked->answers < 3)
		ask(asked->f, asked, LONG_MS, "/number");
}

static void cancel_other(struct asked *asked) {
	http_cancel(asked->other->request);
	asked->other->request = NULL;
}

static void free_client(struct asked *asked) {
	http_client_free(asked->f->client);
	asked->f->client = NULL;
}

static void who_is_told_may_do_anything(void **state) {
	struct fixture *f = *state;
	struct asked chain = {.then = ask_again};
	ask(f, &chain, LONG_MS, "/number");
	WAIT_UNTIL(f, chain.answers == 3);
	forget(&chain);

	/* Both are told in the same turn: the one that comes first takes the other with it. */
	struct http_call bad = {.url = "no URL", .timeout_ms = LONG_MS, .max_bytes = 1000};
	struct asked a = {.then = cancel_other}, b = {.then = cancel_other};
	a.other = &b;
	b.other = &a;
	ask_with(f, &a, &bad);
	ask_with(f, &b, &bad);
	WAIT_UNTIL(f, a.answers + b.answers > 0);
	assert_answer(f, "/number", 200, "0.0123\n");
	assert_int_equal(a.answers + b.answers, 1);
	forget(&a);
	forget(&b);

	struct asked last = {.then = free_client}, silent = {0}, other = {0};
	ask(f, &silent, LONG_MS, "/silent");
	ask_with(f, &other, &(struct http_call){.url = "http://hanging.test/", .timeout_ms = LONG_MS, .max_bytes = 1000});
	WAIT_UNTIL(f, lookups() == 1);
	ask(f, &last, LONG_MS, "/number");
	WAIT_UNTIL(f, f->client == NULL);
	assert_int_equal(silent.answers + other.answers, 0);
	assert_int_equal(last.answers, 1);
	assert_true(last.response.answered);
	forget(&last);
}

/* The loop goes on, whatever the resolver does; and nobody waits for its thread. */
static void a_name_that_is_looked_up_without_end(void **state) {
	struct fixture *f = *state;
	autofree char *url = mem_printf("http://hanging.test:%d/number", f->web.port);
	autofree char *why = mem_printf("hanging.test:%d: timed out after 500ms, looking up its name", f->web.port);
	assert_why(f, &(struct http_call){.url = url, .timeout_ms = SHORT_MS, .max_bytes = 1000}, why);
	WAIT_UNTIL(f, lookups() == 1);
	assert_answer(f, "/connection", 200, "1");

	struct asked cancelled = {0}, waiting = {0}, freed = {0};
	ask_with(f, &cancelled, &(struct http_call){.url = url, .timeout_ms = LONG_MS, .max_bytes = 1000});
	WAIT_UNTIL(f, lookups() == 2);
	http_cancel(cancelled.request);
	ask_with(f, &waiting, &(struct http_call){.url = url, .timeout_ms = LONG_MS, .max_bytes = 1000});
	WAIT_UNTIL(f, lookups() == 3);

	release_lookups(true);
	WAIT_UNTIL(f, f->client->requests == NULL);
	assert_int_equal(cancelled.answers, 0);
	assert_int_equal(waiting.answers, 1);
	assert_string_equal(waiting.body, "0.0123\n");
	forget(&waiting);
	autofree char *other = mem_printf("http://localhost:%d/connection", f->web.port);
	ask_with(f, &waiting, &(struct http_call){.url = other, .timeout_ms = LONG_MS, .max_bytes = 1000});
	WAIT_UNTIL(f, waiting.answers == 2);
	assert_string_equal(waiting.body, "3"); /* the two that were given up have made none */
	forget(&waiting);

	WAIT_UNTIL(f, lookups() == 0);
	release_lookups(false);
	ask_with(f, &freed, &(struct http_call){.url = "http://hanging.test:1/", .timeout_ms = LONG_MS, .max_bytes = 1000});
	WAIT_UNTIL(f, lookups() == 1);
	http_client_free(f->client);
	f->client = NULL;
	assert_int_equal(freed.answers, 0);
}

/* openssl(1) says where it listens. */
static int start_tls_server(void) {
	make_dir();
	autofree char *key = mem_printf("%s/key", server.dir), *certificate = mem_printf("%s/certificate", server.dir);
	make_certificate("localhost", key, certificate);
	int said[2];
	assert_int_equal(pipe(said), 0);
	server.pid = fork();
	assert_true(server.pid >= 0);
	if (server.pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(said[1], STDOUT_FILENO);
		dup2(open("/dev/null", O_RDWR), STDERR_FILENO);
		execlp("openssl", "openssl", "s_server", "-accept", "127.0.0.1:0", "-key", key, "-cert", certificate, "-www", NULL);
		_exit(127);
	}
	close(said[1]);
	FILE *lines = fdopen(said[0], "r");
	char line[200];
	while (server.port == 0 && fgets(line, sizeof line, lines) != NULL)
		sscanf(line, "ACCEPT 127.0.0.1:%d", &server.port);
	fclose(lines);
	assert_true(server.port > 0);
	return server.port;
}

static void tls_is_checked(void **state) {
	struct fixture *f = *state;
	autofree char *plain = mem_printf("https://user:hunter2@127.0.0.1:%d/?token=hunter2", f->web.port);
	autofree char *silent = mem_printf("127.0.0.1:%d: timed out after 500ms, connecting", f->web.port);
	assert_why(f, &(struct http_call){.url = plain, .timeout_ms = SHORT_MS, .max_bytes = 1000}, silent);

	int port = start_tls_server();
	autofree char *url = mem_printf("https://127.0.0.1:%d/", port);
	autofree char *why = mem_printf("127.0.0.1:%d: SSL certificate problem: self-signed certificate", port);
	assert_why(f, &(struct http_call){.url = url, .timeout_ms = LONG_MS, .max_bytes = 1000}, why);
	end_server(SIGKILL);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(answers_arrive, setup, teardown),
		cmocka_unit_test_setup_teardown(connections_are_used_again, setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_sent, setup, teardown),
		cmocka_unit_test_setup_teardown(proxies_of_the_environment_are_ignored, setup, teardown),
		cmocka_unit_test_setup_teardown(bad_answers_say_why, setup, teardown),
		cmocka_unit_test_setup_teardown(bad_connections_say_why, setup, teardown),
		cmocka_unit_test_setup_teardown(bad_calls_are_told_from_the_loop, setup, teardown),
		cmocka_unit_test_setup_teardown(cancelled_in_flight, setup, teardown),
		cmocka_unit_test_setup_teardown(who_is_told_may_do_anything, setup, teardown),
		cmocka_unit_test_setup_teardown(a_name_that_is_looked_up_without_end, setup, teardown),
		cmocka_unit_test_setup_teardown(tls_is_checked, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
