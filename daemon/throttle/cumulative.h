/*
 * cumulative.h: what a server has counted in buckets ever since it began, made into what it has counted since the last look.
 * Pure.
 */
#ifndef BACKFILLD_CUMULATIVE_H
#define BACKFILLD_CUMULATIVE_H

#include "daemon/throttle/histogram.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { CUMULATIVE_BUCKETS = 512 };

/* Zeroed: nothing counted yet. */
struct cumulative {
	struct cumulative_bucket {
		double low_us, high_us;
		uint64_t count;
	} buckets[CUMULATIVE_BUCKETS];
};

/* Beyond CUMULATIVE_BUCKETS nothing is counted. */
void cumulative_set(struct cumulative *cumulative, size_t number, double low_us, double high_us, uint64_t count);
/* Its buckets are so wide that no quantile is worth anything: of powers of 10. */
bool cumulative_is_coarse(const struct cumulative *cumulative);
/* Adds to `since` what came between the two looks. False, and nothing added: it was emptied, or began anew. */
bool cumulative_since(const struct cumulative *before, const struct cumulative *now, struct histogram *since);

#endif
