#include "daemon/job/job.h"

#include "common/mem.h"
#include "daemon/base/clock.h"
#include "daemon/base/log.h"
#include "daemon/job/batch.h"
#include "daemon/job/change.h"
#include "daemon/throttle/pace.h"

#include <ev.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	LOOK_AGAIN_MS = 50,    /* while held */
	TRIES_BEFORE_HOLD = 5, /* of one batch that meets locks, before we say who holds them */
	LONGEST_BACKOFF_MS = 2000,
	LONGEST_LOCK_WAIT_MS = 900, /* below deadlock_timeout's default of 1 s: which error comes first is not left to chance */
	SHORTEST_LOCK_WAIT_MS = 20,
	SHORTEST_STATEMENT_MS = 5000,
	SEEN_EVERY_MS = 1000,
	HOLD_TOLD_AFTER_MS = 500,
};

struct job {
	struct target *target;
	struct ev_loop *loop;
	char *id;
	char object[80]; /* "job ID": the prefix of its log lines */

	struct link *link;
	bool up;
	bool taken; /* the claim is valid */
	struct claimed claimed;
	struct claim *claim;
	struct freeze *freeze;
	struct batch *batch;
	bool completing, over;

	ev_timer wake; /* the next look */
	ev_timer seen; /* tells the control tables that we live */
	bool seen_running;
	bool reset_wanted; /* the next look makes a new connection first */
	int64_t rest_until_us;

	struct pace pace;
	struct throttle_verdict verdict;
	char hold[400]; /* why we wait by ourselves; "" when we don't */
	char hold_probe[80];
	int64_t held_since_us;
	bool hold_told;
	int tries; /* of the batch that is next */
	int64_t last_end_us;
	double last_batch_ms;

	/* Not yet told to the control tables. */
	int64_t counted_us, running_us, held_us;
	int64_t failed, retried, split;

	job_quiet_fn *quiet;
	void *quiet_context;
	bool quieted;

	void (*released)(void *context);
	void *released_context;
};

static void look(struct job *job);

static const char *object(const struct job *job) {
	return job->object;
}

const char *job_id(const struct job *job) {
	return job->id;
}

static void look_in_ms(struct job *job, double ms) {
	ev_timer_stop(job->loop, &job->wake);
	ev_timer_set(&job->wake, ms / 1000.0, 0.);
	ev_timer_start(job->loop, &job->wake);
}

static bool in_flight(const struct job *job) {
	return job->claim != NULL || job->freeze != NULL || job->batch != NULL || job->completing;
}

/* --- time and holds --- */

static void count_time(struct job *job) {
	int64_t now = clock_monotonic_us();
	if (job->counted_us != 0) {
		if (job->hold[0] != '\0')
			job->held_us += now - job->counted_us;
		else
			job->running_us += now - job->counted_us;
	}
	job->counted_us = now;
}

/* A hold is shown at once; it becomes an event when it lasts, so that a flicker does not fill the audit trail. */
static void hold(struct job *job, const char *probe, const char *reason) {
	count_time(job);
	if (job->hold[0] == '\0')
		job->held_since_us = job->counted_us;
	snprintf(job->hold, sizeof job->hold, "%s", reason);
	snprintf(job->hold_probe, sizeof job->hold_probe, "%s", probe);
	if (job->hold_told || job->counted_us - job->held_since_us < HOLD_TOLD_AFTER_MS * 1000)
		return;
	job->hold_told = true;
	log_info(object(job), "held: %s", reason);
	target_event(job->target, "job.held", job->id, "backfilld", reason, json_pack("{s:s}", "probe", probe));
}

static void release_hold(struct job *job) {
	if (job->hold[0] == '\0')
		return;
	count_time(job);
	if (job->hold_told) {
		log_info(object(job), "goes on (was held: %s)", job->hold);
		target_event(job->target, "job.released", job->id, "backfilld", job->hold, NULL);
	}
	job->hold_told = false;
	job->hold[0] = '\0';
	job->hold_probe[0] = '\0';
}

/* Tells the control tables that we live, and what has been counted since the last time. */
static void add_seen_step(const struct job *job, struct transaction *t) {
	struct statement *s =
		transaction_add(t, "seen", dialect_sql(target_dialect(job->target), "owner_seen"), NULL, transaction_expect_one);
	statement_add_text(s, job->id);
	statement_add_text(s, target_host(job->target)->owner->name);
	statement_add_int(s, job->claimed.epoch);
	statement_add_int(s, job->running_us / 1000);
	statement_add_int(s, job->held_us / 1000);
	statement_add_int(s, job->failed);
	statement_add_int(s, job->retried);
	statement_add_int(s, job->split);
}

