/* target_events.c: events of a target, stored and then published: by themselves, or as a step of the transaction that they tell
 * of. */
#include "common/mem.h"
#include "daemon/base/clock.h"
#include "daemon/base/log.h"
#include "daemon/engine/transaction.h"
#include "daemon/job/target.h"

#include <stdlib.h>

enum { EVENT_PATIENCE_MS = 60000 };

struct pending_event {
	struct target *target;
	struct event event;
	char *name, *job, *actor, *reason;
	char *target_name;
	json_t *data;
};

static void pending_event_free(struct pending_event *pending) {
	if (pending == NULL)
		return;
	free(pending->name);
	free(pending->job);
	free(pending->actor);
	free(pending->reason);
	free(pending->target_name);
	json_decref(pending->data);
	free(pending);
}

static struct pending_event *pending_event_new(struct target *target, const char *event, const char *job, const char *actor,
                                               const char *reason, json_t *data) {
	struct pending_event *p = mem_alloc(sizeof *p);
	p->target = target;
	p->name = mem_dup(event);
	p->job = mem_dup(job);
	p->actor = mem_dup(actor);
	p->reason = mem_dup(reason);
	p->target_name = mem_dup(target_config(target)->name);
	p->data = data != NULL ? data : json_object();
	p->event = (struct event){.at_us = clock_wall_us(),
	                          .event = p->name,
	                          .job = p->job,
	                          .target = p->target_name,
	                          .actor = p->actor,
	                          .reason = p->reason,
	                          .data = p->data};
	return p;
}

static void add_event_params(struct statement *s, const struct pending_event *p) {
	char *data = json_dumps(p->data, JSON_COMPACT);
	statement_add_text(s, p->name);
	statement_add_text(s, p->job);
	statement_add_text(s, p->target_name);
	statement_add_text(s, p->actor);
	statement_add_text(s, p->reason);
	statement_add_text(s, data);
	free(data);
}

static bool absorb_event(void *context, const struct engine_result *r) {
	struct pending_event *p = context;
	p->event.seq = strtoll(engine_value(r, 0, 0), NULL, 10);
	p->event.at_us = strtoll(engine_value(r, 0, 1), NULL, 10);
	return true;
}

static void event_stored(void *context, const struct transaction_result *result) {
	struct pending_event *p = context;
	if (result->end != TRANSACTION_COMMITTED)
		log_warning(NULL, "target %s: event %s not stored: %s", p->target_name, p->name, result->message);
	target_event_committed(p);
}

void target_event(struct target *target, const char *event, const char *job, const char *actor, const char *reason,
                  json_t *data) {
	struct pending_event *p = pending_event_new(target, event, job, actor, reason, data);
	struct transaction *t = target_transaction(target, "event");
	add_event_params(transaction_add(t, "event", dialect_sql(target_dialect(target), "event_insert"), NULL, absorb_event), p);
	target_run_within(target, t, EVENT_PATIENCE_MS, p, event_stored);
}

struct pending_event *target_event_step(struct target *target, struct transaction *transaction, const char *event,
                                        const char *job, const char *actor, const char *reason, json_t *data) {
	struct pending_event *p = pending_event_new(target, event, job, actor, reason, data);
	add_event_params(transaction_add(transaction, "event", dialect_sql(target_dialect(target), "event_insert"), NULL, NULL), p);
	return p;
}

void target_event_committed(struct pending_event *p) {
	events_publish(target_host(p->target)->events, &p->event);
	pending_event_free(p);
}

void target_event_dropped(struct pending_event *p) {
	pending_event_free(p);
}
