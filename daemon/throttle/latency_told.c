#include "daemon/throttle/latency_told.h"

#include <math.h>
#include <stdlib.h>

/* The value is the median of so long at work, of more if these are too few, but of nothing older than that. */
static const int64_t shortest_us = 15000000, recent_us = 5000000, oldest_us = 90000000;
static const int enough_values = 5;
/* Fewer tell nothing of a phase. */
static const int fewest_of_phase = 3;
static const int64_t longest_phase_us = 30000000;
/* Of values that don't scatter: a source's own buckets are no finer. */
static const double least_error = 0.02;
/* Of a median, over that of a mean. */
static const double median_error = 1.25;

static const struct told_value *value_at(const struct told_values *values, int back) {
	return &values->list[(values->newest + TOLD_VALUES - back) % TOLD_VALUES];
}

static void add(struct told_values *values, double ms, int64_t at_us) {
	values->newest = (values->newest + 1) % TOLD_VALUES;
	values->list[values->newest] = (struct told_value){.ms = ms, .at_us = at_us};
	if (values->count < TOLD_VALUES)
		values->count++;
}

static int by_size(const void *a, const void *b) {
	const double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

/* Of the newest `count`; 0 of none. */
static double median(const struct told_values *values, int count) {
	double sorted[TOLD_VALUES];
	if (count == 0)
		return 0;
	for (int i = 0; i < count; i++)
		sorted[i] = value_at(values, i)->ms;
	qsort(sorted, (size_t)count, sizeof *sorted, by_size);
	return (sorted[(count - 1) / 2] + sorted[count / 2]) / 2;
}

static double scatter(const struct told_values *values, int count) {
	double sum = 0, squares = 0;
	for (int i = 0; i < count; i++)
		sum += value_at(values, i)->ms;
	for (int i = 0; i < count; i++)
		squares += pow(value_at(values, i)->ms - sum / count, 2);
	return count > 1 ? sqrt(squares / (count - 1)) : 0;
}

int64_t latency_told_idle_us(const struct latency_told *told) {
	return told->idle.count > 0 ? value_at(&told->idle, 0)->at_us - told->idle_since_us : 0;
}

void latency_told_end_phase(struct latency_told *told, int64_t now_us) {
	int count = told->idle.count;
	if (count >= fewest_of_phase)
		baseline_add(&told->baseline, median(&told->idle, count), count, now_us);
	told->idle.count = 0;
}

/* A value looks back over a window: in a phase the first ones still tell of our work. At work they tell too little of it, which
 * is answered by waiting for the next ones: a long window would never be full of work. */
static enum latency_mode mode_of(struct latency_told *told, enum latency_mode mode, int64_t now_us) {
	bool rests = mode != LATENCY_WORK;
	if (rests && !told->rests)
		told->rests_since_us = now_us;
	told->rests = rests;
	bool worked = told->baseline.value > 0 || told->work.count > 0;
	bool too_soon = mode == LATENCY_IDLE && worked && now_us - told->rests_since_us < told->window_us;
	return too_soon ? LATENCY_SETTLE : mode;
}

void latency_told_add(struct latency_told *told, double ms, enum latency_mode mode, int64_t now_us) {
	mode = mode_of(told, mode, now_us);
	if (mode == LATENCY_WORK) {
		if (told->idle.count > 0)
			latency_told_end_phase(told, now_us);
		add(&told->work, ms, now_us);
	} else if (mode == LATENCY_IDLE) {
		if (latency_told_idle_us(told) >= longest_phase_us)
			latency_told_end_phase(told, now_us);
		if (told->idle.count == 0)
			told->idle_since_us = now_us;
		add(&told->idle, ms, now_us);
	}
}

/* How many of the newest ones at work. */
static int window(const struct latency_told *told, int64_t length_us, int least, int64_t now_us) {
	int wanted = (int)(length_us / told->every_us);
	wanted = wanted < least ? least : wanted;
	int count = 0;
	while (count < wanted && count < told->work.count && now_us - value_at(&told->work, count)->at_us <= oldest_us)
		count++;
	return count;
}

bool latency_told_estimate(const struct latency_told *told, int64_t now_us, struct reading *reading) {
	bool idle = told->idle.count > 0;
	const struct told_values *values = idle ? &told->idle : &told->work;
	int count = idle ? told->idle.count : window(told, shortest_us, enough_values, now_us);
	if (count == 0)
		return false;
	/* Values whose windows overlap tell the same in part. */
	double each = fmin(1, (double)told->every_us / fmax(1, (double)told->window_us));
	double independent = fmax(1, count * each);
	reading->value = median(values, count);
	reading->recent = median(&told->work, window(told, recent_us, 1, now_us));
	reading->samples = count;
	reading->error =
		count > 1 ? fmax(least_error, median_error * scatter(values, count) / reading->value / sqrt(independent)) : 1;
	reading->sure = count >= enough_values;
	return true;
}
