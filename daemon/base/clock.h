/* clock.h: the only place that asks what time it is. Tests put their own time in. */
#ifndef BACKFILLD_CLOCK_H
#define BACKFILLD_CLOCK_H

#include <stddef.h>
#include <stdint.h>

/* Microseconds of a clock that never steps (CLOCK_MONOTONIC); comparable only within one boot of one host. */
int64_t clock_monotonic_us(void);
/* Microseconds since 1970, UTC. For people, never for intervals. */
int64_t clock_wall_us(void);
/* RFC 3339 UTC with milliseconds, "2026-11-21T09:00:00.123Z". */
void clock_format(int64_t wall_us, char *buffer, size_t size);

/* Tests only: both clocks answer *fake_us from now on; NULL gives the real ones back. */
void clock_fake(const int64_t *fake_us);

#endif
