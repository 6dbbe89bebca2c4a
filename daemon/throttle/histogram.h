/*
 * histogram.h: how long things took, log-linear as HdrHistogram counts: 32 steps in each power of two, so that a quantile is
 * within 3 % of the truth whatever its size, in a fixed 3 kB. Pure.
 */
#ifndef BACKFILLD_HISTOGRAM_H
#define BACKFILLD_HISTOGRAM_H

#include <stdint.h>

enum { HISTOGRAM_BUCKETS = 736 }; /* up to 2^27 µs, two minutes: what takes longer counts as that */

/* Zeroed: nothing counted. */
struct histogram {
	uint32_t counts[HISTOGRAM_BUCKETS];
	uint64_t total;
};

void histogram_add(struct histogram *histogram, int64_t us);
/*
 * The same for one of a series that should have come each `every_us`, where the next one waited for this: those that were not
 * begun meanwhile would have taken what was left of it (what HdrHistogram calls coordinated omission).
 */
void histogram_add_expected(struct histogram *histogram, int64_t us, int64_t every_us);
/* Several of one size: what a server counted. */
void histogram_add_many(struct histogram *histogram, int64_t us, uint32_t count);
/* Several that somebody counted as low_us <= x < high_us: spread over all between. */
void histogram_add_range(struct histogram *histogram, double low_us, double high_us, uint32_t count);
void histogram_merge(struct histogram *into, const struct histogram *from);
/* In µs, interpolated within its step; 0 <= q <= 1. 0 of an empty one. */
double histogram_quantile_us(const struct histogram *histogram, double q);

#endif
