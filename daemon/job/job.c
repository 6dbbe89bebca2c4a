#include "daemon/job/job_internal.h"

#include "common/mem.h"
#include "common/text.h"
#include "daemon/base/clock.h"
#include "daemon/base/log.h"
#include "daemon/job/change.h"
#include "daemon/throttle/pace.h"

#include <assert.h>
#include <ev.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	LOOK_AGAIN_MS = 50, /* while held */
	RETRY_MS = 1000,
	SEEN_EVERY_MS = 1000,
	CANCEL_AGAIN_MS = 20,
};

const char *job_id(const struct job *job) {
	return job->id;
}

void job_look_in_ms(struct job *job, double ms) {
	if (job->over)
		return; /* being freed: what ends now must leave no timer behind */
	ev_timer_stop(job->loop, &job->wake);
	ev_timer_set(&job->wake, ms / 1000.0, 0.);
	ev_timer_start(job->loop, &job->wake);
}

static bool in_flight(const struct job *job) {
	return job->claim != NULL || job->round != NULL || job->check != NULL || job->batch != NULL || job->completing;
}

/* --- ends --- */

static void over(struct job *job) {
	job->over = true;
	ev_timer_stop(job->loop, &job->wake);
	ev_timer_stop(job->loop, &job->seen);
	ev_timer_stop(job->loop, &job->ask);
	ev_timer_stop(job->loop, &job->cancel);
	target_job_over(job->target, job);
}

/* The job may be over by the time of the answer. */
struct asked {
	struct target *target;
	char *job_id;
};

static struct asked *asked_new(const struct job *job) {
	struct asked *asked = mem_alloc(sizeof *asked);
	*asked = (struct asked){.target = job->target, .job_id = mem_dup(job->id)};
	return asked;
}

static void asked_free(struct asked *asked) {
	free(asked->job_id);
	free(asked);
}

/* The change drops the job when it commits. When it does not, or another daemon was faster, the job claims again: that finds
 * the same once more, or that there is nothing left to do here. */
static void pause_done(void *context, const struct change_result *result) {
	struct asked *asked = context;
	struct job *job = target_find_job(asked->target, asked->job_id);
	(void)result;
	if (job != NULL) {
		job->pausing = false;
		job->taken = false;
		job_look_in_ms(job, RETRY_MS);
	}
	asked_free(asked);
}

static void ask_for(struct job *job, enum job_request request, const char *reason) {
	job->pausing = true;
	change_state(job->target, job->id, request, "backfilld", reason, pause_done, asked_new(job));
}

void job_pause_for(struct job *job, const char *reason) {
	log_warning(job->object, "pauses: %s", reason);
	ask_for(job, JOB_PAUSE, reason);
}

static void completed(void *context, const struct transaction_result *result) {
	struct job *job = context;
	job->completing = false;
	if (result->end == TRANSACTION_COMMITTED) {
		log_info(job->object, "completed");
		over(job);
		return;
	}
	job->taken = false; /* fenced, or not known: claim again and see */
	job_look(job);
}

struct completion {
	struct job *job;
	struct pending_event *event;
};

static void completion_ended(void *context, const struct transaction_result *result) {
	struct completion *completion = context;
	if (result->end == TRANSACTION_COMMITTED)
		target_event_committed(completion->event);
	else
		target_event_dropped(completion->event);
	struct job *job = completion->job;
	free(completion);
	completed(job, result);
}

static void complete(struct job *job) {
	const struct dialect *dialect = target_dialect(job->target);
	int64_t scanned = 0, changed = 0;
	for (size_t i = 0; i < job->claimed.nsegments; i++) {
		scanned += job->claimed.segments[i].rows_scanned;
		changed += job->claimed.segments[i].rows_changed;
	}
	struct completion *completion = mem_alloc(sizeof *completion);
	completion->job = job;
	struct transaction *t = target_transaction(job->target, "complete");
	job_count_time(job);
	if (!job->seen_running) /* else it is on its way already */
		job_add_seen_step(job, t);
	struct statement *s = transaction_add(t, "complete", dialect_sql(dialect, "job_complete"), NULL, transaction_expect_one);
	statement_add_text(s, job->id);
	statement_add_text(s, target_host(job->target)->owner->name);
	statement_add_int(s, job->claimed.epoch);
	completion->event = target_event_step(job->target, t, "job.completed", job->id, "backfilld", NULL,
	                                      json_pack("{s:I, s:I}", "rows_scanned", scanned, "rows_changed", changed));
	job->completing = true;
	/* On the job's own connection, as its batches: nothing of it is still on its way then. */
	link_run(job->link, t, 15000, 0, completion, completion_ended);
}

