/* job_window: when a job with time windows is held, with which words, and when it looks again; under a clock of our own. */
#include "daemon/job/job_window.c"

#include "common/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static int64_t now_us;
static char held[2000];
static double look_in_ms;

void job_hold(struct job *job, const char *probe, const char *reason) {
	(void)job;
	assert_string_equal(probe, "window");
	snprintf(held, sizeof held, "%s", reason);
}

void job_look_in_ms(struct job *job, double ms) {
	(void)job;
	look_in_ms = ms;
}

/* A claimed job with one window. */
static struct job *a_job(const char *window, const char *zone) {
	struct job *job = mem_alloc(sizeof *job);
	job->claimed.epoch = 1;
	struct jobfile *file = mem_alloc(sizeof *file);
	job->claimed.job = file;
	if (window != NULL) {
		file->settings.windows = mem_alloc(sizeof *file->settings.windows);
		file->settings.windows[0] = mem_dup(window);
		file->settings.nwindows = 1;
	}
	file->settings.timezone = mem_dup(zone);
	return job;
}

static void job_gone(struct job *job) {
	jobfile_free(job->claimed.job);
	free(job);
}

static void at(const char *utc) {
	struct tm tm = {0};
	assert_non_null(strptime(utc, "%Y-%m-%d %H:%M:%S", &tm));
	now_us = (int64_t)timegm(&tm) * 1000000;
}

static bool open_at(struct job *job, const char *utc) {
	at(utc);
	held[0] = '\0';
	look_in_ms = -1;
	return job_window_open(job);
}

static void without_windows_nothing_is_asked(void **state) {
	(void)state;
	struct job *job = a_job(NULL, "No/Zone");
	assert_true(open_at(job, "2026-11-23 12:00:00"));
	job_gone(job);
}

static void outside_it_says_when_they_open(void **state) {
	(void)state;
	struct job *job = a_job("Mon-Fri 22:00-06:00", "Europe/Berlin");
	assert_false(open_at(job, "2026-11-22 12:00:00")); /* a Sunday */
	assert_string_equal(held, "outside its time windows: opens Mon 22:00 (Europe/Berlin)");
	assert_true(look_in_ms == 60001);
	assert_false(open_at(job, "2026-11-23 20:59:30"));
	assert_true(look_in_ms == 30001);
	assert_false(open_at(job, "2026-11-23 20:59:59")); /* somebody woke it: it looks again all the same */
	assert_string_equal(held, "outside its time windows: opens Mon 22:00 (Europe/Berlin)");
	assert_true(look_in_ms == 1001);
	assert_true(open_at(job, "2026-11-23 21:00:00"));
	assert_string_equal(held, "");
	assert_true(look_in_ms == -1);
	job_gone(job);
	job = a_job("Sun 02:15-02:45", "Europe/Berlin"); /* not there on 2026-03-29 */
	assert_false(open_at(job, "2026-03-23 12:00:00"));
	assert_string_equal(held, "outside its time windows: opens Sun 2026-04-05 02:15 (Europe/Berlin)");
	job_gone(job);
}

static void inside_it_closes_in_time(void **state) {
	(void)state;
	struct job *job = a_job("10:00-11:00", "UTC");
	assert_true(open_at(job, "2026-11-23 10:00:00"));
	assert_true(open_at(job, "2026-11-23 10:59:50"));
	assert_true(open_at(job, "2026-11-23 10:59:59"));
	assert_false(open_at(job, "2026-11-23 11:00:00"));
	job_gone(job);
}

/* What was found is kept for no more than a minute, and for no other clock or settings. */
static void a_clock_that_is_set_is_noticed(void **state) {
	(void)state;
	struct job *job = a_job("10:00-11:00", "UTC");
	assert_true(open_at(job, "2026-11-23 10:00:00"));
	assert_false(open_at(job, "2026-11-23 09:59:59"));
	assert_true(open_at(job, "2026-11-23 10:30:00"));
	assert_false(open_at(job, "2026-11-24 09:30:00"));
	assert_true(open_at(job, "2026-11-24 10:30:00"));
	free(job->claimed.job->settings.timezone);
	job->claimed.job->settings.timezone = mem_dup("Europe/Berlin");
	assert_true(open_at(job, "2026-11-24 10:30:59"));
	assert_false(open_at(job, "2026-11-24 10:31:00"));
	job_gone(job);
}

static void other_settings_are_seen_with_their_claim(void **state) {
	(void)state;
	struct job *job = a_job("10:00-11:00", "UTC");
	assert_true(open_at(job, "2026-11-24 10:30:00"));
	free(job->claimed.job->settings.windows[0]);
	job->claimed.job->settings.windows[0] = mem_dup("12:00-13:00");
	job->claimed.epoch++;
	assert_false(open_at(job, "2026-11-24 10:30:01"));
	assert_string_equal(held, "outside its time windows: opens Tue 12:00 (UTC)");
	job_gone(job);
}

static void a_zone_that_is_gone_holds(void **state) {
	(void)state;
	struct job *job = a_job("Mon-Sun", "No/Zone");
	assert_false(open_at(job, "2026-11-24 10:30:00"));
	assert_string_equal(held, "time windows: the time zone No/Zone is not known on this host");
	assert_true(look_in_ms == 5001);
	job_gone(job);
}

int main(void) {
	clock_fake(&now_us);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_windows_nothing_is_asked),
		cmocka_unit_test(outside_it_says_when_they_open),
		cmocka_unit_test(inside_it_closes_in_time),
		cmocka_unit_test(a_clock_that_is_set_is_noticed),
		cmocka_unit_test(other_settings_are_seen_with_their_claim),
		cmocka_unit_test(a_zone_that_is_gone_holds),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
