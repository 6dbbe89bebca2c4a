/*
 * job.h: one job that this daemon owns, or is about to: claims it, says how far it goes, runs its batches at
 * the throttle's pace, and completes it. Every doubt is answered by claiming again.
 */
#ifndef BACKFILLD_JOB_H
#define BACKFILLD_JOB_H

#include "daemon/job/target.h"

#include <jansson.h>

struct job;

struct job *job_new(struct target *target, const char *id);
/* Without a word to the database. NULL allowed. */
void job_free(struct job *job);
const char *job_id(const struct job *job);
/* Looks now whether there is something to do (a slot is free, a stop file is gone). */
void job_wake(struct job *job);

/*
 * No further batch starts; `quiet` is called once none is in flight (from the loop, or at once). A change of
 * state and the orderly end may both ask; it goes on when each has called job_unquiet.
 */
typedef void job_quiet_fn(void *context);
void job_quiet(struct job *job, job_quiet_fn *quiet, void *context);
void job_unquiet(struct job *job);
/* Cancels the batch in flight, if any, on the server. */
void job_cancel_batch(struct job *job);
/* Its settings, or the target's, have changed: claims again before the next batch, which reads them. */
void job_reread(struct job *job);
/* Parameters of owner_seen: what was counted since we last told. Sent on the target's connection, behind what is on its way
 * there. False: it is not ours. */
bool job_prepare_last_words(struct job *job, struct statement *statement);
/* Gives ownership back (for an orderly end of the daemon): job_quiet first. done comes once, also when it failed. */
void job_release(struct job *job, void (*done)(void *context), void *context);

/* Adds what only the owner knows to the object that `show` prints: rate, batch, throttle, progress, eta. */
void job_add_live(const struct job *job, json_t *object);
const struct throttle_user *job_throttle_user(const struct job *job);

#endif
