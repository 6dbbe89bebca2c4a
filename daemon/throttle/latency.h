/*
 * latency.h: P95 of what the site feels, over a sliding window of the time in which we work, and its baseline from the time in
 * which we don't. Fed with samples, or with values of somebody who has counted them already. Pure.
 */
#ifndef BACKFILLD_LATENCY_H
#define BACKFILLD_LATENCY_H

#include "common/limits.h"
#include "daemon/throttle/baseline.h"
#include "daemon/throttle/histogram.h"
#include "daemon/throttle/reading.h"

#include <stdbool.h>
#include <stdint.h>

/* What we do to the server at the moment of a sample. */
enum latency_mode {
	LATENCY_WORK,
	LATENCY_SETTLE, /* nothing more, but it may still feel what we did: the sample tells nothing */
	LATENCY_IDLE,
};

enum { LATENCY_SLICES = 90 };

/* Zeroed: nothing known. 270 kB. */
struct latency {
	struct latency_slice {
		int64_t second; /* of the monotonic clock */
		struct histogram samples;
	} slices[LATENCY_SLICES]; /* of time at work */
	int newest;
	struct histogram idle; /* of the present phase without work */
	int64_t idle_since_us, idle_until_us;
	struct baseline baseline;
};

/* One sample; its series should have one each every_us (0: no series). */
void latency_add(struct latency *latency, int64_t us, int64_t every_us, enum latency_mode mode, int64_t now_us);
/* Several, counted by somebody else since the last time. */
void latency_merge(struct latency *latency, const struct histogram *samples, enum latency_mode mode, int64_t now_us);
/* Ends the phase without work, if it was one: to be called when work begins. And when it gets long, which is done by adding to
 * it. */
void latency_end_phase(struct latency *latency, int64_t now_us);
/* How long the present phase without work has been going on, with samples. */
int64_t latency_idle_us(const struct latency *latency);

/* Value, samples, error, sure and baseline of a reading, in milliseconds. At rest the value is the phase's. To be called once a
 * second or so: it adds up the whole window. */
void latency_estimate(const struct latency *latency, int64_t now_us, struct reading *reading);
/* Do they limit latency, and say that it is read? */
bool latency_is_watched(const struct throttle_settings *settings);
/* Adds such a reading with the limit that `settings` give it. Without a baseline that it would need, it is unknown, and learning.
 */
void latency_add_reading(const struct latency *latency, const struct reading *reading, const struct throttle_settings *settings,
                         struct readings *readings);
/* The same for somebody who estimates by other means, and knows a baseline (0: none) and so much of a phase without work. */
void latency_add_limited(double baseline_ms, int64_t idle_us, const struct reading *reading,
                         const struct throttle_settings *settings, struct readings *readings);

#endif
