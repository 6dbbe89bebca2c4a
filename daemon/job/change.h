/*
 * change.h: changes of a job's state, asked for by an operator, the work, an emergency stop, or an adoption. Each lets the batch
 * in flight end, raises the fence, and writes state and event in one durable transaction. One at a time for each target.
 */
#ifndef BACKFILLD_CHANGE_H
#define BACKFILLD_CHANGE_H

#include "daemon/job/job_state.h"
#include "daemon/job/target.h"

struct change_result {
	bool ok;
	bool changed;        /* false: it already was so */
	const char *message; /* for a person */
	struct error err;    /* when not ok */
};

typedef void change_done_fn(void *context, const struct change_result *result);

/* reason may be NULL. done always comes, never before this returns. */
void change_state(struct target *target, const char *job_id, enum job_request request, const char *actor, const char *reason,
                  change_done_fn *done, void *context);
/*
 * Emergency stop: sets this daemon's stop flag in the control tables and pauses every running job of the target,
 * whoever owns it.
 */
void change_stop_all(struct target *target, const char *actor, const char *why, change_done_fn *done, void *context);

/*
 * Binds foreign control tables (target.h) to the server that the target leads to now, and pauses every running job, for a
 * person to look. Not changed: they were bound to it already.
 */
void change_adopt(struct target *target, const char *actor, change_done_fn *done, void *context);

/* The target's queue of changes; belongs to it. */
struct changes;
struct changes *changes_new(struct target *target);
/* What still waits ends with an error. NULL allowed. */
void changes_free(struct changes *changes);

#endif
