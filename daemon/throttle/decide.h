/* decide.h: readings to a verdict. Pure: neither libev nor a database; times come in as arguments. */
#ifndef BACKFILLD_DECIDE_H
#define BACKFILLD_DECIDE_H

#include "daemon/throttle/reading.h"

/* How the rate may move. */
enum throttle_growth {
	GROWTH_FREE,
	GROWTH_NONE,  /* a reading is late, or not sure: not faster */
	GROWTH_HALVE, /* it is so late that we are going blind */
};

struct throttle_verdict {
	bool held;
	bool excess;        /* for a limit is exceeded, not because nothing is known */
	double pressure;    /* as the rate is controlled by: 1 = at the limit; 0 when nothing is watched or known */
	double uncertainty; /* its standard error, in the same unit; 0: it is exact */
	bool latency_binds; /* it is the latency's: shorter batches help */
	enum throttle_growth growth;
	double lag_s;     /* the highest known lag that counts, for the lag guard; 0 when there is none */
	double slowdown;  /* the share of the rate that is to be left out, for what slows and never stops; 0: none */
	bool guarded;     /* `reason` is one for which the job is to be paused */
	char probe[80];   /* whose pressure it is: "lag:r1"; "" when nothing is watched */
	char reason[400]; /* why held, for a person: "replica lag 3.2 s > 2 s (r1)"; "" when not held */
	char slowed[400]; /* why slowed, for a person; "" when it isn't */
};

/*
 * The highest pressure decides; an unknown one that counts holds. `verdict` is in and out: a job that was held (by the
 * verdict it kept from last time) goes on only below 0.8 of the limit, so that a value that hovers around the limit does
 * not switch it on and off. Zero it before the first call.
 */
void decide(const struct reading *readings, size_t count, int64_t now_us, struct throttle_verdict *verdict);

#endif
