/* trend.h: how fast a value rises, by linear regression over the last seconds, so that one sample's jitter is no trend. Pure. */
#ifndef BACKFILLD_TREND_H
#define BACKFILLD_TREND_H

#include <stdint.h>

enum { TREND_POINTS = 24 };

/* Zeroed before the first value. */
struct trend {
	struct {
		double value;
		int64_t at_us;
	} points[TREND_POINTS];
	int count, next;
};

/* Values that come closer together than a fraction of a second count as one, the last. */
void trend_add(struct trend *trend, double value, int64_t at_us);
/* Units per second over the last span_us; 0 before the values span most of that. */
double trend_slope(const struct trend *trend, int64_t span_us);

#endif
