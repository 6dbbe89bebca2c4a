/*
 * windows.h: when a job may work: "Mon-Fri 22:00-06:00", "Sat,Sun", by the clock on the wall. An hour that this clock skips isn't
 * there, one that it repeats is there twice. Pure: what the clock shows at an instant is asked of a zone that the caller brings.
 */
#ifndef BACKFILLD_WINDOWS_H
#define BACKFILLD_WINDOWS_H

#include "common/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { WINDOWS_DAY_MINUTES = 24 * 60, WINDOWS_WEEK_MINUTES = 7 * WINDOWS_DAY_MINUTES };

/* The minutes of a week of wall clock, from Monday 00:00. */
struct windows {
	bool open[WINDOWS_WEEK_MINUTES];
};

/*
 * Opens the minutes of one entry: days, times or both. Without days it is every day; without times it is all of the day; times
 * that end before they begin run past midnight and belong to the day on which they begin; 24:00 and 00:00 are the end of the day.
 * On failure nothing changes and the message names the entry: one that ends when it begins, or is none. code ERROR_DATA.
 */
bool windows_add(struct windows *windows, const char *entry, struct error *err);
/* All the entries of a job; none: always open. */
bool windows_read(struct windows *windows, char *const *entries, size_t count, struct error *err);

/* How many seconds the zone's clocks are ahead of UTC at `utc_s`, and until when, later than that, they surely stay so. */
typedef int64_t windows_offset_fn(const void *zone, int64_t utc_s, int64_t *until_utc_s);

struct windows_state {
	bool open;
	int64_t changes_utc_s; /* the first second that is otherwise; INT64_MAX: none within four weeks */
};
/* `now_utc_s` in seconds since 1970, as all of them. */
struct windows_state windows_next(const struct windows *windows, windows_offset_fn *offset, const void *zone, int64_t now_utc_s);

#endif
