/*
 * throttle.h: one per target: watches the target's replicas (and later more) through its own connections and says, at
 * any moment and without waiting, whether a batch may start. Blind means held. Probes run only while someone has the
 * throttle in use (throttle_use), so an idle daemon costs the servers nothing.
 */
#ifndef BACKFILLD_THROTTLE_H
#define BACKFILLD_THROTTLE_H

#include "common/limits.h"
#include "daemon/base/config.h"
#include "daemon/engine/engine.h"

#include <jansson.h>
#include <stdbool.h>

struct throttle;
struct ev_loop;

struct throttle_verdict {
	bool held;
	double pressure;  /* 1 = at the limit; 0 when nothing is watched or known */
	double lag_ms;    /* the highest known lag that counts, for the lag guard; 0 when there is none */
	char probe[80];   /* "lag:r1"; "" when nothing is watched */
	char reason[400]; /* why held, for a person: "replica lag 3.2 s > 2 s (r1)"; "" when not held */
};

/* `daemon_id` names this daemon's heartbeat rows; `target` must outlive the throttle (throttle_retarget swaps it). */
struct throttle *throttle_new(struct ev_loop *loop, const struct engine *engine, const struct config_target *target,
                              const char *daemon_id);
void throttle_free(struct throttle *throttle);
/* After a reload: the same target with changed settings. Replicas that stayed keep their connections. */
void throttle_retarget(struct throttle *throttle, const struct config_target *target);
/* Counted. Probes start with the first use and stop with the last. */
void throttle_use(struct throttle *throttle);
void throttle_unuse(struct throttle *throttle);
/*
 * What decides now for a job with these (stricter) settings. `verdict` is in and out: holding and releasing have
 * different thresholds, so each job keeps its verdict between calls, zeroed before the first.
 * settings->replicas are the names that count (none: all); "!name" leaves one out and lets all others count.
 */
void throttle_decide(const struct throttle *throttle, const struct throttle_settings *settings, struct throttle_verdict *verdict);
/* The contract's array for `backfillctl throttle`; a new reference. settings may be NULL: the target's. */
json_t *throttle_readings(const struct throttle *throttle, const struct throttle_settings *settings);

#endif
