/*
 * latency_told.h: P95 as somebody else measures it and tells it, value by value: latency.h knows samples, here there are none.
 * The window of a value is the source's own; how far the values lie apart says how much they are worth. Pure.
 */
#ifndef BACKFILLD_LATENCY_TOLD_H
#define BACKFILLD_LATENCY_TOLD_H

#include "daemon/throttle/latency.h"

enum { TOLD_VALUES = 160 };

struct told_values {
	struct told_value {
		double ms;
		int64_t at_us;
	} list[TOLD_VALUES];
	int newest, count;
};

/* Zeroed but for how it is told: nothing known. */
struct latency_told {
	int64_t every_us, window_us; /* how often, and of how much time each value is made */
	struct told_values work;     /* phases without work between them don't count */
	struct told_values idle;     /* of the present phase without work */
	int64_t idle_since_us;
	bool rests;
	int64_t rests_since_us;
	struct baseline baseline;
};

/* A value, of now. */
void latency_told_add(struct latency_told *told, double ms, enum latency_mode mode, int64_t now_us);
/* Ends the phase without work, if it was one. */
void latency_told_end_phase(struct latency_told *told, int64_t now_us);
/* How long the present phase without work has been going on, with values. */
int64_t latency_told_idle_us(const struct latency_told *told);
/* Value, samples, error and sure of a reading, in milliseconds; at rest of the phase. False: there is no value yet. */
bool latency_told_estimate(const struct latency_told *told, int64_t now_us, struct reading *reading);

#endif
