#include "daemon/throttle/trend.h"

/* At ten values a second every third is kept: together they span seven seconds. */
static const int64_t spacing_us = 400000;
/* Of the span that is asked for. */
static const double most_of_it = 0.7;

static int newest(const struct trend *trend) {
	return (trend->next + TREND_POINTS - 1) % TREND_POINTS;
}

void trend_add(struct trend *trend, double value, int64_t at_us) {
	/* Spaced by the one before the newest, which moves on until it is far enough from that. */
	int before = (newest(trend) + TREND_POINTS - 1) % TREND_POINTS;
	if (trend->count >= 2 && at_us - trend->points[before].at_us < spacing_us) {
		trend->points[newest(trend)].value = value;
		trend->points[newest(trend)].at_us = at_us;
		return;
	}
	trend->points[trend->next].value = value;
	trend->points[trend->next].at_us = at_us;
	trend->next = (trend->next + 1) % TREND_POINTS;
	if (trend->count < TREND_POINTS)
		trend->count++;
}

double trend_slope(const struct trend *trend, int64_t span_us) {
	if (trend->count < 3)
		return 0;
	int64_t last_us = trend->points[newest(trend)].at_us, first_us = last_us;
	double n = 0, t = 0, v = 0, tt = 0, tv = 0;
	for (int i = 0; i < trend->count; i++) {
		int64_t at_us = trend->points[i].at_us;
		if (last_us - at_us > span_us)
			continue;
		first_us = at_us < first_us ? at_us : first_us;
		double at_s = (double)(at_us - last_us) / 1e6, value = trend->points[i].value;
		n++;
		t += at_s;
		v += value;
		tt += at_s * at_s;
		tv += at_s * value;
	}
	double spread = n * tt - t * t;
	if (n < 3 || spread <= 0 || (double)(last_us - first_us) < most_of_it * (double)span_us)
		return 0;
	return (n * tv - t * v) / spread;
}
