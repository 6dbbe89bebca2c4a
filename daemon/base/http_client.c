/*
 * http_client.c: one easy handle a request; the multi handle keeps the connections. What libcurl finds done gets a timer that is
 * due at once, from which it is told: so nothing of libcurl's is on the stack then, and whoever is told may free everything.
 *
 * The deadline is ours, not libcurl's: to end a request whose name is still looked up, libcurl 7.88 waits for its thread, which
 * may hang in a resolver for half a minute. Such a request is told and forgotten instead; when the look-up ends, no socket is
 * made for it, which ends it. https://curl.se/libcurl/c/CURLOPT_QUICK_EXIT.html says when libcurl does not wait; then, if the
 * look-up ends at that very moment, it touches what the thread has freed (Curl_resolver_kill). We need that only where the client
 * is freed.
 */
#include "daemon/base/http_client.h"

#include "common/duration.h"
#include "common/mem.h"
#include "common/strbuf.h"
#include "common/text.h"
#include "common/version.h"
#include "daemon/base/clock.h"

#include <assert.h>
#include <curl/curl.h>
#include <errno.h>
#include <ev.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utlist.h>

/* Idle ones, for all servers together. By default libcurl keeps four for each request under way, which is too few for a dozen
 * probes that take turns. */
static const long max_connections = 32;

struct http_client {
	struct ev_loop *loop;
	CURLM *multi; /* NULL: libcurl can't be initialised */
	ev_timer timer;
	struct http_request *requests;
};

struct http_request {
	struct http_request *prev, *next; /* of the client's list */
	struct http_client *client;
	CURL *easy; /* NULL: the call can't be made */
	CURLU *url;
	struct curl_slist *headers;
	http_done_fn *fn; /* NULL: cancelled while its name is looked up */
	void *context;
	ev_timer timer;  /* the deadline; once it is finished, due at once */
	bool looking_up; /* in a thread of libcurl's */
	bool finished;
	int socket_error; /* why the last one could not be made; 0: it could */
	int timeout_ms;
	size_t max_bytes;
	struct strbuf body;
	char place[HTTP_PLACE_BYTES];
	char said[CURL_ERROR_SIZE];
	int64_t began_us;
	struct http_response response;
};

/* A socket that libcurl waits for. */
struct watch {
	struct http_client *client;
	ev_io io;
};

/* --- what went wrong, for a person --- */

/* One entry per code whose text in libcurl is for programmers; libcurl's own words are shown of the others. */
static const struct {
	CURLcode code;
	const char *why;
} reasons[] = {
	{CURLE_COULDNT_RESOLVE_HOST, "its name can't be resolved"},
	{CURLE_GOT_NOTHING, "it closed the connection without an answer"},
	{CURLE_PARTIAL_FILE, "it closed the connection in the middle of the answer"},
	{CURLE_SEND_ERROR, "the connection was lost"},
	{CURLE_RECV_ERROR, "the connection was lost"},
	{CURLE_UNSUPPORTED_PROTOCOL, "what it answers is not HTTP"}, /* HTTP 0.9, which may be anything; the scheme was looked at */
	{CURLE_WEIRD_SERVER_REPLY, "what it answers is not HTTP"},
};

static const char *why_of(const struct http_request *request, CURLcode code) {
	long os_error = request->socket_error;
	for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++)
		if (reasons[i].code == code)
			return reasons[i].why;
	if (code == CURLE_COULDNT_CONNECT && os_error == 0)
		curl_easy_getinfo(request->easy, CURLINFO_OS_ERRNO, &os_error);
	if (code == CURLE_COULDNT_CONNECT && os_error != 0)
		return strerror((int)os_error);
	/* Of TLS only this says what is wrong: it names certificates and hosts, never what is asked for. */
	bool is_tls = code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_CONNECT_ERROR;
	return is_tls && request->said[0] != '\0' ? request->said : curl_easy_strerror(code);
}

static bool has_reached(const struct http_request *request, CURLINFO time) {
	curl_off_t us = 0;
	return curl_easy_getinfo(request->easy, time, &us) == CURLE_OK && us > 0;
}

