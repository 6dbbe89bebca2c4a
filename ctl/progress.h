/*
 * progress.h: `wait`: asks for the jobs four times a second until all have come to an end, with a bar a job on a
 * terminal. A restart of the daemon is waited through.
 */
#ifndef BACKFILLCTL_PROGRESS_H
#define BACKFILLCTL_PROGRESS_H

#include "common/error.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

/* wait's exit codes, a part of the contract. */
enum progress_exit {
	PROGRESS_DONE = 0,
	PROGRESS_FAILED = 3,
	PROGRESS_CANCELLED = 4,
	PROGRESS_PAUSED = 5,
	PROGRESS_TIMEOUT = 124,
};

/*
 * `ids`: an array of strings; timeout_ms < 0: none. On success *exit_code is the worst of the jobs' and *jobs the last
 * known job objects, an array of the caller's. False: no daemon at the start, or the daemon refused (an unknown job).
 */
bool progress_wait(const char *socket, const json_t *ids, int64_t timeout_ms, bool color, enum progress_exit *exit_code,
                   json_t **jobs, struct error *err);
/* What a job's state means for `wait`; false: it goes on. */
bool progress_verdict(const char *state, enum progress_exit *exit_code);
/* One job's line, at most `columns` wide (0 = any). */
char *progress_line(const json_t *job, size_t columns, bool color);

#endif
