/*
 * control.h: how much work a target's jobs may do together, and in how small pieces, from the pressure that they and the site put
 * on it. Pure; the set point, the steps and what they are for: docs/throttle.md.
 */
#ifndef BACKFILLD_CONTROL_H
#define BACKFILLD_CONTROL_H

#include "daemon/throttle/decide.h"

#include <stdbool.h>
#include <stdint.h>

/* What the last step was, for people. */
enum control_move {
	MOVE_START, /* fast, until something is felt */
	MOVE_FASTER,
	MOVE_STEADY,
	MOVE_UNUSED,  /* not faster: what is allowed is not used */
	MOVE_UNSURE,  /* not faster: a reading is late, or of few samples */
	MOVE_WAIT,    /* nothing, for what was done to show */
	MOVE_SHORTER, /* batches, not yet the rate */
	MOVE_SLOWER,
	MOVE_CUT,   /* far slower: a limit is exceeded */
	MOVE_BLIND, /* far slower: readings are missing */
};

struct control {
	enum control_move move;
	double rate_rows_s;  /* of all jobs together */
	double batch_ms;     /* what a batch should take at most */
	bool slow_start;     /* nothing has been felt yet */
	double smooth;       /* the pressure, smoothed */
	bool is_over;        /* the pressure was above its limit at the last tick */
	double bad_rate;     /* the last one at which the pressure was too high, aging; 0: none */
	bool bad_by_latency; /* which may have been a stall of the site's own; a lag was ours */
	int rest_ticks;      /* so many ticks nothing is changed, for what was done to show */
	int64_t ticked_us;   /* 0: never */
};

struct control_input {
	double pressure;
	bool latency_binds; /* that pressure is the latency's */
	double uncertainty; /* its standard error; 0: it is exact */
	enum throttle_growth growth;
	double used_rows_s;   /* since the last tick, while work was allowed */
	bool duty_bound;      /* it was not the rate that made the jobs wait */
	double batch_ms;      /* the longest that any job's settings allow */
	bool latency_watched; /* else batches are as long as the settings allow */
};

extern const int64_t control_tick_us;

void control_init(struct control *control, double initial_rate_rows_s, double batch_ms);
/* One step, each control_tick_us while work is allowed. */
void control_tick(struct control *control, const struct control_input *input, int64_t now_us);

/* "going faster"; never NULL. */
const char *control_move_text(enum control_move move);
/* Something was so high that work had to stop: it begins again more slowly. */
void control_exceeded(struct control *control);

/*
 * Fair shares of a rate: everybody gets the same, but what somebody can't use (caps[i], rows per second; < 0: no cap) goes to the
 * others. `shares` has `count` places.
 */
void control_share(double rate_rows_s, const double *caps, double *shares, int count);

#endif
