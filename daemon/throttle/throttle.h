/*
 * throttle.h: one per target: watches its servers through probes, and says, at any moment and without waiting, whether a job may
 * start a batch, how many rows a second it may do and how long a batch should take. Blind means held. Probes run only while a job
 * uses the throttle, so an idle daemon costs the servers nothing.
 */
#ifndef BACKFILLD_THROTTLE_H
#define BACKFILLD_THROTTLE_H

#include "common/jobfile.h"
#include "daemon/base/config.h"
#include "daemon/engine/engine.h"
#include "daemon/throttle/decide.h"
#include "daemon/throttle/probe.h"

#include <jansson.h>
#include <stdbool.h>

struct throttle;
struct throttle_user;
struct ev_loop;
struct http_client;

/* `daemon_id` names this daemon's heartbeat rows; `http` and `target` must outlive the throttle (throttle_retarget swaps it). */
struct throttle *throttle_new(struct ev_loop *loop, struct http_client *http, const struct engine *engine,
                              const struct config_target *target, const char *daemon_id);
/* Its users have left. NULL allowed. */
void throttle_free(struct throttle *throttle);
/* After a reload: the same target with changed settings. What stayed the same keeps its connections. */
void throttle_retarget(struct throttle *throttle, const struct config_target *target);

/* A job that wants to work. Probes start with the first and stop with the last. */
struct throttle_user *throttle_join(struct throttle *throttle);
void throttle_leave(struct throttle_user *user); /* NULL allowed */
/*
 * Its settings, borrowed until they are replaced; NULL: it has none just now, and does not work. `canary` is what it would
 * have timed if its settings name no queries, `table` what it works on; both copied.
 */
void throttle_configure(struct throttle_user *user, const struct job_settings *settings, const struct canary *canary,
                        const struct throttle_table *table);

struct throttle_answer {
	struct throttle_verdict verdict; /* held: no batch may start */
	bool resting;                    /* none may for a while, for the latency without us is being measured: no hold */
	double rate_rows_s;              /* this job's share; INFINITY: nothing that is watched bounds it */
	double batch_ms;                 /* what a batch should take */
	char guard[400];                 /* a guard is tripped: by what; "" */
	char doing[400];                 /* what the rate does and why, for a person; "" when nothing is controlled */
};
/* What holds now for a job that has settings. Valid until the next call. */
const struct throttle_answer *throttle_ask(struct throttle_user *user);
/* It does not work for now, for a reason of its own: until it asks again. */
void throttle_stand_by(struct throttle_user *user);
/* A batch of its has started; has ended, with so many rows. `by_rate`: the rate is what it will rest for behind it. */
void throttle_batch_started(struct throttle_user *user);
void throttle_batch_ended(struct throttle_user *user, int64_t rows, bool by_rate);

/* What it has found out, as a text for throttle_remember of a later daemon; NULL: nothing yet. The caller frees it. */
char *throttle_memory(const struct throttle *throttle);
/* Goes on with that, unless it is too old or unreadable; before the first job joins. */
void throttle_remember(struct throttle *throttle, const char *text);

/* The contract's array for `backfillctl throttle`; a new reference. user NULL: as the target's settings are. */
json_t *throttle_readings(const struct throttle *throttle, const struct throttle_user *user);

#endif
