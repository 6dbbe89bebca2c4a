#include "daemon/job/job_internal.h"

#include "common/mem.h"
#include "common/text.h"
#include "daemon/base/clock.h"
#include "daemon/base/log.h"

#include <stdio.h>
#include <stdlib.h>

enum { HOLD_TOLD_AFTER_MS = 500 };

void job_count_time(struct job *job) {
	int64_t now = clock_monotonic_us();
	if (job->counted_us != 0) {
		if (job->hold[0] != '\0')
			job->held_us += now - job->counted_us;
		else
			job->running_us += now - job->counted_us;
	}
	job->counted_us = now;
}

/* Short ones are not worth a word. */
static void tell_hold(struct job *job) {
	if (job->hold[0] == '\0' || job->hold_told)
		return;
	if (clock_monotonic_us() - job->held_since_us < HOLD_TOLD_AFTER_MS * 1000)
		return;
	job->hold_told = true;
	log_info(job->object, "held: %s", job->hold);
	target_event(job->target, "job.held", job->id, "backfilld", job->hold, json_pack("{s:s}", "probe", job->hold_probe));
}

void job_hold(struct job *job, const char *probe, const char *reason) {
	job_count_time(job);
	if (job->hold[0] == '\0')
		job->held_since_us = job->counted_us;
	text_format(job->hold, sizeof job->hold, "%s", reason);
	snprintf(job->hold_probe, sizeof job->hold_probe, "%s", probe);
	tell_hold(job);
}

void job_release_hold(struct job *job) {
	if (job->hold[0] == '\0')
		return;
	job_count_time(job);
	if (job->hold_told) {
		log_info(job->object, "goes on (was held: %s)", job->hold);
		target_event(job->target, "job.released", job->id, "backfilld", job->hold, NULL);
	}
	job->hold_told = false;
	job->hold[0] = '\0';
	job->hold_probe[0] = '\0';
}

static void add_seen(const struct job *job, struct statement *s) {
	statement_add_text(s, job->id);
	statement_add_text(s, target_host(job->target)->owner->name);
	statement_add_int(s, job->claimed.epoch);
	statement_add_int(s, job->running_us / 1000);
	statement_add_int(s, job->held_us / 1000);
	statement_add_int(s, job->failed);
	statement_add_int(s, job->retried);
	statement_add_int(s, job->split);
}

void job_add_seen_step(const struct job *job, struct transaction *t) {
	add_seen(job,
	         transaction_add(t, "seen", dialect_sql(target_dialect(job->target), "owner_seen"), NULL, transaction_expect_one));
}

bool job_prepare_last_words(struct job *job, struct statement *s) {
	if (job->claimed.job == NULL)
		return false;
	job_count_time(job);
	add_seen(job, s);
	return true;
}

struct blocker_question {
	struct target *target;
	char *job_id;
};

static bool absorb_blocker(void *context, const struct engine_result *r) {
	struct blocker_question *q = context;
	struct job *job = target_find_job(q->target, q->job_id);
	if (job == NULL || r->nrows != 1 || job->tries < JOB_TRIES_BEFORE_HOLD)
		return true;
	char reason[400];
	text_format(reason, sizeof reason, "rows are locked by pid %s, user %s, for %s s: %s", engine_value(r, 0, 0),
	            engine_value(r, 0, 1), engine_value(r, 0, 2), engine_value(r, 0, 3));
	job_hold(job, "locks", reason);
	return true;
}

static void blocker_answered(void *context, const struct transaction_result *result) {
	struct blocker_question *q = context;
	(void)result;
	free(q->job_id);
	free(q);
}

void job_ask_for_blocker(struct ev_loop *loop, ev_timer *timer, int events) {
	(void)loop, (void)events;
	struct job *job = timer->data;
	if (link_conn(job->link) == NULL)
		return;
	struct blocker_question *q = mem_alloc(sizeof *q);
	q->target = job->target;
	q->job_id = mem_dup(job->id);
	struct transaction *t = transaction_new("blockers", NULL);
	struct statement *s =
		transaction_add(t, "blockers", dialect_sql(target_dialect(job->target), "blockers"), NULL, absorb_blocker);
	statement_add_int(s, engine_backend_pid(link_conn(job->link)));
	target_run(job->target, t, q, blocker_answered);
}

