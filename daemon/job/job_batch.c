#include "daemon/job/job_internal.h"

#include "common/mem.h"
#include "common/text.h"
#include "daemon/base/clock.h"
#include "daemon/base/log.h"
#include "daemon/job/batch.h"
#include "daemon/throttle/pace.h"

#include <ev.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum {
	LONGEST_BACKOFF_MS = 2000,
	LONGEST_LOCK_WAIT_MS = 900, /* below deadlock_timeout's default of 1 s: which error comes first is not left to chance */
	SHORTEST_LOCK_WAIT_MS = 20,
	SHORTEST_STATEMENT_MS = 5000,
	TRIES_BEFORE_RACE_PAUSES = 10,
};

struct segment *job_next_segment(struct job *job) {
	for (size_t i = 0; i < job->claimed.nsegments; i++)
		if (!job->claimed.segments[i].done)
			return &job->claimed.segments[i];
	return NULL;
}

/* One row right behind where the next batch begins, found by its key as the site finds its rows. */
static void canary_of(const struct job *job, const struct segment *segment, struct canary *canary, char **query, char **params) {
	const struct table_shape *shape = job->claimed.shape;
	const struct plan_key *behind = segment_behind(segment);
	*query = target_dialect(job->target)->count(shape, &shape->leaves[segment->leaf], behind->n > 0);
	for (size_t i = 0; i < behind->n; i++)
		params[canary->nparams++] = behind->values[i];
	for (size_t i = 0; i < segment->through.n; i++)
		params[canary->nparams++] = segment->through.values[i];
	params[canary->nparams++] = "1";
	canary->queries = query;
	canary->nqueries = 1;
	canary->params = params;
}

void job_use_throttle(struct job *job) {
	struct canary canary = {0};
	char *query = NULL, *params[2 * PLAN_MAX_KEY_COLUMNS + 1];
	const struct segment *segment = job_next_segment(job);
	const struct table_shape *shape = job->claimed.shape;
	autofree char *about =
		mem_printf("%s%s%s", shape->schema != NULL ? shape->schema : "", shape->schema != NULL ? "." : "", shape->name);
	canary.about = about;
	if (segment != NULL)
		canary_of(job, segment, &canary, &query, params);
	struct throttle_table table = {.oid = shape->oid};
	text_format(table.name, sizeof table.name, "%s", about);
	throttle_configure(job->user, &job->claimed.job->settings, &canary, &table);
	free(query);
}

static int64_t lock_wait_ms(const struct job_settings *settings) {
	int64_t ms = settings->batch.time_ms;
	if (ms > LONGEST_LOCK_WAIT_MS)
		return LONGEST_LOCK_WAIT_MS;
	return ms < SHORTEST_LOCK_WAIT_MS ? SHORTEST_LOCK_WAIT_MS : ms;
}

void job_rest(struct job *job) {
	job->pace.last_delay_us = pace_delay_us(&job->pace, &job->claimed.job->settings, job->last_rows, job->last_batch_us);
	job->rest_until_us = job->last_end_us + job->pace.last_delay_us;
}

static void committed(struct job *job, const struct batch_result *result) {
	const struct job_settings *settings = &job->claimed.job->settings;
	int64_t now = clock_monotonic_us();
	struct segment *segment = job_next_segment(job);
	segment_advance(segment, &result->window, result->rows_changed, result->rows_conflicted);
	text_format(segment->place, sizeof segment->place, "%s", result->place);
	int64_t before_us = job->last_end_us;
	job->last_end_us = now;
	job->last_batch_us = result->batch_us;
	job->last_rows = result->window.rows_scanned;
	job_rest(job);
	/* Before the first batch there was no pause that could be measured: the one after it stands in. */
	int64_t cycle_us = before_us > 0 ? now - before_us : result->batch_us + job->pace.last_delay_us;
	/* One that had to be tried again has met locks, and may have waited for some until it committed. */
	if (job->tries == 0 && jump_batch_done(&job->jump, result->window.rows_scanned, result->reading_us, now))
		job->plan_suspect = true;
	job->tries = 0;
	job_release_hold(job);
	if (result->window.rows_scanned > 0)
		pace_batch_done(&job->pace, settings, result->window.rows_scanned, result->work_us, result->batch_us, cycle_us);
	job_look_in_ms(job, fmin((double)job->pace.last_delay_us / 1000, JOB_LONGEST_REST_MS));
}

static void try_again(struct job *job, const char *probe, const char *why) {
	job->tries++;
	job->retried++;
	pace_shrink(&job->pace, &job->claimed.job->settings);
	double backoff = 20.0 * (double)(1 << (job->tries < 8 ? job->tries : 8));
	if (backoff > LONGEST_BACKOFF_MS)
		backoff = LONGEST_BACKOFF_MS;
	if (job->tries >= JOB_TRIES_BEFORE_HOLD && job->hold[0] == '\0')
		job_hold(job, probe, why);
	log_debug(job->object, "batch rolled back, try %d: %s", job->tries, why);
	backoff *= 0.5 + drand48();
	job->rest_until_us = clock_monotonic_us() + (int64_t)(backoff * 1000); /* whoever wakes it before then, in vain */
	job_look_in_ms(job, backoff);
}

