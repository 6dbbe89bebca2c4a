/* decide.h: readings to a verdict. Pure: neither libev nor a database; times come in as arguments. */
#ifndef BACKFILLD_DECIDE_H
#define BACKFILLD_DECIDE_H

#include "common/limits.h"
#include "daemon/throttle/throttle.h"

#include <stdbool.h>
#include <stdint.h>

enum reading_state { READING_UNKNOWN, READING_KNOWN };

/* One probe's newest value. */
struct reading {
	char probe[80];  /* "lag:r1" */
	char source[48]; /* "heartbeat", "pg_stat_replication", … */
	enum reading_state state;
	char why[300];     /* why it is unknown: "connection refused" */
	double lag_ms;     /* as measured */
	int64_t at_us;     /* monotonic time of the measurement; 0 = never */
	int64_t period_us; /* how often a value is due: age counts from the moment the next one was; 0 = from at_us */
	int64_t samples;
	bool counts; /* false: shown, never decides (left out by name) */
};

/* A silent replica's lag is max(value, age). In ms. */
double reading_lag_ms(const struct reading *reading, int64_t now_us);
/*
 * The highest pressure decides; an unknown one that counts holds. `verdict` is in and out: a job that was held (by the
 * verdict it kept from last time) goes on only below 0.8 of the limit, so that a lag that hovers around the limit does
 * not switch it on and off. Zero it before the first call.
 */
void decide(const struct reading *readings, size_t count, const struct throttle_settings *settings, int64_t now_us,
            struct throttle_verdict *verdict);

#endif
