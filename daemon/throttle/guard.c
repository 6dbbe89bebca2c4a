#include "daemon/throttle/guard.h"

static const int64_t window_us = 15000000;
static const int most_windows = 3;
static const double errors_below = 2; /* it may be an estimate of few samples */

static bool is_above(const struct reading *reading, double increase) {
	double surely = reading->value * (1 - errors_below * reading->error);
	return reading->state == READING_KNOWN && reading->baseline > 0 && surely > reading->baseline * (1 + increase);
}

bool guard_latency(struct guard *guard, const struct reading *reading, double increase, double rate_rows_s, int64_t now_us) {
	if (increase <= 0 || !is_above(reading, increase)) {
		*guard = (struct guard){0};
		return false;
	}
	if (guard->windows == 0 || now_us >= guard->next_us) {
		guard->rate = guard->windows == 0 ? rate_rows_s : guard->rate;
		guard->windows++;
		guard->next_us = now_us + window_us;
	}
	return guard->windows > most_windows && rate_rows_s < guard->rate;
}