static void refused(struct job *job, const struct batch_result *result) {
	char reason[900];
	if (result->error == ENGINE_ERROR_TIMEOUT && jump_timed_out(&job->jump, clock_monotonic_us()))
		job->plan_suspect = true;
	switch (result->error) {
	case ENGINE_ERROR_CONTENTION:
		try_again(job, "locks", result->message);
		return;
	case ENGINE_ERROR_TIMEOUT:
	case ENGINE_ERROR_TOO_LARGE:
		if (job->tries < JOB_TRIES_BEFORE_HOLD || (int64_t)job->pace.rows > job->claimed.job->settings.batch.min_rows) {
			try_again(job, result->error == ENGINE_ERROR_TOO_LARGE ? "size" : "locks", result->message);
			return;
		}
		break;
	case ENGINE_ERROR_READ_ONLY:
	case ENGINE_ERROR_RESOURCE:
		/* Not the batch's fault: wait, and look for the primary anew. */
		job_hold(job, "server", result->message);
		job->retried++;
		job->taken = false;
		job->up = false;
		link_reset(job->link, result->message);
		return;
	default:
		break;
	}
	job->failed++;
	autofree char *after = plan_key_to_text(segment_behind(job_next_segment(job)));
	autofree char *through = plan_key_to_text(&result->window.through);
	text_format(reason, sizeof reason, "batch failed at its %s: %s; keys after %s through %s", result->step, result->message,
	            after != NULL ? after : "the start", through != NULL ? through : "?");
	target_event(job->target, "batch.failed", job->id, "backfilld", reason, NULL);
	job_pause_for(job, reason);
}

/* The application wrote to the range between our two statements: a smaller batch has less to lose. When it never agrees,
 * something else decides which rows change. */
static void raced(struct job *job, const struct batch_result *result) {
	const char *why = result->error == ENGINE_ERROR_DUPLICATE
	                      ? result->message
	                      : "other rows were changed than those whose old values had been kept";
	if (job->tries < TRIES_BEFORE_RACE_PAUSES || (int64_t)job->pace.rows > job->claimed.job->settings.batch.min_rows) {
		try_again(job, "locks", why);
		return;
	}
	char reason[400];
	text_format(
		reason, sizeof reason, "%s, %d times; %s", why, job->tries,
		result->error == ENGINE_ERROR_DUPLICATE
			? "a trigger that inserts, or a site that always comes first?"
			: "a trigger that leaves rows out, or a `where` that changes its mind? Set rollback.keep_old_values = false in a new "
			  "job if that is meant");
	job->failed++;
	target_event(job->target, "batch.failed", job->id, "backfilld", reason, NULL);
	job_pause_for(job, reason);
}

static void batch_done(void *context, const struct batch_result *result) {
	struct job *job = context;
	job->batch = NULL;
	ev_timer_stop(job->loop, &job->ask);
	ev_timer_stop(job->loop, &job->cancel);
	target_give_slot(job->target);
	if (result->end != BATCH_COMMITTED)
		ahead_forget(job->ahead);
	switch (result->end) {
	case BATCH_COMMITTED:
		committed(job, result);
		break;
	case BATCH_FENCED:
		log_info(job->object, "the fence held a batch back: claiming again");
		job->taken = false;
		job_look_in_ms(job, 0);
		break;
	case BATCH_UNKNOWN:
		job->taken = false; /* the link reconnects, and the claim reads the checkpoint */
		break;
	case BATCH_RACED:
		raced(job, result);
		break;
	case BATCH_REFUSED:
		refused(job, result);
		break;
	}
	bool done = result->end == BATCH_COMMITTED;
	throttle_batch_ended(job->user, done ? result->window.rows_scanned : 0, done && job->pace.by_rate);
	if (job->quieted)
		job_look(job);
}

int64_t job_batch_rows(const struct job *job, const struct segment *segment) {
	return pace_rows(&job->pace, &job->claimed.job->settings, job->claimed.shape->leaves[segment->leaf].row_bytes);
}

static void ask_for_blocker_in_ms(struct job *job, double ms) {
	ev_timer_set(&job->ask, ms / 1000.0, 0.);
	ev_timer_start(job->loop, &job->ask);
}

/* While the batch runs, the end of the next one is looked up: not when it rests between batches, where it would gain nothing. */
static void bounded(void *context, const struct window *window) {
	struct job *job = context;
	if (job->tries >= JOB_TRIES_BEFORE_HOLD)
		ask_for_blocker_in_ms(job, (double)lock_wait_ms(&job->claimed.job->settings) / 2);
	if (window->last || job->last_end_us == 0 || job->pace.last_delay_us > 0)
		return;
	if (job->ahead == NULL) {
		char application[64];
		snprintf(application, sizeof application, "backfilld ahead %s", job->id);
		job->ahead = ahead_new(job->loop, target_engine(job->target), target_config(job->target)->url, application);
	}
	const struct segment *segment = job_next_segment(job);
	const struct table_shape *shape = job->claimed.shape;
	ahead_look(job->ahead, shape, &shape->leaves[segment->leaf], &window->through, &segment->through,
	           job_batch_rows(job, segment), job->claimed.own_session);
}

void job_start_batch(struct job *job, struct segment *segment) {
	const struct job_settings *settings = &job->claimed.job->settings;
	int64_t statement_ms = settings->batch.time_ms * 20;
	struct batch_request request = {
		.texts = &job->texts,
		.dialect = target_dialect(job->target),
		.job = job->claimed.job,
		.shape = job->claimed.shape,
		.key_mark = job->claimed.key_mark,
		.segment = segment,
		.epoch = job->claimed.epoch,
		.own_session = job->claimed.own_session,
		.rows = job_batch_rows(job, segment),
		.statement_timeout_ms = statement_ms > SHORTEST_STATEMENT_MS ? statement_ms : SHORTEST_STATEMENT_MS,
		.lock_timeout_ms = lock_wait_ms(settings),
	};
	ahead_take(job->ahead, request.rows, &request.window);
	throttle_batch_started(job->user);
	job->batch = batch_start(job->link, &request, bounded, batch_done, job);
}