/* --- ends --- */

static void over(struct job *job) {
	job->over = true;
	ev_timer_stop(job->loop, &job->wake);
	ev_timer_stop(job->loop, &job->seen);
	target_job_over(job->target, job);
}

static void pause_done(void *context, const struct change_result *result) {
	/* The change drops the job when it commits; when it does not, the next look finds the same error. */
	(void)context, (void)result;
}

/* The work itself asks for a pause: a person has to look. */
static void pause_for(struct job *job, const char *reason) {
	log_warning(object(job), "pauses: %s", reason);
	change_state(job->target, job->id, JOB_PAUSE, "backfilld", reason, pause_done, NULL);
}

static void completed(void *context, const struct transaction_result *result) {
	struct job *job = context;
	job->completing = false;
	if (result->end == TRANSACTION_COMMITTED) {
		log_info(object(job), "completed");
		over(job);
		return;
	}
	job->taken = false; /* fenced, or not known: claim again and see */
	look(job);
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
	count_time(job);
	add_seen_step(job, t);
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

/* --- claim and freeze --- */

static void claim_done(void *context, enum claim_end end, const char *why) {
	struct job *job = context;
	job->claim = NULL;
	switch (end) {
	case CLAIM_TAKEN:
		job->taken = true;
		job->tries = 0;
		log_info(object(job), "claimed, epoch %" PRId64, job->claimed.epoch);
		if (job->claimed.owner_changed)
			target_event(job->target, "owner.claimed", job->id, "backfilld", NULL,
			             json_pack("{s:s, s:I, s:s?}", "owner", target_host(job->target)->owner->display, "epoch",
			                       job->claimed.epoch, "former", job->claimed.former_owner));
		if (job->pace.rows <= 0)
			pace_init(&job->pace, &job->claimed.job->settings);
		break;
	case CLAIM_NOT_OURS:
		log_info(object(job), "let go: %s", why);
		over(job);
		return;
	case CLAIM_STOPPED:
		hold(job, "stop", "emergency stop");
		look_in_ms(job, 200);
		return;
	case CLAIM_UNREADABLE:
		log_error(object(job), "can't be read: %s", why);
		change_state(job->target, job->id, JOB_FAIL, "backfilld", why, pause_done, NULL);
		return;
	case CLAIM_BROKEN:
		look_in_ms(job, 0); /* the link tells when it is up again; someone may wait for quiet */
		return;
	case CLAIM_REFUSED:
		hold(job, "claim", why);
		job->reset_wanted = true; /* perhaps this is not the primary any more */
		look_in_ms(job, 500);
		return;
	}
	look(job);
}

static void claim(struct job *job) {
	job->claim = claim_start(job->link, target_dialect(job->target), job->id, target_host(job->target)->owner,
	                         target_config(job->target)->owner_timeout_ms, &job->claimed, claim_done, job);
}

static void freeze_done(void *context, enum freeze_end end, const char *why) {
	struct job *job = context;
	job->freeze = NULL;
	switch (end) {
	case FREEZE_DONE:
		release_hold(job);
		break;
	case FREEZE_WAIT:
		hold(job, "writers", why);
		look_in_ms(job, 200);
		return;
	case FREEZE_REFUSED:
		hold(job, "freeze", why);
		look_in_ms(job, 1000);
		return;
	case FREEZE_FENCED:
		job->taken = false;
		break;
	case FREEZE_BROKEN:
		break;
	}
	look(job);
}

/* --- batches --- */

static struct segment *next_segment(struct job *job) {
	for (size_t i = 0; i < job->claimed.nsegments; i++)
		if (!job->claimed.segments[i].done)
			return &job->claimed.segments[i];
	return NULL;
}

static int64_t lock_wait_ms(const struct job_settings *settings) {
	int64_t ms = settings->batch.time_ms;
	if (ms > LONGEST_LOCK_WAIT_MS)
		return LONGEST_LOCK_WAIT_MS;
	return ms < SHORTEST_LOCK_WAIT_MS ? SHORTEST_LOCK_WAIT_MS : ms;
}

static void committed(struct job *job, const struct batch_result *result) {
	const struct job_settings *settings = &job->claimed.job->settings;
	int64_t now = clock_monotonic_us();
	struct segment *segment = next_segment(job);
	segment_advance(segment, &result->window, result->rows_changed, result->rows_conflicted);
	int64_t delay_us = pace_delay_us(&job->pace, settings, result->window.rows_scanned, result->batch_us);
	/* Before the first batch there was no pause that could be measured: the one after it stands in. */
	int64_t cycle_us = job->last_end_us > 0 ? now - job->last_end_us : result->batch_us + delay_us;
	job->last_end_us = now;
	job->tries = 0;
	job->last_batch_ms = (double)result->batch_us / 1000.0;
	release_hold(job);
	if (result->window.rows_scanned > 0)
		pace_batch_done(&job->pace, settings, result->window.rows_scanned, result->work_us, result->batch_us, cycle_us);
	job->pace.last_delay_us = delay_us;
	job->rest_until_us = now + delay_us;
	look_in_ms(job, (double)delay_us / 1000.0);
}

struct blocker_question {
	struct target *target;
	char *job_id;
};

static bool absorb_blocker(void *context, const struct engine_result *r) {
	struct blocker_question *q = context;
	struct job *job = target_find_job(q->target, q->job_id);
	if (job == NULL || r->nrows != 1 || job->tries < TRIES_BEFORE_HOLD)
		return true;
	char reason[400];
	snprintf(reason, sizeof reason, "rows are locked by pid %s, user %s, for %s s: %s", engine_value(r, 0, 0),
	         engine_value(r, 0, 1), engine_value(r, 0, 2), engine_value(r, 0, 3));
	hold(job, "locks", reason);
	return true;
}

static void blocker_answered(void *context, const struct transaction_result *result) {
	struct blocker_question *q = context;
	(void)result;
	free(q->job_id);
	free(q);
}

/* Asked while our batch waits for the lock: only then does the server know whom it waits for. */
static void ask_for_blocker(struct job *job) {
	struct blocker_question *q = mem_alloc(sizeof *q);
	q->target = job->target;
	q->job_id = mem_dup(job->id);
	struct transaction *t = transaction_new("blockers", NULL);
	struct statement *s =
		transaction_add(t, "blockers", dialect_sql(target_dialect(job->target), "blockers"), NULL, absorb_blocker);
	statement_add_int(s, engine_backend_pid(link_conn(job->link)));
	target_run(job->target, t, q, blocker_answered);
}

static void try_again(struct job *job, const char *why) {
	job->tries++;
	job->retried++;
	pace_shrink(&job->pace, &job->claimed.job->settings);
	double backoff = 20.0 * (double)(1 << (job->tries < 8 ? job->tries : 8));
	if (backoff > LONGEST_BACKOFF_MS)
		backoff = LONGEST_BACKOFF_MS;
	if (job->tries >= TRIES_BEFORE_HOLD && job->hold[0] == '\0')
		hold(job, "locks", why);
	log_debug(object(job), "batch rolled back, try %d: %s", job->tries, why);
	look_in_ms(job, backoff * (0.5 + drand48()));
}

static void refused(struct job *job, const struct batch_result *result) {
	char reason[900];
	switch (result->error) {
	case ENGINE_ERROR_CONTENTION:
		try_again(job, result->message);
		return;
	case ENGINE_ERROR_TIMEOUT:
		if (job->tries < TRIES_BEFORE_HOLD || (int64_t)job->pace.rows > job->claimed.job->settings.batch.min_rows) {
			try_again(job, result->message);
			return;
		}
		break;
	case ENGINE_ERROR_READ_ONLY:
	case ENGINE_ERROR_RESOURCE:
		/* Not the batch's fault: wait, and look for the primary anew. */
		hold(job, "server", result->message);
		job->retried++;
		job->taken = false;
		job->up = false;
		link_reset(job->link, result->message);
		return;
	default:
		break;
	}
	job->failed++;
	autofree char *after = plan_key_to_text(segment_behind(next_segment(job)));
	autofree char *through = plan_key_to_text(&result->window.through);
	snprintf(reason, sizeof reason, "batch failed at its %s: %s; keys after %s through %s", result->step, result->message,
	         after != NULL ? after : "the start", through != NULL ? through : "?");
	target_event(job->target, "batch.failed", job->id, "backfilld", reason, NULL);
	pause_for(job, reason);
}

static void batch_done(void *context, const struct batch_result *result) {
	struct job *job = context;
	job->batch = NULL;
	target_give_slot(job->target);
	switch (result->end) {
	case BATCH_COMMITTED:
		committed(job, result);
		break;
	case BATCH_FENCED:
		log_info(object(job), "the fence held a batch back: reading the checkpoint");
		job->taken = false;
		look_in_ms(job, 0);
		break;
	case BATCH_UNKNOWN:
		job->taken = false; /* the link reconnects, and the claim reads the checkpoint */
		break;
	case BATCH_REFUSED:
		refused(job, result);
		break;
	}
	if (job->quieted)
		look(job);
}

static void start_batch(struct job *job, struct segment *segment) {
	const struct job_settings *settings = &job->claimed.job->settings;
	int64_t statement_ms = settings->batch.time_ms * 20;
	struct batch_request request = {
		.dialect = target_dialect(job->target),
		.job = job->claimed.job,
		.shape = job->claimed.shape,
		.segment = segment,
		.epoch = job->claimed.epoch,
		.rows = pace_rows(&job->pace, settings, job->claimed.shape->leaves[segment->leaf].row_bytes),
		.statement_timeout_ms = statement_ms > SHORTEST_STATEMENT_MS ? statement_ms : SHORTEST_STATEMENT_MS,
		.lock_timeout_ms = lock_wait_ms(settings),
	};
	job->batch = batch_start(job->link, &request, batch_done, job);
	if (job->tries >= TRIES_BEFORE_HOLD)
		ask_for_blocker(job);
}

/* May a batch start now? Otherwise says why, and looks again later. */
static bool allowed(struct job *job) {
	if (stop_file_present(target_host(job->target)->stop_file, NULL)) {
		hold(job, "stop", "emergency stop");
		look_in_ms(job, LOOK_AGAIN_MS);
		return false;
	}
	throttle_decide(target_throttle(job->target), &job->claimed.job->settings.throttle, &job->verdict);
	if (job->verdict.held) {
		hold(job, job->verdict.probe, job->verdict.reason);
		look_in_ms(job, LOOK_AGAIN_MS);
		return false;
	}
	if (job->tries == 0)
		release_hold(job);
	int64_t rest_us = job->rest_until_us - clock_monotonic_us();
	if (rest_us > 500) {
		look_in_ms(job, (double)rest_us / 1000.0);
		return false;
	}
	return target_take_slot(job->target);
}

/* Does the next thing there is to do. The only place that starts something. */
static void look(struct job *job) {
	if (in_flight(job) || job->over)
		return;
	ev_timer_stop(job->loop, &job->wake);
	if (job->quieted) {
		job_quiet_fn *quiet = job->quiet;
		job->quiet = NULL;
		if (quiet != NULL)
			quiet(job->quiet_context);
		return;
	}
	if (!job->up)
		return;
	if (job->reset_wanted) {
		job->reset_wanted = false;
		link_reset(job->link, job->hold);
		return;
	}
	if (!job->taken) {
		claim(job);
		return;
	}
	if (!job->claimed.frozen) {
		job->freeze = freeze_start(job->link, target_dialect(job->target), &job->claimed,
		                           job->claimed.job->settings.wait_for_writers, freeze_done, job);
		return;
	}
	struct segment *segment = next_segment(job);
	if (segment == NULL)
		complete(job);
	else if (allowed(job))
		start_batch(job, segment);
}

static void on_wake(struct ev_loop *loop, ev_timer *timer, int events) {
	(void)loop, (void)events;
	look(timer->data);
}

void job_wake(struct job *job) {
	if (!job->over && !in_flight(job))
		look_in_ms(job, 0);
}

static void link_changed(void *context, bool up, const char *why) {
	struct job *job = context;
	job->up = up;
	if (!up) {
		job->taken = false;
		char reason[400];
		snprintf(reason, sizeof reason, "connection lost: %.300s", why);
		hold(job, "server", reason);
		return;
	}
	look_in_ms(job, 0);
}

/* --- signs of life --- */

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
	count_time(job);
	struct seen *seen = mem_alloc(sizeof *seen);
	*seen = (struct seen){.target = job->target,
	                      .job_id = mem_dup(job->id),
	                      .running_ms = job->running_us / 1000,
	                      .held_ms = job->held_us / 1000,
	                      .failed = job->failed,
	                      .retried = job->retried,
	                      .split = job->split};
	struct transaction *t = target_transaction(job->target, "seen");
	add_seen_step(job, t);
	job->seen_running = true;
	target_run(job->target, t, seen, seen_done);
}