/* --- claim and round --- */

static void claim_done(void *context, enum claim_end end, const char *why) {
	struct job *job = context;
	job->claim = NULL;
	switch (end) {
	case CLAIM_TAKEN:
		job->taken = true;
		/* Only now: while the claim was on its way a reload may have replaced the target's configuration. */
		jobfile_inherit_limits(job->claimed.job, &target_config(job->target)->throttle, &target_config(job->target)->guards);
		log_info(job->object, "claimed, epoch %" PRId64, job->claimed.epoch);
		job_use_throttle(job);
		if (job->claimed.owner_changed)
			target_event(job->target, "owner.claimed", job->id, "backfilld", NULL,
			             json_pack("{s:s, s:I, s:s?}", "owner", target_host(job->target)->owner->display, "epoch",
			                       job->claimed.epoch, "former", job->claimed.former_owner));
		if (job->batch_rows != job->claimed.job->settings.batch.rows) { /* the first time, or `set` has changed it */
			job->batch_rows = job->claimed.job->settings.batch.rows;
			pace_init(&job->pace, &job->claimed.job->settings);
		}
		if (job->last_end_us > 0 && job->tries == 0)
			job_rest(job);
		job->tries = 0;
		break;
	case CLAIM_NOT_OURS:
		log_info(job->object, "let go: %s", why);
		over(job);
		return;
	case CLAIM_STOPPED:
		job_hold(job, "stop", "emergency stop");
		job_look_in_ms(job, 200);
		return;
	case CLAIM_CHANGED:
		job_pause_for(job, why);
		return;
	case CLAIM_UNREADABLE:
		log_error(job->object, "can't be read: %s", why);
		ask_for(job, JOB_FAIL, why);
		return;
	case CLAIM_BROKEN:
		job_look_in_ms(job, 0); /* the link tells when it is up again; someone may wait for quiet */
		return;
	case CLAIM_REFUSED:
		job_hold(job, "claim", why);
		job->reset_wanted = true; /* perhaps this is not the primary any more, or another server */
		job_look_in_ms(job, 500);
		return;
	}
	job_look(job);
}

static void claim(struct job *job) {
	job->taken = job->reread = false;
	throttle_configure(job->user, NULL, NULL, NULL);
	ahead_forget(job->ahead);
	batch_texts_free(job->texts);
	job->texts = NULL;
	job->claim =
		claim_start(job->link, target_dialect(job->target), job->id, target_host(job->target)->owner,
	                target_config(job->target)->owner_timeout_ms, target_identity(job->target), &job->claimed, claim_done, job);
}

static void round_done(void *context, enum round_end end, const char *why) {
	struct job *job = context;
	job->round = NULL;
	switch (end) {
	case ROUND_DONE:
		log_debug(job->object, "round %d, %s, is %s", job->claimed.round, phase_name(job->claimed.phase),
		          job->claimed.open ? "open" : "begun");
		if (job->claimed.open)
			job_release_hold(job);
		job_use_throttle(job);
		break;
	case ROUND_WAIT:
		job_hold(job, "writers", why);
		job_look_in_ms(job, 200);
		return;
	case ROUND_REFUSED:
		job_hold(job, "round", why);
		job_look_in_ms(job, 1000);
		return;
	case ROUND_FENCED:
		job->taken = false;
		break;
	case ROUND_BROKEN:
		break;
	}
	job_look(job);
}

/* --- may a batch start? --- */

