#include "daemon/throttle/jump.h"

#include <stdlib.h>
#include <string.h>

/* Below, reading too much hurts nobody: it is a fifth of what a batch may take by default. */
static const int64_t shortest_us = 50000;
/* A cold page costs more than that over a warm one, but not row after row; a scan of what is not in the range adds the table's
 * size to the batch's, or there was no need of an index. */
static const double times_usual = 4;
/* Of one batch the median would be that one, which may have been the first to read the table. */
static const int fewest_usual = 3;
/* One is slow behind a checkpoint, a stall of the disk or a lock. The plan is as bad for the next one. */
static const int slow_in_a_row = 2;
/* Where it was no plan it may be something that comes again. */
static const int64_t quiet_us = 60000000;

static int by_size(const void *a, const void *b) {
	double left = *(const double *)a, right = *(const double *)b;
	return (left > right) - (left < right);
}

static double median(const struct jump *jump) {
	double sorted[JUMP_REMEMBERS];
	memcpy(sorted, jump->usual_ms, sizeof sorted);
	qsort(sorted, (size_t)jump->count, sizeof *sorted, by_size);
	return sorted[jump->count / 2];
}

static void remember(struct jump *jump, double ms) {
	jump->usual_ms[jump->next] = ms;
	jump->next = (jump->next + 1) % JUMP_REMEMBERS;
	if (jump->count < JUMP_REMEMBERS)
		jump->count++;
}

bool jump_batch_done(struct jump *jump, int64_t rows, int64_t us, int64_t now_us) {
	if (rows <= 0)
		return false;
	double ms = (double)us / 1000 / (double)rows;
	if (us < shortest_us || jump->count < fewest_usual || ms < times_usual * median(jump)) {
		remember(jump, ms);
		jump->slow = 0;
		return false;
	}
	jump->slow++;
	return jump->slow >= slow_in_a_row && now_us >= jump->quiet_until_us;
}

bool jump_timed_out(const struct jump *jump, int64_t now_us) {
	return now_us >= jump->quiet_until_us;
}

void jump_excuse(struct jump *jump, int64_t now_us) {
	*jump = (struct jump){.quiet_until_us = now_us + quiet_us};
}