static const char *what_was_waited_for(const struct http_request *request) {
	if (has_reached(request, CURLINFO_STARTTRANSFER_TIME_T))
		return "in the middle of the answer";
	if (has_reached(request, CURLINFO_PRETRANSFER_TIME_T))
		return "waiting for the answer";
	return request->looking_up ? "looking up its name" : "connecting"; /* TLS is a part of it */
}

static void say_why(struct http_request *request, const char *why) {
	char line[sizeof request->response.why];
	text_one_line(line, sizeof line, why); /* a server may have had a say in it */
	text_format(request->response.why, sizeof request->response.why, "%s%s%s", request->place,
	            request->place[0] != '\0' ? ": " : "", line);
}

/* --- the end of a request --- */

static void request_free(struct http_request *request) {
	ev_timer_stop(request->client->loop, &request->timer);
	DL_DELETE(request->client->requests, request);
	if (request->easy != NULL)
		curl_multi_remove_handle(request->client->multi, request->easy);
	curl_easy_cleanup(request->easy);
	curl_url_cleanup(request->url);
	curl_slist_free_all(request->headers);
	strbuf_free(&request->body);
	free(request);
}

void http_cancel(struct http_request *request) {
	if (request == NULL)
		return;
	ev_timer_stop(request->client->loop, &request->timer);
	request->fn = NULL;
	if (!request->looking_up)
		request_free(request); /* or else take_finished does it */
}

static void deliver(struct http_request *request) {
	http_done_fn *fn = request->fn;
	void *context = request->context;
	struct http_response response = request->response;
	autostrbuf body = request->body;
	request->body = (struct strbuf){0};
	response.body = response.answered && body.data != NULL ? body.data : "";
	response.length = response.answered ? body.length : 0;
	http_cancel(request);
	fn(context, &response);
}

static void timer_is_due(struct ev_loop *loop, ev_timer *w, int revents) {
	(void)loop, (void)revents;
	struct http_request *request = w->data;
	if (!request->finished) {
		autofree char *length = duration_format_ms(request->timeout_ms);
		autofree char *why = mem_printf("timed out after %s, %s", length, what_was_waited_for(request));
		say_why(request, why);
		request->response.duration_us = clock_monotonic_us() - request->began_us;
	}
	deliver(request);
}

static void set_timer(struct http_request *request, int after_ms) {
	struct ev_loop *loop = request->client->loop;
	ev_timer_stop(loop, &request->timer);
	ev_now_update(loop); /* the loop's time may lie behind */
	ev_timer_set(&request->timer, after_ms / 1000., 0.);
	ev_timer_start(loop, &request->timer);
}

/* It is told from the loop. */
static void finish(struct http_request *request) {
	request->finished = true;
	request->response.duration_us = clock_monotonic_us() - request->began_us;
	set_timer(request, 0);
}

static void done(struct http_request *request, CURLcode code) {
	if (code == CURLE_OK) {
		request->response.answered = true;
		curl_easy_getinfo(request->easy, CURLINFO_RESPONSE_CODE, &request->response.status);
	} else if (code == CURLE_WRITE_ERROR || code == CURLE_FILESIZE_EXCEEDED) { /* nothing else makes add_to_body refuse */
		autofree char *why = mem_printf("the answer is longer than %zu bytes", request->max_bytes);
		say_why(request, why);
	} else {
		say_why(request, why_of(request, code));
	}
	finish(request);
}

static void take_finished(struct http_client *client) {
	int left;
	for (CURLMsg *message; (message = curl_multi_info_read(client->multi, &left)) != NULL;) {
		struct http_request *request = NULL;
		if (message->msg != CURLMSG_DONE)
			continue;
		CURLcode code = message->data.result; /* the message lasts no longer than the handle */
		curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &request);
		request->looking_up = false;
		if (request->fn == NULL)
			request_free(request);
		else
			done(request, code);
	}
}

/* --- libcurl's sockets and timer --- */

static void act(struct http_client *client, curl_socket_t fd, int what) {
	int running;
	curl_multi_socket_action(client->multi, fd, what, &running);
	take_finished(client);
}

static void socket_is_ready(struct ev_loop *loop, ev_io *w, int revents) {
	(void)loop;
	struct watch *watch = w->data;
	act(watch->client, w->fd,
	    ((revents & EV_READ) != 0 ? CURL_CSELECT_IN : 0) | ((revents & EV_WRITE) != 0 ? CURL_CSELECT_OUT : 0));
}