/* Far beyond a limit although we hold, or go slower: somebody else's load, and a person has to look. */
static bool guard_tripped(struct job *job) {
	const struct throttle_verdict *verdict = &job->answer.verdict;
	int64_t limit_ms = job->claimed.job->settings.guards.lag_ms;
	char reason[440];
	if (limit_ms > 0 && verdict->lag_s * 1000 > (double)limit_ms)
		text_format(reason, sizeof reason, "guard: replica lag %.1f s > %.1f s (%s)", verdict->lag_s, (double)limit_ms / 1000.0,
		            verdict->probe);
	else if (job->answer.guard[0] != '\0')
		text_format(reason, sizeof reason, "guard: %s", job->answer.guard);
	else
		return false;
	target_event(job->target, "guard.tripped", job->id, "backfilld", reason, NULL);
	job_pause_for(job, reason);
	return true;
}

/* May a batch start now? Otherwise says why, and looks again later. */
static bool allowed(struct job *job) {
	if (stop_file_present(target_host(job->target)->stop_file, NULL)) {
		throttle_stand_by(job->user);
		job_hold(job, "stop", "emergency stop");
		job_look_in_ms(job, LOOK_AGAIN_MS);
		return false;
	}
	if (!job_window_open(job)) {
		throttle_stand_by(job->user);
		return false;
	}
	job->answer = *throttle_ask(job->user);
	if (guard_tripped(job))
		return false;
	if (job->answer.verdict.held) {
		job_hold(job, job->answer.verdict.probe, job->answer.verdict.reason);
		job_look_in_ms(job, LOOK_AGAIN_MS);
		return false;
	}
	if (job->tries == 0)
		job_release_hold(job);
	if (job->answer.resting) {
		job_look_in_ms(job, LOOK_AGAIN_MS);
		return false;
	}
	pace_allow(&job->pace, job->answer.rate_rows_s, job->answer.batch_ms);
	if (job->tries == 0 && job->last_end_us > 0)
		job_rest(job); /* by what is allowed now */
	double rest_ms = (double)(job->rest_until_us - clock_monotonic_us()) / 1000;
	if (rest_ms > 0.5) {
		job_look_in_ms(job, fmin(rest_ms, JOB_LONGEST_REST_MS));
		return false;
	}
	return target_take_slot(job->target);
}

/* The only place that starts something. */
void job_look(struct job *job) {
	if (in_flight(job) || job->over)
		return;
	ev_timer_stop(job->loop, &job->wake);
	if (job->quieted) {
		/* What they start goes through the loop: the job is still there for the second. */
		while (job->nquiet > 0) {
			job->nquiet--;
			job->quiet[job->nquiet].fn(job->quiet[job->nquiet].context);
		}
		return;
	}
	if (!job->up || job->pausing)
		return;
	if (job->reset_wanted) {
		job->reset_wanted = false;
		link_reset(job->link, job->hold);
		return;
	}
	if (!job->taken || job->reread) {
		claim(job);
		return;
	}
	if (round_due(&job->claimed)) {
		job->round = round_start(job->link, job->target, &job->claimed, round_done, job);
		return;
	}
	struct segment *segment = job_next_segment(job);
	if (segment == NULL)
		complete(job);
	else if (!allowed(job))
		return;
	else if (job_plan_due(job, segment))
		job_check_plan(job, segment);
	else
		job_start_batch(job, segment);
}

static void on_cancel(struct ev_loop *loop, ev_timer *timer, int events) {
	(void)loop, (void)events;
	job_cancel_batch(timer->data);
}

static void on_wake(struct ev_loop *loop, ev_timer *timer, int events) {
	(void)loop, (void)events;
	job_look(timer->data);
}

void job_wake(struct job *job) {
	if (!job->over && !in_flight(job))
		job_look_in_ms(job, 0);
}

static void link_changed(void *context, bool up, const char *why) {
	struct job *job = context;
	job->up = up;
	if (!up) {
		job->taken = false;
		char reason[400];
		text_format(reason, sizeof reason, "connection lost: %s", why);
		job_hold(job, "server", reason);
		return;
	}
	job_look_in_ms(job, 0);
}

/* --- the outside --- */

