#include "daemon/serve/control.h"

#include "common/catalogue.h"
#include "common/mem.h"
#include "common/rpc.h"
#include "daemon/base/log.h"
#include "daemon/serve/client.h"
#include "daemon/serve/listener.h"

#include <errno.h>
#include <ev.h>
#include <grp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utlist.h>

enum {
	MAX_CLIENTS = 256,
	/* Who is no operator can't take all the places: an operator must get in, to pause. */
	PLACES_FOR_OPERATORS = 32,
	MAX_CLIENTS_PER_USER = 64,
	ACCEPTS_PER_EVENT = 32,
};

static const double accept_retry_s = 0.5;

/* A group of the configuration; not known while it does not exist. */
struct group_id {
	bool known;
	gid_t gid;
};

struct control {
	struct ev_loop *loop;
	struct listener listener;
	ev_io acceptor;
	ev_timer accept_retry;
	struct client *clients;
	size_t nclients;
	struct group_id operators, viewers;
	control_dispatch_fn *dispatch;
	void *context;
};

static struct group_id resolve_group(const char *name, const char *key) {
	struct group_id id = {0};
	if (name == NULL || name[0] == '\0')
		return id;
	/* Groups with many members need room; 1 MiB is a thousand times the usual. */
	for (size_t size = 4096; size <= 1024 * 1024; size *= 4) {
		autofree char *buffer = mem_alloc(size);
		struct group entry;
		struct group *found = NULL;
		int why = getgrnam_r(name, &entry, buffer, size, &found);
		if (why == ERANGE)
			continue;
		if (found != NULL)
			return (struct group_id){.known = true, .gid = found->gr_gid};
		break;
	}
	log_warning(NULL, "%s: there is no group \"%s\": nobody gets this role by it", key, name);
	return id;
}

static bool is_member(const struct peer *peer, const struct group_id *group) {
	if (!group->known)
		return false;
	for (size_t i = 0; i < peer->ngroups; i++) {
		if (peer->groups[i] == group->gid)
			return true;
	}
	return false;
}

/* What this peer may call; PERMIT_LOCAL is nothing here. */
static enum permission role_of(const struct control *control, const struct peer *peer) {
	if (peer->uid == 0 || peer->uid == geteuid() || is_member(peer, &control->operators))
		return PERMIT_OPERATOR;
	return is_member(peer, &control->viewers) ? PERMIT_VIEWER : PERMIT_LOCAL;
}

/* The only place that checks permission. */
void control_serve(struct control *control, struct call *call) {
	const char *method = call_method(call);
	const struct catalogue_command *command = catalogue_find_method(method);
	if (command == NULL) {
		autofree char *message = mem_printf("there is no method \"%.64s\"", method);
		call_refuse(call, RPC_METHOD_NOT_FOUND, message);
		return;
	}
	const struct peer *peer = &call_client(call)->peer;
	if (role_of(control, peer) < command->permission) {
		const char *role = command->permission == PERMIT_OPERATOR ? "operator" : "viewer";
		struct error err;
		error_set(&err, ERROR_NOT_PERMITTED, "not permitted: %s needs the %s role", method, role);
		error_hint(&err, "ask to be put into the group that control.%ss names, or be root", role);
		log_warning(NULL, "control: refused %s to uid %lu (pid %ld)", method, (unsigned long)peer->uid, (long)peer->pid);
		call_fail(call, &err);
		return;
	}
	call_name_actor(call);
	control->dispatch(control->context, call);
}

void control_forget(struct control *control, struct client *client) {
	DL_DELETE(control->clients, client);
	control->nclients--;
}

static bool has_place(const struct control *control, const struct peer *peer) {
	if (control->nclients >= MAX_CLIENTS)
		return false;
	if (role_of(control, peer) == PERMIT_OPERATOR)
		return true;
	if (control->nclients >= MAX_CLIENTS - PLACES_FOR_OPERATORS)
		return false;
	size_t count = 0;
	const struct client *client = NULL;
	DL_FOREACH(control->clients, client) {
		if (client->peer.uid == peer->uid)
			count++;
	}
	return count < MAX_CLIENTS_PER_USER;
}