static void multi_timer_is_due(struct ev_loop *loop, ev_timer *w, int revents) {
	(void)loop, (void)revents;
	act(w->data, CURL_SOCKET_TIMEOUT, 0);
}

static int watch_socket(CURL *easy, curl_socket_t fd, int what, void *context, void *known) {
	(void)easy;
	struct http_client *client = context;
	struct watch *watch = known;
	if (watch != NULL)
		ev_io_stop(client->loop, &watch->io);
	if (what == CURL_POLL_REMOVE) {
		free(watch);
		return 0;
	}
	if (watch == NULL) {
		watch = mem_alloc(sizeof *watch);
		watch->client = client;
		curl_multi_assign(client->multi, fd, watch);
	}
	ev_io_init(&watch->io, socket_is_ready, fd,
	           ((what & CURL_POLL_IN) != 0 ? EV_READ : 0) | ((what & CURL_POLL_OUT) != 0 ? EV_WRITE : 0));
	watch->io.data = watch;
	ev_io_start(client->loop, &watch->io);
	return 0;
}

static int set_multi_timer(CURLM *multi, long timeout_ms, void *context) {
	(void)multi;
	struct http_client *client = context;
	ev_timer_stop(client->loop, &client->timer);
	if (timeout_ms < 0)
		return 0;
	ev_now_update(client->loop);
	ev_timer_set(&client->timer, (double)timeout_ms / 1000., 0.);
	ev_timer_start(client->loop, &client->timer);
	return 0;
}

/* --- libcurl's questions in the course of a request --- */

static int look_up_begins(void *resolver, void *unused, void *context) {
	(void)resolver, (void)unused;
	struct http_request *request = context;
	request->looking_up = true;
	return 0;
}

static curl_socket_t make_socket(void *context, curlsocktype purpose, struct curl_sockaddr *address) {
	(void)purpose;
	struct http_request *request = context;
	request->looking_up = false;
	if (request->fn == NULL)
		return CURL_SOCKET_BAD;
	int fd = socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
	request->socket_error = fd < 0 ? errno : 0;
	return fd;
}

static size_t add_to_body(char *bytes, size_t one, size_t count, void *context) {
	struct http_request *request = context;
	size_t length = one * count;
	if (length > request->max_bytes - request->body.length)
		return CURL_WRITEFUNC_ERROR;
	strbuf_add_n(&request->body, bytes, length);
	return length;
}

/* --- the begin of a request --- */

static bool is_http(CURLU *url) {
	char *scheme = NULL;
	bool is = curl_url_get(url, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
	          (strcmp(scheme, "http") == 0 || strcmp(scheme, "https") == 0);
	curl_free(scheme);
	return is;
}

static CURLUcode name_place(CURLU *url, char *out, size_t size) {
	char *host = NULL, *port = NULL;
	CURLUcode code = curl_url_get(url, CURLUPART_HOST, &host, 0);
	if (code == CURLUE_OK)
		code = curl_url_get(url, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT);
	if (code == CURLUE_OK)
		text_format(out, size, "%.255s:%s", host, port);
	curl_free(host);
	curl_free(port);
	return code;
}

/* Queries are often pasted as they are, with their spaces. */
static CURLUcode set_url(CURLU *url, const char *text) {
	return curl_url_set(url, CURLUPART_URL, text, CURLU_ALLOW_SPACE | CURLU_URLENCODE);
}

void http_place(const char *text, char *out, size_t size) {
	CURLU *url = curl_url();
	out[0] = '\0';
	if (set_url(url, text) == CURLUE_OK)
		name_place(url, out, size);
	curl_url_cleanup(url);
}

/* By libcurl's own parser: what is shown is where the request goes. NULL, or what is wrong; of the URL itself it shows nothing,
 * as nobody knows which part is a password. */
static const char *read_url(struct http_request *request, const char *text) {
	request->url = curl_url();
	CURLUcode code = set_url(request->url, text);
	if (code == CURLUE_UNSUPPORTED_SCHEME || (code == CURLUE_OK && !is_http(request->url)))
		return "the URL begins with neither http:// nor https://";
	if (code == CURLUE_OK)
		code = name_place(request->url, request->place, sizeof request->place);
	if (code == CURLUE_OK)
		return NULL;
	snprintf(request->said, sizeof request->said, "the URL can't be read: %s", curl_url_strerror(code));
	return request->said;
}

static const char *copy_headers(struct http_request *request, const char *const *headers) {
	for (; headers != NULL && *headers != NULL; headers++) {
		if (strpbrk(*headers, "\r\n") != NULL) /* what follows would be another header */
			return "a header has a line break";
		request->headers = curl_slist_append(request->headers, *headers);
	}
	return NULL;
}

/* What every request has. None of it fails: memory is always there (mem.h). */
static void set_options(struct http_request *request) {
	CURL *easy = request->easy;
	curl_easy_setopt(easy, CURLOPT_PRIVATE, request);
	curl_easy_setopt(easy, CURLOPT_CURLU, request->url);
	curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(easy, CURLOPT_PROXY, ""); /* and not the environment's */
	curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(easy, CURLOPT_USERAGENT, "backfilld/" BACKFILLD_VERSION);
	curl_easy_setopt(easy, CURLOPT_HTTPHEADER, request->headers);
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L); /* signals are the loop's */
	curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
	curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, request->said);
	curl_easy_setopt(easy, CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)request->max_bytes); /* if it says so beforehand */
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, add_to_body);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, request);
	curl_easy_setopt(easy, CURLOPT_RESOLVER_START_FUNCTION, look_up_begins);
	curl_easy_setopt(easy, CURLOPT_RESOLVER_START_DATA, request);
	curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, make_socket);
	curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, request);
}

