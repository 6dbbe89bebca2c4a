#include "daemon/serve/client.h"

#include "common/mem.h"
#include "daemon/base/log.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utlist.h>

struct call {
	struct call *prev, *next;
	struct client *client; /* NULL: gone, the answer goes nowhere */
	struct rpc_request request;
	char *actor;
	char *follow_job;
	bool follow;
};

static void client_destroy(struct client *client) {
	rpc_reader_free(&client->input);
	strbuf_free(&client->output);
	peer_free(&client->peer);
	free(client->follow_job);
	free(client);
}

/* Whoever works on a client may see it dropped by what he calls: the memory stays until he is done. */
static void enter(struct client *client) {
	client->busy++;
}

static void leave(struct client *client) {
	if (--client->busy == 0 && client->dropped)
		client_destroy(client);
}

void client_drop(struct client *client) {
	if (client->dropped)
		return;
	client->dropped = true;
	ev_io_stop(client->loop, &client->reader);
	ev_io_stop(client->loop, &client->writer);
	ev_timer_stop(client->loop, &client->watchdog);
	close(client->fd);
	struct call *call = NULL;
	struct call *next = NULL;
	DL_FOREACH_SAFE(client->calls, call, next) {
		call->client = NULL;
	}
	client->calls = NULL;
	control_forget(client->control, client);
	if (client->busy == 0)
		client_destroy(client);
}

static bool may_read(const struct client *client) {
	return client->ncalls < CLIENT_MAX_CALLS && client->output.length < CLIENT_PAUSE_BYTES;
}

static bool has_input(const struct client *client) {
	return client->input.buffer.length > client->input.start;
}

/* Nothing more can come of it: no request, no answer, no event. */
static bool finished(const struct client *client) {
	if (client->output.length > 0)
		return false;
	return client->closing || (client->ended && client->ncalls == 0 && !client->following && !has_input(client));
}

/* Brings the watchers in line with the state. */
static void settle(struct client *client) {
	if (client->dropped)
		return;
	if (finished(client)) {
		client_drop(client);
		return;
	}
	if (client->output.length > 0)
		ev_io_start(client->loop, &client->writer);
	else
		ev_io_stop(client->loop, &client->writer);

	if (client->output.length == 0 && !client->ended)
		ev_timer_stop(client->loop, &client->watchdog);
	else if (!ev_is_active(&client->watchdog)) {
		client->progress = false;
		ev_timer_again(client->loop, &client->watchdog);
	}

	bool read = may_read(client) && !client->closing;
	if (read && !client->ended)
		ev_io_start(client->loop, &client->reader);
	else
		ev_io_stop(client->loop, &client->reader);
	/* Lines held back earlier: from the loop, never from inside the call_reply that made room. */
	if (read && has_input(client) && client->input.scanned < client->input.buffer.length)
		ev_feed_event(client->loop, &client->reader, EV_CUSTOM);
}

static void flush(struct client *client) {
	size_t sent = 0;
	while (sent < client->output.length) {
		ssize_t n = send(client->fd, client->output.data + sent, client->output.length - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			break;
		if (n < 0) {
			client_drop(client);
			return;
		}
		sent += (size_t)n;
		client->progress = true;
	}
	if (sent == client->output.length)
		strbuf_free(&client->output);
	else
		strbuf_consume(&client->output, sent);
}

void client_send(struct client *client, const char *lines, size_t length) {
	if (client->dropped)
		return;
	/* Judged before adding: one long answer to a reader that keeps up is fine. */
	if (client->output.length > CLIENT_DROP_BYTES) {
		log_warning(NULL, "control: dropped a client (pid %ld) that does not read: %zu bytes wait", (long)client->peer.pid,
		            client->output.length);
		client_drop(client);
		return;
	}
	enter(client);
	bool idle = client->output.length == 0;
	strbuf_add_n(&client->output, lines, length);
	if (idle)
		flush(client);
	/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): whoever calls has entered, so it is still there. */
	settle(client);
	leave(client);
}

/* Steals the message. */
static void send_message(struct client *client, json_t *message) {
	autostrbuf line = {0};
	rpc_write(&line, message);
	json_decref(message);
	client_send(client, line.data, line.length);
}

bool client_follows(const struct client *client, const char *job) {
	if (!client->following)
		return false;
	return client->follow_job == NULL || (job != NULL && strcmp(client->follow_job, job) == 0);
}

static void serve_line(struct client *client, const char *line, size_t length) {
	struct rpc_request request;
	struct rpc_fault fault;
	if (!rpc_parse_request(line, length, &request, &fault)) {
		send_message(client, rpc_error(fault.id, fault.code, fault.message));
		rpc_fault_free(&fault);
		return;
	}
	struct call *call = mem_alloc(sizeof *call);
	call->client = client;
	call->request = request;
	DL_APPEND(client->calls, call);
	client->ncalls++;
	control_serve(client->control, call);
}

static void refuse_framing(struct client *client) {
	client->closing = true; /* where the next request would begin is not known any more */
	send_message(client, rpc_error(NULL, RPC_INVALID_REQUEST, "a request is one line of at most 1 MiB; closing"));
}

