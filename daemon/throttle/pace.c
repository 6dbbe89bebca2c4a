#include "daemon/throttle/pace.h"

#include <math.h>

/*
 * rows *= clamp(target / EWMA, 0.5, 1.2): growing slowly and shrinking fast, because too large a batch hurts the site and
 * too small a one only us.
 */
static const double shrink_most = 0.5;
static const double grow_most = 1.2;
static const double smoothing = 0.25;
/* One sample counts at most this many times the average: a checkpoint's stall must not cost us an hour of tiny batches,
 * and a real slow-down shows in the next batches too. */
static const double sample_most = 4;
/* What a rate allows is not done in one go: a replica applies a batch in one piece, and lags by it. */
static const double longest_share_s = 0.2;
static const double rate_window_us = 10e6;

static double clamp(double value, double low, double high) {
	return value < low ? low : value > high ? high : value;
}

static double clamp_rows(double rows, const struct job_settings *settings) {
	double low = settings->batch.min_rows > 1 ? (double)settings->batch.min_rows : 1;
	double high = fmax(low, (double)settings->batch.max_rows);
	return clamp(rows, low, high);
}

void pace_init(struct pace *pace, const struct job_settings *settings) {
	*pace = (struct pace){
		.rows = clamp_rows((double)settings->batch.rows, settings), .allowed_rows_s = INFINITY, .allowed_ms = INFINITY};
}

void pace_allow(struct pace *pace, double rows_s, double batch_ms) {
	pace->allowed_rows_s = rows_s;
	pace->allowed_ms = batch_ms;
}

int64_t pace_rows(const struct pace *pace, const struct job_settings *settings, int64_t row_bytes) {
	if (!settings->batch.adaptive)
		return settings->batch.rows;
	int64_t rows = llround(clamp_rows(fmin(pace->rows, pace->allowed_rows_s * longest_share_s), settings));
	/* Bytes are a promise about memory and WAL, so they win over min_rows; but a batch has at least one row. */
	if (row_bytes > 0 && settings->batch.max_bytes > 0 && rows > settings->batch.max_bytes / row_bytes)
		rows = settings->batch.max_bytes / row_bytes;
	return rows < 1 ? 1 : rows;
}

/* The average time per row. A short window (the end of a leaf) is mostly fixed cost and says little: it weighs less. */
static void learn_row_time(struct pace *pace, int64_t scanned, int64_t work_us) {
	double sample = (double)work_us / 1000.0 / (double)scanned;
	if (pace->ms_per_row <= 0) {
		pace->ms_per_row = sample;
		return;
	}
	double weight = smoothing * fmin(1, (double)scanned / pace->rows);
	pace->ms_per_row += weight * (fmin(sample, sample_most * pace->ms_per_row) - pace->ms_per_row);
}

static void learn_rate(struct pace *pace, int64_t scanned, int64_t cycle_us) {
	double sample = (double)scanned * 1e6 / (double)cycle_us;
	/* Weighted by time, not by batches: many short ones must not outweigh a long one. */
	double weight = pace->rate_rows_s > 0 ? 1 - exp(-(double)cycle_us / rate_window_us) : 1;
	pace->rate_rows_s += weight * (sample - pace->rate_rows_s);
}

void pace_batch_done(struct pace *pace, const struct job_settings *settings, int64_t scanned, int64_t work_us, int64_t batch_us,
                     int64_t cycle_us) {
	pace->last_batch_us = batch_us;
	if (cycle_us > 0)
		learn_rate(pace, scanned, cycle_us);
	if (scanned <= 0 || work_us <= 0)
		return;
	learn_row_time(pace, scanned, work_us);
	double expected_ms = pace->rows * pace->ms_per_row;
	double factor = clamp(fmin((double)settings->batch.time_ms, pace->allowed_ms) / expected_ms, shrink_most, grow_most);
	pace->rows = clamp_rows(pace->rows * factor, settings);
}

void pace_shrink(struct pace *pace, const struct job_settings *settings) {
	pace->rows = clamp_rows(pace->rows / 2, settings);
}

int64_t pace_delay_us(struct pace *pace, const struct job_settings *settings, int64_t rows, int64_t batch_us) {
	/* Nothing is saved up: what a hold left undone is never caught up by a burst. */
	double delay_us = (double)settings->batch.delay_ms * 1000;
	if (settings->batch.max_rate > 0)
		delay_us = fmax(delay_us, (double)rows / settings->batch.max_rate * 1e6 - (double)batch_us);
	if (settings->batch.max_duty > 0 && settings->batch.max_duty < 1)
		delay_us = fmax(delay_us, (double)batch_us * (1 / settings->batch.max_duty - 1));
	double by_rate_us = (double)rows / pace->allowed_rows_s * 1e6 - (double)batch_us;
	pace->by_rate = by_rate_us > delay_us;
	return (int64_t)ceil(fmax(fmax(delay_us, by_rate_us), 0));
}
