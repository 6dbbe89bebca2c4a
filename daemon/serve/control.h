/*
 * control.h: the Unix socket: JSON-RPC 2.0, an object a line. Knows who calls (SO_PEERCRED, SO_PEERGROUPS), checks the
 * catalogue's permission once, here, and hands the call to the dispatch function. Slow readers are dropped, never
 * waited for.
 */
#ifndef BACKFILLD_CONTROL_H
#define BACKFILLD_CONTROL_H

#include "common/error.h"

#include <jansson.h>
#include <stdbool.h>

struct ev_loop;
struct control;

/* One call of a client; answered exactly once, now or later, even if the client has gone. */
struct call;
const char *call_method(const struct call *call);
const json_t *call_params(const struct call *call);                 /* an object, never NULL */
const char *call_actor(const struct call *call);                    /* user name, or "uid 1000" */
const char *call_string(const struct call *call, const char *name); /* NULL if missing or not a string */
bool call_bool(const struct call *call, const char *name);          /* false if missing */
/* Answers and frees the call. `result` is stolen. */
void call_reply(struct call *call, json_t *result);
void call_fail(struct call *call, const struct error *err);
/* events.follow: call_reply as usual, after which notifications of control_notify reach this client. `job` filters; NULL = all.
 */
void call_follow(struct call *call, const char *job);

typedef void control_dispatch_fn(void *context, struct call *call);

struct control_options {
	const char *socket_path;
	const char *operators; /* group names; NULL = none */
	const char *viewers;
};

/* Takes the lock file beside the socket, removes a stale socket, binds with a safe umask, listens. */
struct control *control_new(struct ev_loop *loop, const struct control_options *options, control_dispatch_fn *dispatch,
                            void *context, struct error *err);
/* Stops listening, drops every client, removes the socket; the lock ends with the process. */
void control_free(struct control *control);
/* After a reload: other groups. */
void control_regroup(struct control *control, const char *operators, const char *viewers);
/* Sends {"jsonrpc":"2.0","method":"event","params":event} to the followers; borrows. */
void control_notify(struct control *control, const json_t *event, const char *job);

#endif
