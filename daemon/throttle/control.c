#include "daemon/throttle/control.h"

#include <math.h>

const int64_t control_tick_us = 5000000;

/* In log space, so that a step is a share of what is there; held in a band around the set point. */
static const double set_point = 0.6, band = 0.1;
/* Where it is estimated: as near to the limit as so many standard errors allow. */
static const double errors_from_limit = 2.4, lowest_set_point = 0.5, highest_set_point = 0.8;
static const double gain = 0.15, grow_most = 0.06, shrink_most = -0.25;
/* Somebody was hurt: more than a step. */
static const double over = 1, over_factor = 0.75, far_over = 2.5, far_over_factor = 0.5;
static const int over_rest_ticks = 2;
static const double smoothing = 0.5;
/* The start: fast, until something is felt. */
static const double start_factor = 1.65, start_until = 0.3;
/* Near the rate that was too much, more slowly. It ages, as the site may have more room by now. */
static const double near_bad = 0.9, near_bad_factor = 0.3, bad_ages_per_minute = 1.10;
/* Far below it there is little to find out: what was lost to somebody else's stall is soon regained. */
static const double surely_good = 0.5, regain_factor = 1.25;
/* Who does not use what he has gets no more. */
static const double used_enough = 0.7;
static const double lowest_rate = 1, highest_rate = 1e9;
/* Shorter ones cost more in looking up and committing than they save (docs/throttle.md). The steps of their time. */
static const double shortest_batch_ms = 2, first_batch_ms = 5;
static const double batch_shrinks = 0.7, batch_grows = 1.15;

void control_init(struct control *control, double initial_rate_rows_s, double batch_ms) {
	*control =
		(struct control){.rate_rows_s = initial_rate_rows_s, .batch_ms = fmin(first_batch_ms, batch_ms), .slow_start = true};
}

static double clamp(double value, double low, double high) {
	return value < low ? low : value > high ? high : value;
}

static void set_rate(struct control *control, double rate) {
	control->rate_rows_s = clamp(rate, lowest_rate, highest_rate);
}

/* An allowance that nobody has used is no measure of what was too much. */
static double rate_at_work(const struct control *control, const struct control_input *input) {
	return input->used_rows_s > 0 ? fmin(control->rate_rows_s, input->used_rows_s) : control->rate_rows_s;
}

static void shrink(struct control *control, const struct control_input *input, double factor) {
	control->slow_start = false;
	control->move = factor <= over_factor ? MOVE_CUT : MOVE_SLOWER;
	set_rate(control, rate_at_work(control, input) * factor);
}

/* Shorter pieces at the same rate are gentler, and cost no work: they come first. False: they can't be shorter. */
static bool shorten(struct control *control, const struct control_input *input) {
	if (!input->latency_binds || control->batch_ms <= shortest_batch_ms)
		return false;
	control->slow_start = false;
	control->move = MOVE_SHORTER;
	control->batch_ms = fmax(shortest_batch_ms, control->batch_ms * batch_shrinks);
	return true;
}

static double set_point_of(const struct control_input *input) {
	return input->uncertainty > 0 ? clamp(1 - errors_from_limit * input->uncertainty, lowest_set_point, highest_set_point)
	                              : set_point;
}

static void grow(struct control *control, const struct control_input *input) {
	control->move = MOVE_UNSURE;
	if (input->growth != GROWTH_FREE)
		return;
	control->move = MOVE_UNUSED;
	if (input->used_rows_s < used_enough * control->rate_rows_s) {
		if (input->duty_bound) /* pieces this short can't make the rate that is allowed */
			control->batch_ms *= control->slow_start ? start_factor : batch_grows;
		return;
	}
	control->move = MOVE_FASTER;
	if (control->slow_start) {
		control->move = MOVE_START;
		control->slow_start = input->pressure < start_until;
		set_rate(control, control->rate_rows_s * (control->slow_start ? start_factor : 1));
		return;
	}
	if (control->bad_by_latency && input->pressure < start_until && control->rate_rows_s < surely_good * control->bad_rate) {
		set_rate(control, control->rate_rows_s * regain_factor);
		return;
	}
	double step = fmin(gain * (set_point_of(input) - input->pressure), grow_most);
	if (control->bad_rate > 0 && control->rate_rows_s > near_bad * control->bad_rate)
		step *= near_bad_factor;
	set_rate(control, control->rate_rows_s * exp(step));
}

