/*
 * round.h: how far a job goes. A round reads the last keys, and then takes its transaction's id as the marker: whatever wrote
 * below those keys has a smaller one. When none of these is open any more the round is, and batches run through its segments.
 * The first round goes from the start to the last key; others follow what came since, or sweep over all of it again.
 */
#ifndef BACKFILLD_ROUND_H
#define BACKFILLD_ROUND_H

#include "daemon/engine/link.h"
#include "daemon/job/claim.h"
#include "daemon/job/target.h"

enum round_end {
	ROUND_DONE,
	ROUND_WAIT,   /* a writer that is older than the marker is still open; `why` names the oldest */
	ROUND_FENCED, /* also when the table has changed since the claim: claim again */
	ROUND_BROKEN,
	ROUND_REFUSED,
};

typedef void round_done_fn(void *context, enum round_end end, const char *why);

struct round;
/* Is there one to begin or to open, before the next batch or the end? */
bool round_due(const struct claimed *claimed);
/* Begins it, or opens it. Waits for nobody: when an older writer is open it says so and is to be called again. Adds the new
 * segments to *claimed. Runs on the job's own link, which must be up and idle. */
struct round *round_start(struct link *link, struct target *target, struct claimed *claimed, round_done_fn *done, void *context);

#endif