/* The socket is new, so its buffer takes the line. */
static void turn_away(int fd) {
	struct error err;
	error_set(&err, ERROR_TRY_AGAIN, "too many clients are connected (at most %d, %d of one user)", MAX_CLIENTS,
	          MAX_CLIENTS_PER_USER);
	error_hint(&err, "try again, or end waiting and following backfillctl processes");
	json_t *message = rpc_error_from(NULL, &err);
	autostrbuf line = {0};
	rpc_write(&line, message);
	json_decref(message);
	ssize_t ignored = send(fd, line.data, line.length, MSG_NOSIGNAL | MSG_DONTWAIT);
	(void)ignored;
	close(fd);
}

static void admit(struct control *control, int fd) {
	struct peer peer;
	if (!peer_read(fd, &peer)) {
		log_warning(NULL, "control: cannot tell who connects: %s", strerror(errno));
		close(fd);
		return;
	}
	if (!has_place(control, &peer)) {
		turn_away(fd);
		peer_free(&peer);
		return;
	}
	struct client *client = client_new(control, control->loop, fd, &peer);
	DL_APPEND(control->clients, client);
	control->nclients++;
}

static void on_connection(struct ev_loop *loop, ev_io *watcher, int events) {
	(void)events;
	struct control *control = watcher->data;
	for (int i = 0; i < ACCEPTS_PER_EVENT; i++) {
		int fd = accept4(watcher->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (fd >= 0) {
			admit(control, fd);
			continue;
		}
		if (errno == EINTR || errno == ECONNABORTED)
			continue;
		if (errno != EAGAIN && errno != EWOULDBLOCK) {
			/* Out of descriptors: the connection stays in the queue, so looking again at once would spin. */
			log_warning(NULL, "control: cannot accept a client: %s", strerror(errno));
			ev_io_stop(loop, watcher);
			ev_timer_again(loop, &control->accept_retry);
		}
		return;
	}
}

static void on_accept_retry(struct ev_loop *loop, ev_timer *watcher, int events) {
	(void)events;
	struct control *control = watcher->data;
	ev_timer_stop(loop, watcher);
	ev_io_start(loop, &control->acceptor);
}

static bool is_named(const char *group) {
	return group != NULL && group[0] != '\0';
}

struct control *control_new(struct ev_loop *loop, const struct control_options *options, control_dispatch_fn *dispatch,
                            void *context, struct error *err) {
	struct listener listener;
	bool groups = is_named(options->operators) || is_named(options->viewers);
	if (!listener_open(options->socket_path, groups, &listener, err))
		return NULL;
	struct control *control = mem_alloc(sizeof *control);
	control->loop = loop;
	control->listener = listener;
	control->dispatch = dispatch;
	control->context = context;
	control->operators = resolve_group(options->operators, "control.operators");
	control->viewers = resolve_group(options->viewers, "control.viewers");
	ev_io_init(&control->acceptor, on_connection, listener.fd, EV_READ);
	ev_init(&control->accept_retry, on_accept_retry);
	control->accept_retry.repeat = accept_retry_s;
	control->acceptor.data = control->accept_retry.data = control;
	ev_io_start(loop, &control->acceptor);
	return control;
}

void control_free(struct control *control) {
	if (control == NULL)
		return;
	ev_io_stop(control->loop, &control->acceptor);
	ev_timer_stop(control->loop, &control->accept_retry);
	struct client *client = NULL;
	struct client *next = NULL;
	DL_FOREACH_SAFE(control->clients, client, next) {
		client_drop(client);
	}
	listener_close(&control->listener);
	free(control);
}

void control_regroup(struct control *control, const char *operators, const char *viewers) {
	control->operators = resolve_group(operators, "control.operators");
	control->viewers = resolve_group(viewers, "control.viewers");
	listener_permit(&control->listener, is_named(operators) || is_named(viewers));
}

void control_notify(struct control *control, const json_t *event, const char *job) {
	autostrbuf line = {0};
	struct client *client = NULL;
	struct client *next = NULL;
	DL_FOREACH_SAFE(control->clients, client, next) {
		if (!client_follows(client, job))
			continue;
		if (line.length == 0) {
			json_t *message = rpc_notification("event", event);
			rpc_write(&line, message);
			json_decref(message);
		}
		client_send(client, line.data, line.length);
	}
}
