/*
 * connecting.h: makes a connection in a short-lived thread, for any engine. Name look-ups, password files, TLS and
 * authentication block in there and nowhere else. Here are the thread, its being abandoned, and the deadline for everything;
 * the engine says how its client library connects.
 */
#ifndef BACKFILLD_CONNECTING_H
#define BACKFILLD_CONNECTING_H

#include "daemon/engine/engine.h"

struct connecting_method {
	/* In the thread, and may block: a session, or what says why there is none. */
	void *(*connect)(const void *plan);
	/* On the loop: takes what connect has brought. NULL, and err says why ("password refused"), if that is no session. */
	struct engine_conn *(*arrive)(struct ev_loop *loop, void *brought, struct error *err);
	/* Frees what connect has brought and nobody wants, in either thread. NULL allowed. */
	void (*drop)(void *brought);
	void (*free_plan)(void *plan);
};

/* What a connection is to be made of. */
struct connecting_plan {
	const struct connecting_method *method;
	void *plan;       /* all that the thread needs; taken. NULL: there is none, as the URL can't be read */
	struct error err; /* why there is none */
	char place[256];  /* "database "x" at host:port"; never a password */
	int timeout_s;    /* for everything */
};

/* Tells fn as engine.h says: never before it returns. */
struct engine_connecting *connecting_start(struct ev_loop *loop, const struct connecting_plan *plan, engine_connected_fn *fn,
                                           void *context);
/* An engine's connect_abandon. NULL allowed. */
void connecting_abandon(struct engine_connecting *connecting);

#endif
