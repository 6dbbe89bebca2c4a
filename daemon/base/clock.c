#include "daemon/base/clock.h"

#include <stdio.h>
#include <time.h>

static const int64_t *fake;

static int64_t read_clock_us(clockid_t id) {
	if (fake != NULL)
		return *fake;
	struct timespec t;
	clock_gettime(id, &t); /* cannot fail for these two clocks */
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

int64_t clock_monotonic_us(void) {
	return read_clock_us(CLOCK_MONOTONIC);
}

int64_t clock_wall_us(void) {
	return read_clock_us(CLOCK_REALTIME);
}

void clock_format(int64_t wall_us, char *buffer, size_t size) {
	int64_t within_us = wall_us % 1000000;
	if (within_us < 0) /* before 1970: C rounds towards zero, time towards the past */
		within_us += 1000000;
	time_t seconds = (time_t)((wall_us - within_us) / 1000000);
	struct tm tm;
	char date[64];
	if (gmtime_r(&seconds, &tm) == NULL || strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &tm) == 0)
		snprintf(date, sizeof date, "0000-00-00T00:00:00");
	snprintf(buffer, size, "%s.%03dZ", date, (int)(within_us / 1000));
}

void clock_fake(const int64_t *fake_us) {
	fake = fake_us;
}
