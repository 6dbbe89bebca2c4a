#include "daemon/throttle/cumulative.h"

/* Where buckets of powers of 2 are what they are called: MariaDB cuts the first ones off to whole microseconds. */
static const double from_us = 100, through_us = 1e8;
static const double coarse_ratio = 2.5;

void cumulative_set(struct cumulative *cumulative, size_t number, double low_us, double high_us, uint64_t count) {
	if (number < CUMULATIVE_BUCKETS)
		cumulative->buckets[number] = (struct cumulative_bucket){.low_us = low_us, .high_us = high_us, .count = count};
}

bool cumulative_is_coarse(const struct cumulative *cumulative) {
	for (size_t i = 0; i < CUMULATIVE_BUCKETS; i++) {
		const struct cumulative_bucket *bucket = &cumulative->buckets[i];
		if (bucket->low_us >= from_us && bucket->high_us <= through_us && bucket->high_us > bucket->low_us * coarse_ratio)
			return true;
	}
	return false;
}

static bool goes_on(const struct cumulative_bucket *before, const struct cumulative_bucket *now) {
	if (before->count == 0)
		return true;
	return now->count >= before->count && now->low_us == before->low_us && now->high_us == before->high_us;
}

bool cumulative_since(const struct cumulative *before, const struct cumulative *now, struct histogram *since) {
	for (size_t i = 0; i < CUMULATIVE_BUCKETS; i++)
		if (!goes_on(&before->buckets[i], &now->buckets[i]))
			return false;
	for (size_t i = 0; i < CUMULATIVE_BUCKETS; i++) {
		const struct cumulative_bucket *bucket = &now->buckets[i];
		uint64_t more = bucket->count - before->buckets[i].count;
		histogram_add_range(since, bucket->low_us, bucket->high_us, more < UINT32_MAX ? (uint32_t)more : UINT32_MAX);
	}
	return true;
}