static void on_seen(struct ev_loop *loop, ev_timer *timer, int events) {
	(void)loop, (void)events;
	tell_seen(timer->data);
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
	ev_timer_init(&job->seen, on_seen, (double)every_ms / 1000.0, (double)every_ms / 1000.0);
	job->seen.data = job;
	ev_timer_start(job->loop, &job->seen);
	char application[64];
	snprintf(application, sizeof application, "backfilld %s", id);
	job->link = link_new(job->loop, target_engine(target), target_config(target)->url, application, link_changed, job);
	throttle_use(target_throttle(target));
	return job;
}

void job_free(struct job *job) {
	if (job == NULL)
		return;
	ev_timer_stop(job->loop, &job->wake);
	ev_timer_stop(job->loop, &job->seen);
	job->over = true; /* what still runs on the link ends now, and must not start anything */
	link_free(job->link);
	throttle_unuse(target_throttle(job->target));
	claimed_clear(&job->claimed);
	job_quiet_fn *quiet = job->quiet;
	void *quiet_context = job->quiet_context;
	free(job->id);
	free(job);
	if (quiet != NULL)
		quiet(quiet_context); /* quieter than this it gets not */
}

void job_quiet(struct job *job, job_quiet_fn *quiet, void *context) {
	job->quieted = true;
	job->quiet = quiet;
	job->quiet_context = context;
	if (!in_flight(job))
		look_in_ms(job, 0);
}

