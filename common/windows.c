#include "common/windows.h"

#include <string.h>

enum { MINUTE_S = 60, DAY_S = 24 * 60 * MINUTE_S, WEEK_S = 7 * DAY_S };

static const char *const days[] = {"Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"};

/* ---- Reading ---- */

static bool skip(const char **at, char c) {
	if (**at != c)
		return false;
	++*at;
	return true;
}

static bool read_day(const char **at, int *day) {
	for (int i = 0; i < 7; i++) {
		if (strncmp(*at, days[i], 3) == 0) {
			*at += 3;
			*day = i;
			return true;
		}
	}
	return false;
}

/* Mon, Mon-Fri or Fri-Mon, and more of them behind commas. */
static bool read_days(const char **at, bool on[7]) {
	do {
		int first = 0;
		if (!read_day(at, &first))
			return false;
		int last = first;
		if (skip(at, '-') && !read_day(at, &last))
			return false;
		for (int day = first; on[day] = true, day != last;)
			day = (day + 1) % 7;
	} while (skip(at, ','));
	return true;
}

static bool read_two_digits(const char **at, int *number) {
	const char *p = *at;
	if (p[0] < '0' || p[0] > '9' || p[1] < '0' || p[1] > '9')
		return false;
	*number = (p[0] - '0') * 10 + p[1] - '0';
	*at += 2;
	return true;
}

/* HH:MM up to 24:00. */
static bool read_minute(const char **at, int *minute) {
	int hours = 0, minutes = 0;
	if (!read_two_digits(at, &hours) || !skip(at, ':') || !read_two_digits(at, &minutes) || minutes > 59)
		return false;
	*minute = hours * 60 + minutes;
	return *minute <= WINDOWS_DAY_MINUTES;
}

struct entry {
	bool on[7];
	int begin, end; /* minutes of the day */
};

static bool read_entry(const char *at, struct entry *entry) {
	bool has_days = *at < '0' || *at > '9';
	if (has_days && !read_days(&at, entry->on))
		return false;
	if (has_days && *at == '\0') {
		entry->end = WINDOWS_DAY_MINUTES;
		return true;
	}
	if (has_days && !skip(&at, ' '))
		return false;
	for (int day = 0; day < 7 && !has_days; day++)
		entry->on[day] = true;
	return read_minute(&at, &entry->begin) && skip(&at, '-') && read_minute(&at, &entry->end) && *at == '\0' &&
	       entry->begin < WINDOWS_DAY_MINUTES;
}

bool windows_add(struct windows *windows, const char *text, struct error *err) {
	struct entry entry = {0};
	if (!read_entry(text, &entry)) {
		error_set(err, ERROR_DATA, "\"%.80s\" is not days, times or both, as \"Mon-Fri 22:00-06:00\" or \"Sat,Sun\"", text);
		return error_hint(err, "days are Mon, Tue, Wed, Thu, Fri, Sat and Sun, a time is HH:MM, up to 24:00");
	}
	if (entry.begin == entry.end) {
		error_set(err, ERROR_DATA, "\"%.80s\" ends when it begins", text);
		return error_hint(err, "a whole day is \"Mon\" or \"Mon 00:00-24:00\"");
	}
	int length = entry.end - entry.begin + (entry.end < entry.begin ? WINDOWS_DAY_MINUTES : 0);
	for (int day = 0; day < 7; day++)
		for (int i = 0; i < length && entry.on[day]; i++)
			windows->open[(day * WINDOWS_DAY_MINUTES + entry.begin + i) % WINDOWS_WEEK_MINUTES] = true;
	return true;
}

bool windows_read(struct windows *windows, char *const *entries, size_t count, struct error *err) {
	memset(windows->open, count == 0, sizeof windows->open);
	for (size_t i = 0; i < count; i++)
		if (!windows_add(windows, entries[i], err))
			return false;
	return true;
}

/* ---- Asking ---- */

static int64_t second_of_week(int64_t local_s) {
	int64_t since_monday = (local_s + 3 * DAY_S) % WEEK_S; /* 1970 began on a Thursday */
	return since_monday < 0 ? since_monday + WEEK_S : since_monday;
}

/* For how long the wall clock, going on evenly from here, shows minutes that are `open`: 0 if it shows another; INT64_MAX: for
 * ever. */
static int64_t seconds_of(const struct windows *windows, bool open, int64_t local_s) {
	int64_t second = second_of_week(local_s), minute = second / MINUTE_S;
	int64_t minutes = 0;
	while (minutes < WINDOWS_WEEK_MINUTES && windows->open[(minute + minutes) % WINDOWS_WEEK_MINUTES] == open)
		minutes++;
	if (minutes == WINDOWS_WEEK_MINUTES)
		return INT64_MAX;
	return minutes == 0 ? 0 : minutes * MINUTE_S - second % MINUTE_S;
}

struct windows_state windows_next(const struct windows *windows, windows_offset_fn *offset, const void *zone, int64_t now_utc_s) {
	int64_t at = now_utc_s, until = 0;
	int64_t local_s = at + offset(zone, at, &until);
	struct windows_state state = {.open = windows->open[second_of_week(local_s) / MINUTE_S], .changes_utc_s = INT64_MAX};
	/* From one change of the zone's offset to the next: in between the wall clock goes evenly. */
	while (at - now_utc_s <= (int64_t)4 * WEEK_S) {
		int64_t seconds = seconds_of(windows, state.open, local_s);
		if (seconds < until - at) {
			state.changes_utc_s = at + seconds;
			break;
		}
		at = until;
		local_s = at + offset(zone, at, &until);
	}
	return state;
}