struct job *job_new(struct target *target, const char *id) {
	struct job *job = mem_alloc(sizeof *job);
	job->target = target;
	job->loop = target_host(target)->loop;
	job->id = mem_dup(id);
	snprintf(job->object, sizeof job->object, "job %s", id);
	ev_timer_init(&job->wake, on_wake, 0., 0.);
	job->wake.data = job;
	int64_t every_ms = target_config(target)->owner_timeout_ms / 4;
	if (every_ms > SEEN_EVERY_MS)
		every_ms = SEEN_EVERY_MS;
	ev_timer_init(&job->seen, job_on_seen, (double)every_ms / 1000.0, (double)every_ms / 1000.0);
	job->seen.data = job;
	ev_timer_start(job->loop, &job->seen);
	ev_init(&job->ask, job_ask_for_blocker);
	job->ask.data = job;
	ev_init(&job->cancel, on_cancel);
	job->cancel.data = job;
	char application[64];
	snprintf(application, sizeof application, "backfilld %s", id);
	job->link = link_new(job->loop, target_engine(target), target_config(target)->url, application, link_changed, job);
	job->user = throttle_join(target_throttle(target));
	return job;
}

void job_free(struct job *job) {
	if (job == NULL)
		return;
	ev_timer_stop(job->loop, &job->wake);
	ev_timer_stop(job->loop, &job->seen);
	ev_timer_stop(job->loop, &job->ask);
	ev_timer_stop(job->loop, &job->cancel);
	job->over = true; /* what still runs on the link ends now, and must not start anything */
	link_free(job->link);
	ahead_free(job->ahead);
	batch_texts_free(job->texts);
	throttle_leave(job->user);
	claimed_clear(&job->claimed);
	free(job->planned_mark);
	free(job->id);
	job->id = NULL;
	struct job gone = *job;
	free(job);
	while (gone.nquiet-- > 0)
		gone.quiet[gone.nquiet].fn(gone.quiet[gone.nquiet].context); /* quieter than this it gets not */
}

void job_quiet(struct job *job, job_quiet_fn *quiet, void *context) {
	job->quieted++;
	assert(job->nquiet < (int)(sizeof job->quiet / sizeof *job->quiet));
	job->quiet[job->nquiet].fn = quiet;
	job->quiet[job->nquiet++].context = context;
	if (!in_flight(job))
		job_look_in_ms(job, 0);
}

void job_unquiet(struct job *job) {
	if (job->quieted > 0) /* not so for a job that came when the others were asked already */
		job->quieted--;
	job_wake(job);
}

static bool is_at_work(const struct job *job) {
	return job->batch != NULL || job->check != NULL;
}

/* MySQL takes a session for the trigger's definer while it is in a trigger, and lets few end that. */
static void cancel_answered(void *context, const struct transaction_result *result) {
	struct asked *asked = context;
	struct job *job = target_find_job(asked->target, asked->job_id);
	if (job != NULL && is_at_work(job) && result->end == TRANSACTION_REFUSED) {
		ev_timer_set(&job->cancel, CANCEL_AGAIN_MS / 1000., 0.);
		ev_timer_start(job->loop, &job->cancel);
	}
	asked_free(asked);
}

void job_cancel_batch(struct job *job) {
	if (!is_at_work(job))
		return;
	struct transaction *t = transaction_new("cancel", NULL);
	struct statement *s = transaction_add(t, "cancel", dialect_sql(target_dialect(job->target), "cancel_backend"), NULL, NULL);
	statement_add_text(s, job->id);
	target_run(job->target, t, asked_new(job), cancel_answered);
}

void job_reread(struct job *job) {
	job->reread = true;
	job_wake(job);
}

static void released(void *context, const struct transaction_result *result) {
	struct job *job = context;
	if (result->end == TRANSACTION_COMMITTED)
		log_info(job->object, "ownership released");
	job->completing = false;
	job->released(job->released_context);
}

void job_release(struct job *job, void (*done)(void *context), void *context) {
	if (!job->taken || link_conn(job->link) == NULL || job->over) {
		done(context);
		return;
	}
	job->released = done;
	job->released_context = context;
	job->completing = true;
	struct transaction *t = target_transaction(job->target, "release");
	struct statement *s = transaction_add(t, "release", dialect_sql(target_dialect(job->target), "owner_release"), NULL, NULL);
	statement_add_text(s, job->id);
	statement_add_text(s, target_host(job->target)->owner->name);
	statement_add_int(s, job->claimed.epoch);
	link_run(job->link, t, 3000, 0, job, released);
}
