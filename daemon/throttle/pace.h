/* pace.h: how many rows the next batch takes and how long to wait before it. Pure. */
#ifndef BACKFILLD_PACE_H
#define BACKFILLD_PACE_H

#include "common/jobfile.h"

#include <stdbool.h>
#include <stdint.h>

struct pace {
	double rows;           /* what the next batch should take, before rounding */
	double ms_per_row;     /* EWMA over rows scanned; 0 = nothing measured yet */
	double rate_rows_s;    /* EWMA of rows scanned per second of running time, waiting included; 0 = nothing yet */
	int64_t last_batch_us; /* how long the last batch took */
	int64_t last_delay_us;
	/* What the throttle allows, beside what the settings say. */
	double allowed_rows_s, allowed_ms;
	bool by_rate; /* the last delay is what that rate asks for */
};

void pace_init(struct pace *pace, const struct job_settings *settings);
/* So many rows per second at most (INFINITY: no bound), and so long a batch. */
void pace_allow(struct pace *pace, double rows_s, double batch_ms);
/* Rows of the next window: within min_rows…max_rows and max_bytes / row_bytes; exactly batch.rows when not adaptive. */
int64_t pace_rows(const struct pace *pace, const struct job_settings *settings, int64_t row_bytes);
/* A batch committed: `scanned` rows, `work_us` for our statement alone, `batch_us` for the whole transaction,
 * `cycle_us` since the previous batch's end (for the rate). */
void pace_batch_done(struct pace *pace, const struct job_settings *settings, int64_t scanned, int64_t work_us, int64_t batch_us,
                     int64_t cycle_us);
/* A batch met contention or a time-out: halve, never below min_rows. It grows back by pace_batch_done. */
void pace_shrink(struct pace *pace, const struct job_settings *settings);
/* Microseconds to wait after a batch of `rows` that took batch_us: max(delay, rows/rate - batch, batch·(1/duty - 1)). */
int64_t pace_delay_us(struct pace *pace, const struct job_settings *settings, int64_t rows, int64_t batch_us);

#endif
