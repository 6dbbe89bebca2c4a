#include "ctl/connect.h"

#include "common/mem.h"

#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

struct connection {
	int fd;
	char *path;
	json_int_t last_id;
	struct rpc_reader reader;
};

static bool refused(const char *path, int why, struct error *err) {
	if (why == EACCES || why == EPERM) {
		error_set(err, ERROR_NOT_PERMITTED, "you may not connect to %s", path);
		return error_hint(err, "ask to be put into the operators' or viewers' group, or use sudo");
	}
	if (why == EAGAIN) {
		error_set(err, ERROR_TRY_AGAIN, "backfilld at %s is too busy to take a connection", path);
		return false;
	}
	error_set(err, ERROR_UNAVAILABLE, "no daemon answers at %s: %s", path, strerror(why));
	return error_hint(err, "start it (systemctl start backfilld), or name its socket with -s or $BACKFILLD_SOCKET");
}

struct connection *connect_open(const char *path, struct error *err) {
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	if (strlen(path) >= sizeof address.sun_path) {
		error_set(err, ERROR_USAGE, "the socket's path is too long: %s", path);
		return NULL;
	}
	snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0) {
		error_set(err, ERROR_INTERNAL, "cannot make a socket: %s", strerror(errno));
		return NULL;
	}
	if (connect(fd, (const struct sockaddr *)&address, sizeof address) < 0) {
		int why = errno;
		close(fd);
		refused(path, why, err);
		return NULL;
	}
	struct connection *connection = mem_alloc(sizeof *connection);
	connection->fd = fd;
	connection->path = mem_dup(path);
	connection->reader.max_bytes = RPC_MAX_RESPONSE_BYTES;
	return connection;
}

void connect_close(struct connection *connection) {
	if (connection == NULL)
		return;
	close(connection->fd);
	rpc_reader_free(&connection->reader);
	free(connection->path);
	free(connection);
}

static int64_t now_ms(void) {
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* deadline_ms < 0: none. */
static bool wait_for(const struct connection *connection, short events, int64_t deadline_ms, struct error *err) {
	struct pollfd poll_fd = {.fd = connection->fd, .events = events};
	for (;;) {
		int64_t left = deadline_ms < 0 ? -1 : deadline_ms - now_ms();
		if (deadline_ms >= 0 && left <= 0) {
			error_set(err, ERROR_TRY_AGAIN, "backfilld at %s does not answer", connection->path);
			return error_hint(err, "what was asked may still happen: look with backfillctl show");
		}
		int n = poll(&poll_fd, 1, left > 1000000 ? 1000000 : (int)left);
		if (n > 0)
			return true;
		if (n < 0 && errno != EINTR)
			return error_set(err, ERROR_INTERNAL, "poll: %s", strerror(errno));
	}
}

static bool lost(const struct connection *connection, int why, struct error *err) {
	error_set(err, ERROR_UNAVAILABLE, "backfilld at %s closed the connection%s%s", connection->path, why != 0 ? ": " : "",
	          why != 0 ? strerror(why) : "");
	return error_hint(err, "what was asked may have happened: look with backfillctl show once the daemon is back");
}

static bool send_all(struct connection *connection, const struct strbuf *line, int64_t deadline_ms, struct error *err) {
	size_t sent = 0;
	while (sent < line->length) {
		ssize_t n = send(connection->fd, line->data + sent, line->length - sent, MSG_NOSIGNAL);
		if (n >= 0)
			sent += (size_t)n;
		else if (errno == EPIPE || errno == ECONNRESET)
			return true; /* the daemon may have said why before it closed: read on */
		else if (errno != EAGAIN && errno != EINTR)
			return lost(connection, errno, err);
		else if (!wait_for(connection, POLLOUT, deadline_ms, err))
			return false;
	}
	return true;
}

static bool receive_until(struct connection *connection, int64_t deadline_ms, struct rpc_message *message, struct error *err) {
	for (;;) {
		const char *line = NULL;
		size_t length = 0;
		enum rpc_line got = rpc_reader_next(&connection->reader, &line, &length);
		if (got == RPC_LINE_READY)
			return rpc_parse_message(line, length, message, err);
		if (got == RPC_LINE_TOO_LONG)
			return error_set(err, ERROR_INTERNAL, "the daemon's answer is too long");
		if (!wait_for(connection, POLLIN, deadline_ms, err))
			return false;
		char buffer[65536];
		ssize_t n = recv(connection->fd, buffer, sizeof buffer, 0);
		if (n > 0)
			rpc_reader_add(&connection->reader, buffer, (size_t)n);
		else if (n == 0 || (errno != EAGAIN && errno != EINTR))
			return lost(connection, n == 0 ? 0 : errno, err);
	}
}

bool connect_receive(struct connection *connection, int timeout_ms, struct rpc_message *message, struct error *err) {
	return receive_until(connection, timeout_ms < 0 ? -1 : now_ms() + timeout_ms, message, err);
}

bool connect_call(struct connection *connection, const char *method, json_t *params, int timeout_ms, json_t **result,
                  struct error *err) {
	int64_t deadline_ms = now_ms() + timeout_ms;
	json_int_t id = ++connection->last_id;
	json_t *request = rpc_request(id, method, json_incref(params));
	autostrbuf line = {0};
	rpc_write(&line, request);
	json_decref(request);
	if (line.length > RPC_MAX_REQUEST_BYTES)
		return error_set(err, ERROR_DATA, "the request is larger than 1 MiB");
	if (!send_all(connection, &line, deadline_ms, err))
		return false;
	for (;;) {
		struct rpc_message message;
		if (!receive_until(connection, deadline_ms, &message, err))
			return false;
		/* An error without an id is about the connection: too many clients, for one. */
		bool ours = json_integer_value(message.id) == id || (message.failed && json_is_null(message.id));
		if (!ours) {
			rpc_message_free(&message);
			continue;
		}
		if (message.failed)
			*err = message.error;
		else
			*result = json_incref(message.result);
		bool ok = !message.failed;
		rpc_message_free(&message);
		return ok;
	}
}
