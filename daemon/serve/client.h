/*
 * client.h: one connection of the control socket: its lines, its calls under way, its back-pressure. Private to
 * control.c, which owns the list of clients and decides what a caller may do.
 */
#ifndef BACKFILLD_CLIENT_H
#define BACKFILLD_CLIENT_H

#include "common/rpc.h"
#include "daemon/serve/control.h"
#include "daemon/serve/listener.h"

#include <ev.h>
#include <stddef.h>

enum {
	CLIENT_MAX_CALLS = 4,                /* under way for one client; more wait in its socket: a list may cost the loop 100 ms */
	CLIENT_PAUSE_BYTES = 256 * 1024,     /* unread answers; above this we read no further requests */
	CLIENT_DROP_BYTES = 4 * 1024 * 1024, /* unread answers; above this the client is dropped */
	CLIENT_WATCHDOG_S = 10,              /* nothing read for this long while answers wait: dropped */
};

struct client {
	struct client *prev, *next; /* of control.c's list */
	struct control *control;
	struct peer peer;
	int fd;
	struct ev_loop *loop;
	ev_io reader, writer;
	ev_timer watchdog; /* runs only while output waits or the client has ended its side */
	struct rpc_reader input;
	struct strbuf output;
	struct call *calls; /* under way */
	size_t ncalls;
	char *follow_job;
	bool following;
	bool ended;    /* it sends no more */
	bool closing;  /* dropped once the output is sent */
	bool progress; /* it read something since the watchdog looked */
	bool dropped;  /* freed when busy is 0 */
	int busy;      /* how many of our functions are using it */
};

/* Takes fd and the peer's content. */
struct client *client_new(struct control *control, struct ev_loop *loop, int fd, const struct peer *peer);
/* Closes; calls under way go on without it. Safe while the client is being served. */
void client_drop(struct client *client);
/* Queues whole lines and sends what the socket takes; may drop the client. */
void client_send(struct client *client, const char *lines, size_t length);
/* Whether it follows this event. */
bool client_follows(const struct client *client, const char *job);

/* Answers one call with a JSON-RPC error and frees it. */
void call_refuse(struct call *call, enum rpc_code code, const char *message);
/* Looked up only now, for a call that will be served: name services may be slow. */
void call_name_actor(struct call *call);
const struct client *call_client(const struct call *call);

/* Of control.c: the permission check and the dispatcher; and taking a client off the list. */
void control_serve(struct control *control, struct call *call);
void control_forget(struct control *control, struct client *client);

#endif