struct seen {
	struct target *target;
	char *job_id;
	int64_t running_ms, held_ms, failed, retried, split;
};

static void seen_done(void *context, const struct transaction_result *result) {
	struct seen *seen = context;
	struct job *job = target_find_job(seen->target, seen->job_id);
	if (job != NULL) {
		job->seen_running = false;
		if (result->end == TRANSACTION_COMMITTED) {
			job->running_us -= seen->running_ms * 1000;
			job->held_us -= seen->held_ms * 1000;
			job->failed -= seen->failed;
			job->retried -= seen->retried;
			job->split -= seen->split;
		} else if (result->end == TRANSACTION_DECLINED) {
			job->taken = false;
			job_wake(job);
		}
	}
	free(seen->job_id);
	free(seen);
}

static void tell_seen(struct job *job) {
	if (!job->taken || job->seen_running || job->over)
		return;
	job_count_time(job);
	struct seen *seen = mem_alloc(sizeof *seen);
	*seen = (struct seen){.target = job->target,
	                      .job_id = mem_dup(job->id),
	                      .running_ms = job->running_us / 1000,
	                      .held_ms = job->held_us / 1000,
	                      .failed = job->failed,
	                      .retried = job->retried,
	                      .split = job->split};
	struct transaction *t = target_transaction(job->target, "seen");
	job_add_seen_step(job, t);
	job->seen_running = true;
	target_run(job->target, t, seen, seen_done);
}

void job_on_seen(struct ev_loop *loop, ev_timer *timer, int events) {
	(void)loop, (void)events;
	tell_hold(timer->data); /* while we wait for a connection nobody asks again whether we are held */
	tell_seen(timer->data);
}

const struct throttle_user *job_throttle_user(const struct job *job) {
	return job->user;
}

static json_t *real_or_null(double value) {
	return value >= 0 ? json_real(value) : json_null();
}

void job_add_live(const struct job *job, json_t *o) {
	bool held = job->hold[0] != '\0';
	if (job->claimed.job == NULL) {
		if (held)
			json_object_set_new(
				o, "throttle",
				json_pack("{s:b, s:s, s:s, s:n}", "held", 1, "reason", job->hold, "probe", job->hold_probe, "pressure"));
		return;
	}
	const struct job_settings *settings = &job->claimed.job->settings;
	int64_t scanned = 0, estimated = job->claimed.estimated_rows;
	for (size_t i = 0; i < job->claimed.nsegments; i++)
		scanned += job->claimed.segments[i].rows_scanned;
	double rate = held ? 0 : job->pace.rate_rows_s;
	double eta = held ? -1 : plan_eta_s(scanned, estimated, rate);
	json_object_set_new(o, "rate_rows_s", json_real(rate));
	json_object_set_new(o, "eta_s", real_or_null(eta));
	json_object_set_new(o, "batch",
	                    json_pack("{s:I, s:f, s:f}", "rows",
	                              (json_int_t)pace_rows(&job->pace, settings, job->claimed.shape->leaves[0].row_bytes), "ms",
	                              (double)job->last_batch_us / 1000.0, "delay_ms", (double)job->pace.last_delay_us / 1000.0));
	json_object_set_new(o, "throttle",
	                    json_pack("{s:b, s:s?, s:s?, s:f}", "held", held, "reason",
	                              held                           ? job->hold
	                              : job->answer.doing[0] != '\0' ? job->answer.doing
	                                                             : NULL,
	                              "probe",
	                              held                                   ? job->hold_probe
	                              : job->answer.verdict.probe[0] != '\0' ? job->answer.verdict.probe
	                                                                     : NULL,
	                              "pressure", job->answer.verdict.pressure));
	json_object_set_new(o, "workers", json_integer(settings->workers));
	json_t *windows = json_array();
	for (size_t i = 0; i < settings->nwindows; i++)
		json_array_append_new(windows, json_string(settings->windows[i]));
	json_object_set_new(o, "windows", windows);
	json_object_set_new(o, "timezone", json_string(settings->timezone));
}
