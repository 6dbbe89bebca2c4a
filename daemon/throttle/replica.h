/*
 * replica.h: what is known of one replica's lag: of a configured one, which is asked for the heartbeat that has arrived there, or
 * of one that the primary's list of those that follow it tells of. Owns the connection to it.
 */
#ifndef BACKFILLD_REPLICA_H
#define BACKFILLD_REPLICA_H

#include "daemon/throttle/probe.h"

struct replica;

/* How the heartbeat is, as replicas have to know it. */
struct heartbeat {
	char instance[33]; /* which process's clock it carries */
	int64_t since_us;  /* when it began: older ones say nothing about now */
	char known_as[64]; /* by what replicas know the primary */
};

/* `url` NULL: one of the primary's list. host and heartbeat outlive it. */
struct replica *replica_new(const struct probe_host *host, const struct heartbeat *heartbeat, const char *name, const char *url);
void replica_free(struct replica *replica); /* NULL allowed */

const char *replica_name(const struct replica *replica);
const char *replica_url(const struct replica *replica); /* NULL: of the list */
const struct reading *replica_reading(const struct replica *replica);

/* Makes its connection, if it has a url; the first reading is awaited. */
void replica_watch(struct replica *replica);
void replica_unwatch(struct replica *replica);
/* Asks it, unless it is still at the last question. */
void replica_ask(struct replica *replica);
/* What it showed before is no lag of now: a known lag is awaited anew. */
void replica_await(struct replica *replica);

/* One row of the primary's list (sql/…/heartbeat_standbys.sql). */
void replica_listed(struct replica *replica, const struct engine_result *result, int row, int64_t now_us);
/* The newest list does not have it. */
void replica_vanished(struct replica *replica);
/* There is no newest list: the primary is gone. */
void replica_unlisted(struct replica *replica);

enum { REPLICA_STATEMENT_TIMEOUT_MS = 1000 };
/* How often the primary is asked for its list. */
extern const int64_t replica_list_every_us;

#endif
