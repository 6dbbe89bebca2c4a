/*
 * job_internal.h: what job.c (what a job does next), job_batch.c (its batches, and what follows from how they end), job_plan.c
 * (whether the server still reads no more than a batch), job_window.c (its time windows) and job_seen.c (what is known and told
 * of it: time, holds, signs of life) share.
 */
#ifndef BACKFILLD_JOB_INTERNAL_H
#define BACKFILLD_JOB_INTERNAL_H

#include "daemon/engine/transaction.h"
#include "daemon/job/batch.h"
#include "daemon/job/boundary.h"
#include "daemon/job/job.h"
#include "daemon/job/round.h"
#include "daemon/throttle/jump.h"
#include "daemon/throttle/pace.h"

#include <ev.h>

/* Without a look: guards are watched, and limits may change, while a job rests. */
enum { JOB_LONGEST_REST_MS = 500 };
enum { JOB_TRIES_BEFORE_HOLD = 5 }; /* of one batch that meets locks, before we say who holds them */

struct job_check;

/* Whether its time windows are open, by the settings of that claim, from then until then by the wall clock. */
struct job_window {
	int64_t epoch, from_us, until_us;
	bool open;
	char reason[200]; /* of the hold, if they aren't */
};

struct job {
	struct target *target;
	struct ev_loop *loop;
	char *id;
	char object[80]; /* "job ID": the prefix of its log lines */

	struct link *link;
	bool up;
	bool taken;  /* the claim is valid */
	bool reread; /* what it has read, or is reading, may be another by now: claim again */
	struct claimed claimed;
	struct claim *claim;
	struct round *round;
	struct job_check *check; /* of the plan */
	struct batch *batch;
	struct ahead *ahead; /* NULL until it would help */
	struct batch_texts *texts;
	bool completing, over;
	bool pausing; /* has asked to be paused: starts nothing meanwhile */

	ev_timer wake;   /* the next look */
	ev_timer seen;   /* tells the control tables that we live */
	ev_timer ask;    /* whom the batch in flight waits for */
	ev_timer cancel; /* the batch in flight, once more */
	bool seen_running;
	bool reset_wanted; /* the next look makes a new connection first */
	int64_t rest_until_us;

	struct pace pace;
	struct jump jump;
	/* The plan: is looked at when it is suspect, for the time of batches has jumped or one had a time-out, and for another leaf,
	 * or another mark of the key (claim.h), than last time; not before that time, as there was no answer. */
	bool plan_suspect;
	char *planned_mark; /* NULL: not in this run */
	int planned_leaf;
	int64_t plan_from_us;
	int64_t batch_rows;            /* what batch.rows said when the pace began there */
	struct throttle_user *user;    /* of the target's throttle */
	struct throttle_answer answer; /* what that said last */
	struct job_window window;
	char hold[400]; /* why we wait by ourselves; "" when we don't */
	char hold_probe[80];
	int64_t held_since_us;
	bool hold_told;
	int tries;           /* of the batch that is next */
	int64_t last_end_us; /* of a batch; 0: there was none */
	int64_t last_batch_us, last_rows;

	/* Not yet told to the control tables. */
	int64_t counted_us, running_us, held_us;
	int64_t failed, retried, split;

	/* Who waits for quiet: a change of state and the orderly end, perhaps both. */
	struct {
		job_quiet_fn *fn;
		void *context;
	} quiet[2];
	int nquiet;
	int quieted; /* how many asked for it and have not taken it back */

	void (*released)(void *context);
	void *released_context;
};

/* Does the next thing there is to do, unless something is in flight. */
void job_look(struct job *job);
void job_look_in_ms(struct job *job, double ms);
/* The work itself asks for a pause: a person has to look. */
void job_pause_for(struct job *job, const char *reason);
/* The first that is not done; NULL: they all are. */
struct segment *job_next_segment(struct job *job);
/* How many rows the next batch takes. The same all the while it runs: the pace learns when it ends. */
int64_t job_batch_rows(const struct job *job, const struct segment *segment);
/* Is the server's plan to be looked at before the next batch, which is of this segment? */
bool job_plan_due(const struct job *job, const struct segment *segment);
/* Asks for it: the job goes on, or pauses. Takes the slot over that the caller has (target.h). */
void job_check_plan(struct job *job, const struct segment *segment);
/* Is it inside its time windows? Otherwise holds it, and looks again when they open. */
bool job_window_open(struct job *job);
/* Until when there is no batch: as long behind the last one as the settings say. */
void job_rest(struct job *job);
/* Tells the throttle what the claim has found: settings, and what to time where those name no queries. */
void job_use_throttle(struct job *job);
/* Takes the slot over that the caller has (target.h). */
void job_start_batch(struct job *job, struct segment *segment);

/* Adds the time since the last call to running or held. */
void job_count_time(struct job *job);
/* A hold is shown at once; it becomes an event when it lasts, so that a flicker does not fill the audit trail. */
void job_hold(struct job *job, const char *probe, const char *reason);
void job_release_hold(struct job *job);
/* A step that tells the control tables that we live, and what has been counted since the last time. */
void job_add_seen_step(const struct job *job, struct transaction *t);
/* Asked while our batch waits for a lock: only then does the server know whom it waits for. The answer becomes the hold. */
void job_ask_for_blocker(struct ev_loop *loop, ev_timer *timer, int events);
/* The timer's callback: a sign of life. */
void job_on_seen(struct ev_loop *loop, ev_timer *timer, int events);

#endif
