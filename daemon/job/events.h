/*
 * events.h: what happened, for those who care. Jobs publish; the audit table, the control socket's followers and later
 * webhooks and metrics subscribe. Synchronous and in order.
 */
#ifndef BACKFILLD_EVENTS_H
#define BACKFILLD_EVENTS_H

#include <jansson.h>
#include <stdint.h>

struct event {
	int64_t seq;        /* the audit table's number; 0 until stored */
	int64_t at_us;      /* wall clock */
	const char *event;  /* "job.started" */
	const char *job;    /* NULL if none */
	const char *target; /* NULL if none */
	const char *actor;  /* "alice", "backfilld" */
	const char *reason; /* NULL if none */
	json_t *data;       /* an object; borrowed; NULL = {} */
};

struct events;
typedef void event_fn(void *context, const struct event *event);

struct events *events_new(void);
void events_free(struct events *events);
/* Returns a number for events_unsubscribe. */
int events_subscribe(struct events *events, event_fn *fn, void *context);
void events_unsubscribe(struct events *events, int subscription);
void events_publish(struct events *events, const struct event *event);
/* { "seq", "at", "event", "job", "target", "actor", "reason", "data" }: a new reference. */
json_t *event_to_json(const struct event *event);

#endif
