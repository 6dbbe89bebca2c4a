/*
 * regulate.h: when the jobs of a target may work and how much, from one look at their readings to the next: phases without work
 * for the baseline, and a step of the control whenever so much time was spent at work. Pure.
 */
#ifndef BACKFILLD_REGULATE_H
#define BACKFILLD_REGULATE_H

#include "daemon/throttle/control.h"
#include "daemon/throttle/phases.h"

/* Zeroed: nothing is watched. */
struct regulator {
	bool controlled; /* there is something to control by; else the jobs' own settings are all that bounds them */
	bool off;        /* nobody may work, for the sake of a baseline */
	bool resting;    /* the same, or everybody is held */
	struct control control;
	double remembered_rows_s, remembered_ms; /* 0: nothing */
	struct phases phases;
	/* The last look; the last at which there was a job; and since the last step: */
	int64_t looked_us, busy_us, worked_us, rows, batches, by_rate;
};

/* What a look at all jobs' readings has shown. */
struct outlook {
	int jobs;                       /* that were looked at */
	bool counts, latency, learning; /* is there any that counts, such a one of latency, one that waits for its baseline? */
	bool all_held;
	double pressure; /* the highest of them */
	bool latency_binds;
	double uncertainty; /* of that one */
	enum throttle_growth growth;
	double initial_rate_rows_s, batch_ms; /* the least, the longest of their settings */
};

/* Adds one job's. */
void outlook_add(struct outlook *outlook, const struct readings *readings, const struct throttle_verdict *verdict);
/* `random` within 0…1. */
void regulate(struct regulator *regulator, const struct outlook *outlook, int64_t now_us, double random);
/* The rate and the batch time that a daemon before us has found: it begins with them, once. */
void regulator_remember(struct regulator *regulator, double rate_rows_s, double batch_ms);
/* A batch has ended; `by_rate`: the rate is what its job rests for behind it. */
void regulator_count(struct regulator *regulator, int64_t rows, bool by_rate);

#endif
