/* gather.h: one question to the control tables of several targets, the answers in one array. */
#ifndef BACKFILLD_GATHER_H
#define BACKFILLD_GATHER_H

#include "daemon/job/scheduler.h"

#include <jansson.h>

struct gather_question {
	const char *sql;         /* name in sql/: one column of JSON objects */
	const char *params[2];   /* borrowed until gather_start returns */
	const char *only_target; /* NULL: all */
};

/*
 * rows: what the targets that answered have, in the order of the configuration, each a JSON object; `warnings`: an array
 * of strings, one for each target that did not; `err` is the last such. All borrowed.
 */
typedef void gather_done_fn(void *context, json_t *rows, json_t *warnings, const struct error *err);

/* Waits at most 5 s for targets that are still connecting for the first time. done comes from the loop. */
void gather_start(struct scheduler *scheduler, const struct gather_question *question, gather_done_fn *done, void *context);

#endif
