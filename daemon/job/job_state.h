/* job_state.h: every change of a job's state, as one table. Pure. The diagram in docs/ is made from it. */
#ifndef BACKFILLD_JOB_STATE_H
#define BACKFILLD_JOB_STATE_H

#include "common/error.h"

#include <stdbool.h>

enum job_state {
	JOB_PENDING,
	JOB_RUNNING,
	JOB_PAUSED,
	JOB_COMPLETED,
	JOB_FAILED,
	JOB_CANCELLED,
	JOB_ROLLED_BACK,
	JOB_STATES, /* how many */
};

/* What asks for a change: an operator's command, or the work itself. */
enum job_request { JOB_START, JOB_PAUSE, JOB_RESUME, JOB_RETRY, JOB_CANCEL, JOB_COMPLETE, JOB_FAIL, JOB_REQUESTS };

struct job_transition {
	enum job_state from;
	enum job_request request;
	enum job_state to;  /* the same as from: nothing to do, and that is no error */
	const char *event;  /* published when it commits; NULL when nothing changes */
	const char *reason; /* for a person: why this may happen, or that it has already */
};

/* NULL when the request is not allowed in that state. */
const struct job_transition *job_transition_find(enum job_state from, enum job_request request);
/* Says why not, and what would be possible. Returns false. */
bool job_transition_refuse(const char *id, enum job_state from, enum job_request request, struct error *err);
/* Every row in turn: NULL past the last. */
const struct job_transition *job_transition_at(int index);

bool job_state_ended(enum job_state state);
const char *job_state_name(enum job_state state);
bool job_state_parse(const char *name, enum job_state *state);
const char *job_request_name(enum job_request request);

#endif
