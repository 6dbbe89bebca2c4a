/* job_window.c: a job with time windows works inside of them; outside it is held until the next one opens. */
#include "common/text.h"
#include "common/windows.h"
#include "daemon/base/clock.h"
#include "daemon/base/zone.h"
#include "daemon/job/job_internal.h"

#include <stdio.h>
#include <time.h>

/* What was found holds no longer: the host's clock may be set, and tzdata replaced. */
enum { LOOK_AGAIN_S = 60, NO_ZONE_LOOK_AGAIN_S = 5 };

#define US_PER_S INT64_C(1000000)

/* "Mon 22:00", with the date when it is not in the days to come. */
static void describe(const struct zone *zone, int64_t opens_s, int64_t now_s, char *reason, size_t size) {
	char when[40] = "not within four weeks";
	if (opens_s < INT64_MAX) {
		int64_t until_s = 0;
		time_t local_s = (time_t)(opens_s + zone_offset_s(zone, opens_s, &until_s));
		struct tm tm;
		bool is_near = opens_s - now_s < (int64_t)6 * 24 * 3600;
		if (gmtime_r(&local_s, &tm) == NULL || strftime(when, sizeof when, is_near ? "%a %H:%M" : "%a %F %H:%M", &tm) == 0)
			snprintf(when, sizeof when, "later");
	}
	text_format(reason, size, "outside its time windows: opens %s (%s)", when, zone_name(zone));
}

/* Without the zone nobody knows: closed. */
static void find_out(struct job_window *window, const struct job_settings *settings, int64_t now_s) {
	struct error err;
	struct windows windows;
	struct zone *zone = zone_new(settings->timezone, &err);
	if (zone == NULL || !windows_read(&windows, settings->windows, settings->nwindows, &err)) {
		window->open = false;
		window->until_us = (now_s + NO_ZONE_LOOK_AGAIN_S) * US_PER_S;
		text_format(window->reason, sizeof window->reason, "time windows: %s", err.message);
	} else {
		struct windows_state state = windows_next(&windows, zone_offset_s, zone, now_s);
		int64_t look_s = now_s + LOOK_AGAIN_S;
		window->open = state.open;
		window->until_us = (state.changes_utc_s < look_s ? state.changes_utc_s : look_s) * US_PER_S;
		if (!state.open)
			describe(zone, state.changes_utc_s, now_s, window->reason, sizeof window->reason);
	}
	zone_free(zone);
}

bool job_window_open(struct job *job) {
	const struct job_settings *settings = &job->claimed.job->settings;
	struct job_window *window = &job->window;
	if (settings->nwindows == 0)
		return true;
	int64_t now_us = clock_wall_us();
	if (window->epoch != job->claimed.epoch || now_us < window->from_us || now_us >= window->until_us) {
		window->epoch = job->claimed.epoch;
		window->from_us = now_us;
		find_out(window, settings, now_us / US_PER_S);
	}
	if (window->open)
		return true;
	job_hold(job, "window", window->reason);
	job_look_in_ms(job, (double)(window->until_us - now_us) / 1000.0 + 1);
	return false;
}
