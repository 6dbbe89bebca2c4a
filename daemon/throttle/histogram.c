#include "daemon/throttle/histogram.h"

#include <stdbool.h>

enum { LINEAR = 64, STEPS = 32, LINEAR_BITS = 6, STEP_BITS = 5 };

static int bucket_of(int64_t us) {
	if (us < 0)
		us = 0;
	if (us < LINEAR)
		return (int)us;
	int power = 63 - __builtin_clzll((unsigned long long)us);
	int step = (int)(us >> (power - STEP_BITS)) & (STEPS - 1);
	int bucket = LINEAR + (power - LINEAR_BITS) * STEPS + step;
	return bucket < HISTOGRAM_BUCKETS ? bucket : HISTOGRAM_BUCKETS - 1;
}

static double bucket_begin_us(int bucket) {
	if (bucket < LINEAR)
		return bucket;
	int power = LINEAR_BITS + (bucket - LINEAR) / STEPS, step = (bucket - LINEAR) % STEPS;
	return (double)((int64_t)(STEPS + step) << (power - STEP_BITS));
}

void histogram_add_many(struct histogram *histogram, int64_t us, uint32_t count) {
	histogram->counts[bucket_of(us)] += count;
	histogram->total += count;
}

void histogram_add(struct histogram *histogram, int64_t us) {
	histogram_add_many(histogram, us, 1);
}

void histogram_add_expected(struct histogram *histogram, int64_t us, int64_t every_us) {
	histogram_add(histogram, us);
	if (every_us <= 0)
		return;
	for (int64_t left_us = us - every_us; left_us >= every_us; left_us -= every_us)
		histogram_add(histogram, left_us);
}

void histogram_add_range(struct histogram *histogram, double low_us, double high_us, uint32_t count) {
	uint32_t done = 0;
	for (int bucket = bucket_of((int64_t)low_us); done < count; bucket++) {
		double end_us = bucket_begin_us(bucket + 1);
		bool last = end_us >= high_us || bucket == HISTOGRAM_BUCKETS - 1;
		uint32_t through = last ? count : (uint32_t)(count * (end_us - low_us) / (high_us - low_us) + 0.5);
		histogram->counts[bucket] += through - done;
		done = through;
	}
	histogram->total += count;
}

void histogram_merge(struct histogram *into, const struct histogram *from) {
	for (int i = 0; i < HISTOGRAM_BUCKETS; i++)
		into->counts[i] += from->counts[i];
	into->total += from->total;
}

double histogram_quantile_us(const struct histogram *histogram, double q) {
	double rank = q * (double)histogram->total, below = 0;
	int last = 0;
	for (int i = 0; i < HISTOGRAM_BUCKETS; i++) {
		if (histogram->counts[i] == 0)
			continue;
		double count = histogram->counts[i];
		if (below + count >= rank) {
			double begin_us = bucket_begin_us(i);
			return begin_us + (bucket_begin_us(i + 1) - begin_us) * ((rank - below) / count);
		}
		below += count;
		last = i;
	}
	return histogram->total > 0 ? bucket_begin_us(last + 1) : 0;
}
