/*
 * jump.h: has the time that batches take jumped, so that the server may be reading more than it did? Pure. What follows is a look
 * at its plan (plan_check.h), which costs a few milliseconds: a jump for another reason is no harm.
 */
#ifndef BACKFILLD_JUMP_H
#define BACKFILLD_JUMP_H

#include <stdbool.h>
#include <stdint.h>

enum { JUMP_REMEMBERS = 15 };

struct jump {
	double usual_ms[JUMP_REMEMBERS]; /* for each row, of the last batches that were not slow */
	int count, next;
	int slow; /* so many batches in a row */
	int64_t quiet_until_us;
};

/* A batch of so many rows took so long, from its begin to the end of its work: true when it is time to look. */
bool jump_batch_done(struct jump *jump, int64_t rows, int64_t us, int64_t now_us);
/* One ran into the time-out of a statement. The same. */
bool jump_timed_out(const struct jump *jump, int64_t now_us);
/* The look found nothing wrong: what was slow is usual from now on, and there is no other look for a while. */
void jump_excuse(struct jump *jump, int64_t now_us);

#endif