/* NULL, or why there will be no answer. */
static const char *prepare(struct http_request *request, const struct http_call *call) {
	const char *why = read_url(request, call->url);
	if (why == NULL)
		why = copy_headers(request, call->headers);
	if (why != NULL)
		return why;
	if (request->client->multi != NULL)
		request->easy = curl_easy_init();
	if (request->easy == NULL)
		return "libcurl can't be initialised";
	set_options(request);
	return NULL;
}

static struct http_request *request_new(struct http_client *client, const struct http_call *call, http_done_fn *fn,
                                        void *context) {
	assert(call->timeout_ms > 0);
	struct http_request *request = mem_alloc(sizeof *request);
	request->client = client;
	request->fn = fn;
	request->context = context;
	request->timeout_ms = call->timeout_ms;
	request->max_bytes = call->max_bytes;
	request->began_us = clock_monotonic_us();
	ev_timer_init(&request->timer, timer_is_due, 0., 0.);
	request->timer.data = request;
	DL_APPEND(client->requests, request);
	return request;
}

struct http_request *http_get(struct http_client *client, const struct http_call *call, http_done_fn *fn, void *context) {
	struct http_request *request = request_new(client, call, fn, context);
	const char *why = prepare(request, call);
	if (why != NULL) {
		say_why(request, why);
		finish(request);
		return request;
	}
	set_timer(request, call->timeout_ms);
	curl_multi_add_handle(client->multi, request->easy); /* all that follows comes from the loop */
	return request;
}

/* --- the client --- */

struct http_client *http_client_new(struct ev_loop *loop) {
	struct http_client *client = mem_alloc(sizeof *client);
	client->loop = loop;
	ev_timer_init(&client->timer, multi_timer_is_due, 0., 0.);
	client->timer.data = client;
	/* It counts, and is never taken back: that is not allowed while a forgotten look-up runs. */
	if (curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK)
		client->multi = curl_multi_init();
	curl_multi_setopt(client->multi, CURLMOPT_SOCKETFUNCTION, watch_socket);
	curl_multi_setopt(client->multi, CURLMOPT_SOCKETDATA, client);
	curl_multi_setopt(client->multi, CURLMOPT_TIMERFUNCTION, set_multi_timer);
	curl_multi_setopt(client->multi, CURLMOPT_TIMERDATA, client);
	curl_multi_setopt(client->multi, CURLMOPT_MAXCONNECTS, max_connections);
	return client;
}

void http_client_free(struct http_client *client) {
	if (client == NULL)
		return;
	struct http_request *request = NULL;
	struct http_request *next = NULL;
	DL_FOREACH_SAFE(client->requests, request, next) {
		request_free(request);
	}
	curl_multi_cleanup(client->multi);
	ev_timer_stop(client->loop, &client->timer);
	free(client);
}
