/*
 * guard.h: has the site's latency stayed above what a guard allows, although we went slower? Then it is not ours to mend, or we
 * are wrong about it: a person has to look. Pure.
 */
#ifndef BACKFILLD_GUARD_H
#define BACKFILLD_GUARD_H

#include "daemon/throttle/reading.h"

/* Zeroed: nothing seen. */
struct guard {
	int windows;     /* in a row, one after the other */
	int64_t next_us; /* when the next one is complete */
	double rate;     /* that was allowed at the first */
};

/*
 * A look at the latency while jobs work at `rate_rows_s`: true once three windows of it were surely above baseline × (1 +
 * increase), at less than the rate of the first. increase 0: never.
 */
bool guard_latency(struct guard *guard, const struct reading *reading, double increase, double rate_rows_s, int64_t now_us);

#endif