static void bound_batch(struct control *control, const struct control_input *input) {
	if (!input->latency_watched)
		control->batch_ms = input->batch_ms;
	control->batch_ms = fmin(control->batch_ms, input->batch_ms);
}

static void step(struct control *control, const struct control_input *input) {
	double p = input->pressure, wanted = set_point_of(input);
	bool too_much = p > over && control->smooth > over;
	if (p > over && !control->is_over) { /* the first of several: those behind it are cut already */
		control->bad_rate = rate_at_work(control, input);
		control->bad_by_latency = input->latency_binds;
	}
	control->is_over = p > over;
	if (input->growth == GROWTH_HALVE || p > far_over) {
		shorten(control, input);
		shrink(control, input, far_over_factor);
		control->rest_ticks = p > far_over ? 1 : 0;
		control->move = p > far_over ? MOVE_CUT : MOVE_BLIND;
	} else if (control->rest_ticks > 0) {
		control->rest_ticks--;
		control->move = MOVE_WAIT;
	} else if (too_much) {
		shorten(control, input);
		shrink(control, input, over_factor);
		control->rest_ticks = over_rest_ticks;
	} else if (p > wanted + band) {
		if (!shorten(control, input))
			shrink(control, input, exp(fmax(gain * (wanted - p), shrink_most)));
	} else if (p < wanted - band) {
		grow(control, input);
	} else {
		control->move = MOVE_STEADY;
		control->slow_start = false;
	}
}

void control_tick(struct control *control, const struct control_input *input, int64_t now_us) {
	double elapsed_min = control->ticked_us > 0 ? (double)(now_us - control->ticked_us) / 60e6 : 0;
	control->ticked_us = now_us;
	control->smooth += smoothing * (input->pressure - control->smooth);
	control->bad_rate *= pow(bad_ages_per_minute, elapsed_min);
	step(control, input);
	bound_batch(control, input);
}

const char *control_move_text(enum control_move move) {
	static const char *const texts[] = {
		[MOVE_START] = "starting slowly, and faster with every step until something is felt",
		[MOVE_FASTER] = "going faster",
		[MOVE_STEADY] = "steady",
		[MOVE_UNUSED] = "not faster: what is allowed is not used",
		[MOVE_UNSURE] = "not faster: a reading is late, or has too few samples",
		[MOVE_WAIT] = "slowed; waiting for that to show",
		[MOVE_SHORTER] = "making batches shorter",
		[MOVE_SLOWER] = "going slower",
		[MOVE_CUT] = "far slower: a limit was exceeded",
		[MOVE_BLIND] = "far slower: readings are missing",
	};
	return texts[move];
}

void control_exceeded(struct control *control) {
	control->bad_rate = control->rate_rows_s;
	control->bad_by_latency = false;
	control->slow_start = false;
	control->move = MOVE_CUT;
	set_rate(control, control->rate_rows_s * far_over_factor);
}

void control_share(double rate_rows_s, const double *caps, double *shares, int count) {
	double left = rate_rows_s;
	int wanting = 0;
	for (int i = 0; i < count; i++) {
		shares[i] = -1;
		wanting++;
	}
	for (bool changed = true; changed && wanting > 0;) {
		changed = false;
		double each = left / wanting;
		for (int i = 0; i < count; i++) {
			if (shares[i] >= 0 || caps[i] < 0 || caps[i] > each)
				continue;
			shares[i] = caps[i];
			left -= caps[i];
			wanting--;
			changed = true;
			break; /* the others' part has grown */
		}
	}
	for (int i = 0; i < count; i++)
		if (shares[i] < 0)
			shares[i] = left / wanting;
}