static void serve_lines(struct client *client) {
	const char *line = NULL;
	size_t length = 0;
	/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): whoever calls has entered, so it is still there. */
	while (!client->dropped && !client->closing && may_read(client)) {
		switch (rpc_reader_next(&client->input, &line, &length)) {
		case RPC_LINE_NONE:
			return;
		case RPC_LINE_TOO_LONG:
			refuse_framing(client);
			return;
		case RPC_LINE_READY:
			serve_line(client, line, length);
			break;
		}
	}
}

/* A client that ended its side may still read (socat does), or be gone: only poll tells them apart. */
static bool is_gone(const struct client *client) {
	struct pollfd poll_fd = {.fd = client->fd};
	return poll(&poll_fd, 1, 0) > 0 && (poll_fd.revents & (POLLHUP | POLLERR | POLLNVAL)) != 0;
}

static void read_some(struct client *client) {
	char buffer[16384];
	ssize_t n = recv(client->fd, buffer, sizeof buffer, MSG_DONTWAIT);
	if (n > 0) {
		rpc_reader_add(&client->input, buffer, (size_t)n);
	} else if (n == 0) {
		client->ended = true;
		/* The last line may lack its end; an empty one is skipped. */
		rpc_reader_add(&client->input, "\n", 1);
	} else if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR) {
		client_drop(client);
	}
}

static void on_readable(struct ev_loop *loop, ev_io *watcher, int events) {
	(void)loop;
	struct client *client = watcher->data;
	enter(client);
	if ((events & EV_READ) != 0 && !client->ended)
		read_some(client);
	serve_lines(client);
	/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): whoever calls has entered, so it is still there. */
	if (!client->dropped && client->ended && is_gone(client))
		client_drop(client);
	settle(client);
	leave(client);
}

static void on_writable(struct ev_loop *loop, ev_io *watcher, int events) {
	(void)loop;
	(void)events;
	struct client *client = watcher->data;
	enter(client);
	flush(client);
	settle(client);
	leave(client);
}

static void on_watchdog(struct ev_loop *loop, ev_timer *watcher, int events) {
	(void)loop;
	(void)events;
	struct client *client = watcher->data;
	if (client->output.length > 0 && !client->progress) {
		log_warning(NULL, "control: dropped a client (pid %ld) that has not read for %d s", (long)client->peer.pid,
		            CLIENT_WATCHDOG_S);
		client_drop(client);
	} else if (client->ended && is_gone(client)) {
		client_drop(client);
	} else {
		client->progress = false;
	}
}

struct client *client_new(struct control *control, struct ev_loop *loop, int fd, const struct peer *peer) {
	struct client *client = mem_alloc(sizeof *client);
	client->control = control;
	client->loop = loop;
	client->fd = fd;
	client->peer = *peer;
	client->input.max_bytes = RPC_MAX_REQUEST_BYTES;
	ev_io_init(&client->reader, on_readable, fd, EV_READ);
	ev_io_init(&client->writer, on_writable, fd, EV_WRITE);
	ev_init(&client->watchdog, on_watchdog);
	client->watchdog.repeat = CLIENT_WATCHDOG_S;
	client->reader.data = client->writer.data = client->watchdog.data = client;
	ev_io_start(loop, &client->reader);
	return client;
}

const char *call_method(const struct call *call) {
	return call->request.method;
}

const json_t *call_params(const struct call *call) {
	return call->request.params;
}

const char *call_actor(const struct call *call) {
	return call->actor;
}

const char *call_string(const struct call *call, const char *name) {
	return json_string_value(json_object_get(call->request.params, name));
}

bool call_bool(const struct call *call, const char *name) {
	return json_is_true(json_object_get(call->request.params, name));
}

const struct client *call_client(const struct call *call) {
	return call->client;
}

void call_name_actor(struct call *call) {
	free(call->actor);
	call->actor = peer_name(&call->client->peer);
}

void call_follow(struct call *call, const char *job) {
	free(call->follow_job);
	call->follow_job = mem_dup(job);
	call->follow = true;
}

/* Steals the message; `answered`: not an error, so following begins. */
static void finish(struct call *call, json_t *message, bool answered) {
	struct client *client = call->client;
	if (client != NULL) {
		enter(client);
		DL_DELETE(client->calls, call);
		client->ncalls--;
		if (call->follow && answered) {
			free(client->follow_job);
			client->follow_job = call->follow_job;
			call->follow_job = NULL;
			client->following = true;
		}
		send_message(client, message);
		/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): whoever calls has entered, so it is still there. */
		leave(client);
	} else {
		json_decref(message);
	}
	rpc_request_free(&call->request);
	free(call->actor);
	free(call->follow_job);
	free(call);
}

void call_reply(struct call *call, json_t *result) {
	finish(call, rpc_response(call->request.id, result), true);
}

void call_fail(struct call *call, const struct error *err) {
	finish(call, rpc_error_from(call->request.id, err), false);
}

void call_refuse(struct call *call, enum rpc_code code, const char *message) {
	finish(call, rpc_error(call->request.id, code, message), false);
}