void job_unquiet(struct job *job) {
	job->quieted = false;
	job->quiet = NULL;
	job_wake(job);
}

static void cancel_answered(void *context, const struct transaction_result *result) {
	(void)context, (void)result;
}

void job_cancel_batch(struct job *job) {
	struct engine_conn *conn = link_conn(job->link);
	if (job->batch == NULL || conn == NULL)
		return;
	struct transaction *t = transaction_new("cancel", NULL);
	struct statement *s = transaction_add(t, "cancel", dialect_sql(target_dialect(job->target), "cancel_backend"), NULL, NULL);
	statement_add_int(s, engine_backend_pid(conn));
	target_run(job->target, t, NULL, cancel_answered);
}

bool job_set(struct job *job, const char *key, const char *value, struct error *err) {
	if (job->claimed.job == NULL)
		return true; /* the claim will read it */
	if (!jobfile_set(job->claimed.job, key, value, err))
		return false;
	if (strcmp(key, "batch.rows") == 0)
		job->pace.rows = (double)job->claimed.job->settings.batch.rows;
	job_wake(job);
	return true;
}

static void released(void *context, const struct transaction_result *result) {
	struct job *job = context;
	if (result->end == TRANSACTION_COMMITTED)
		log_info(object(job), "ownership released");
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

const struct throttle_settings *job_throttle_settings(const struct job *job) {
	return job->claimed.job != NULL ? &job->claimed.job->settings.throttle : NULL;
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
	int64_t scanned = 0, estimated = job->claimed.shape->estimated_rows;
	for (size_t i = 0; i < job->claimed.nsegments; i++)
		scanned += job->claimed.segments[i].rows_scanned;
	double rate = held ? 0 : job->pace.rate_rows_s;
	double eta = held ? -1 : plan_eta_s(scanned, estimated, rate);
	json_object_set_new(o, "rate_rows_s", json_real(rate));
	json_object_set_new(o, "eta_s", real_or_null(eta));
	json_object_set_new(o, "batch",
	                    json_pack("{s:I, s:f, s:f}", "rows", (json_int_t)job->pace.rows, "ms", job->last_batch_ms, "delay_ms",
	                              (double)job->pace.last_delay_us / 1000.0));
	json_object_set_new(o, "throttle",
	                    json_pack("{s:b, s:s?, s:s?, s:f}", "held", held, "reason", held ? job->hold : NULL, "probe",
	                              held                            ? job->hold_probe
	                              : job->verdict.probe[0] != '\0' ? job->verdict.probe
	                                                              : NULL,
	                              "pressure", job->verdict.pressure));
	json_object_set_new(o, "workers", json_integer(settings->workers));
}
