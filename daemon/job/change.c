#include "daemon/job/change.h"

#include "common/mem.h"
#include "common/text.h"
#include "daemon/base/log.h"
#include "daemon/job/job.h"

#include <ev.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum change_kind { CHANGE_STATE, CHANGE_STOP, CHANGE_ADOPT };

struct change {
	struct change *next;
	struct changes *changes;
	enum change_kind kind;
	char *job_id;
	enum job_request request;
	char *actor, *reason;
	char *from, *to; /* adoption: the servers */
	change_done_fn *done;
	void *context;

	size_t not_quiet; /* local jobs with a batch still in flight */
	const struct job_transition *transition;
	int64_t epoch;
	struct pending_event **events;
	size_t nevents;
	size_t npaused;
	struct transaction *transaction; /* while it runs: events are added to it as rows come */
	struct error err;
	char message[400];
};

struct changes {
	struct target *target;
	struct ev_loop *loop;
	struct change *first, **last;
	struct change *running;
	ev_timer kick;
	bool closing;
};

static void change_free(struct change *change) {
	free(change->job_id);
	free(change->actor);
	free(change->reason);
	free(change->from);
	free(change->to);
	free(change->events);
	free(change);
}

static void kick(struct changes *changes) {
	if (changes->closing || changes->running != NULL || changes->first == NULL)
		return;
	ev_timer_stop(changes->loop, &changes->kick);
	ev_timer_set(&changes->kick, 0., 0.);
	ev_timer_start(changes->loop, &changes->kick);
}

static void finish(struct change *change, bool ok, bool changed) {
	struct changes *changes = change->changes;
	changes->running = NULL;
	struct change_result result = {.ok = ok, .changed = changed, .message = change->message, .err = change->err};
	kick(changes);
	change->done(change->context, &result);
	change_free(change);
}

static void add_event(struct change *change, const char *event, const char *job, json_t *data) {
	change->events = mem_resize(change->events, change->nevents + 1, sizeof(struct pending_event *));
	change->events[change->nevents++] =
		target_event_step(change->changes->target, change->transaction, event, job, change->actor, change->reason, data);
}

/* --- one job --- */

static struct job *local_job(const struct change *change) {
	return target_find_job(change->changes->target, change->job_id);
}

static bool absorb_lock(void *context, const struct engine_result *r) {
	struct change *change = context;
	struct target *target = change->changes->target;
	if (r->nrows != 1)
		return error_set(&change->err, ERROR_USAGE, "there is no job %s on target %s", change->job_id,
		                 target_config(target)->name);
	enum job_state state = JOB_PENDING;
	job_state_parse(engine_value(r, 0, 0), &state);
	change->transition = job_transition_find(state, change->request);
	if (change->transition == NULL)
		return job_transition_refuse(change->job_id, state, change->request, &change->err);
	if (change->transition->to == state)
		return false; /* nothing to do, and that is no error */
	add_event(change, change->transition->event, change->job_id, json_pack("{s:s}", "from", job_state_name(state)));
	return true;
}

/* The job leaves with the change: what it has counted since its last sign of life would be lost. */
static bool prepare_seen(void *context, struct statement *s) {
	struct job *job = local_job(context);
	return job != NULL && job_prepare_last_words(job, s);
}

static bool prepare_flags(void *context, struct statement *s) {
	const struct change *change = context;
	(void)s;
	return change->transition->to == JOB_RUNNING;
}

/* Asked behind the job's lock: while we waited for it an emergency stop may have committed, which the snapshot that the
 * locking statement began with does not show. */
static bool absorb_flags(void *context, const struct engine_result *r) {
	struct change *change = context;
	for (int row = 0; row < r->nrows; row++) {
		const char *name = engine_value(r, row, 0);
		if (strncmp(name, "stop:", 5) != 0)
			continue;
		error_set(&change->err, ERROR_TRY_AGAIN, "emergency stop: a stop flag is set on target %s (%s %s)",
		          target_config(change->changes->target)->name, name, engine_value(r, row, 1));
		return error_hint(&change->err, "find out why; then remove the file, or `backfillctl unstop`, and try again");
	}
	return true;
}

static bool prepare_accept(void *context, struct statement *s) {
	const struct change *change = context;
	statement_add_text(s, change->job_id);
	return change->transition->to == JOB_RUNNING;
}

static bool prepare_state(void *context, struct statement *s) {
	struct change *change = context;
	enum job_state to = change->transition->to;
	statement_add_text(s, change->job_id);
	statement_add_text(s, job_state_name(to));
	statement_add_text(s, to == JOB_RUNNING ? NULL : change->reason);
	return true;
}

static bool absorb_state(void *context, const struct engine_result *r) {
	struct change *change = context;
	if (r->nrows != 1)
		return error_set(&change->err, ERROR_USAGE, "there is no job %s any more", change->job_id);
	change->epoch = strtoll(engine_value(r, 0, 0), NULL, 10);
	return true;
}

static bool prepare_segments(void *context, struct statement *s) {
	struct change *change = context;
	statement_add_text(s, change->job_id);
	statement_add_int(s, change->epoch);
	statement_add_text(s, "false"); /* no stop flag was set when we looked, under the job's lock */
	return true;
}

static void settle_events(struct change *change, bool committed) {
	for (size_t i = 0; i < change->nevents; i++) {
		if (committed)
			target_event_committed(change->events[i]);
		else
			target_event_dropped(change->events[i]);
	}
	change->nevents = 0;
}

static void describe_failure(struct change *change, const struct transaction_result *result) {
	if (result->end == TRANSACTION_DECLINED)
		return; /* the step that declined has said why */
	target_describe_failure(change->changes->target, result, &change->err);
}

static void state_ended(void *context, const struct transaction_result *result) {
	struct change *change = context;
	struct target *target = change->changes->target;
	bool committed = result->end == TRANSACTION_COMMITTED;
	struct job *job = local_job(change);
	settle_events(change, committed);
	if (!committed) {
		bool already = result->end == TRANSACTION_DECLINED && change->err.code == ERROR_NONE;
		if (already)
			text_format(change->message, sizeof change->message, "job %s: %s", change->job_id, change->transition->reason);
		else
			describe_failure(change, result);
		if (job != NULL)
			job_unquiet(job);
		finish(change, already, false);
		return;
	}
	enum job_state to = change->transition->to;
	log_info(NULL, "job %s is %s, by %s%s%s", change->job_id, job_state_name(to), change->actor,
	         change->reason != NULL ? ": " : "", change->reason != NULL ? change->reason : "");
	if (job != NULL)
		target_drop_job(target, job);
	if (to == JOB_RUNNING)
		target_poll(target);
	text_format(change->message, sizeof change->message, "job %s is %s", change->job_id, job_state_name(to));
	finish(change, true, true);
}

static void run_state(struct change *change) {
	struct target *target = change->changes->target;
	const struct dialect *dialect = target_dialect(target);
	struct transaction *t = target_transaction(target, "state");
	change->transaction = t;
	struct statement *s = transaction_add(t, "lock", dialect_sql(dialect, "job_lock"), NULL, absorb_lock);
	statement_add_text(s, change->job_id);
	transaction_add(t, "seen", dialect_sql(dialect, "owner_seen"), prepare_seen, NULL);
	transaction_add(t, "flags", dialect_sql(dialect, "meta"), prepare_flags, absorb_flags);
	transaction_add(t, "accept", dialect_sql(dialect, "shape_accept"), prepare_accept, NULL);
	transaction_add(t, "state", dialect_sql(dialect, "job_set_state"), prepare_state, absorb_state);
	transaction_add(t, "segments", dialect_sql(dialect, "job_set_segments"), prepare_segments, NULL);
	target_run(target, t, change, state_ended);
}

/* --- all jobs --- */

static bool absorb_paused(void *context, const struct engine_result *r) {
	struct change *change = context;
	for (int row = 0; row < r->nrows; row++) {
		const char *id = engine_value(r, row, 0), *last = engine_value(r, row, 1);
		log_warning(NULL, "job %s is paused: %s; last committed batch %s", id, change->reason, last);
		change->npaused++;
		add_event(change, "job.paused", id, json_pack("{s:I}", "last_batch_id", (json_int_t)strtoll(last, NULL, 10)));
	}
	return true;
}

static void all_paused(void *context, const struct transaction_result *result) {
	struct change *change = context;
	struct target *target = change->changes->target;
	bool committed = result->end == TRANSACTION_COMMITTED;
	settle_events(change, committed);
	if (committed) {
		while (target_job_count(target) > 0)
			target_drop_job(target, target_job_at(target, 0));
		text_format(change->message, sizeof change->message, "target %s is %s: %zu running job(s) paused",
		            target_config(target)->name, change->kind == CHANGE_STOP ? "stopped" : "adopted", change->npaused);
		if (change->kind == CHANGE_ADOPT)
			target_refresh(target);
	} else {
		describe_failure(change, result);
		for (size_t i = 0; i < target_job_count(target); i++)
			job_unquiet(target_job_at(target, i));
	}
	finish(change, committed, committed);
}

/* Adds the steps that pause every running job, whoever owns it, and fence whatever is on its way. */
static void pause_all(struct change *change, const char *reason) {
	const struct dialect *dialect = target_dialect(change->changes->target);
	struct transaction *t = change->transaction;
	transaction_add(t, "lock", dialect_sql(dialect, "stop_lock"), NULL, NULL);
	statement_add_text(transaction_add(t, "jobs", dialect_sql(dialect, "stop_jobs"), NULL, absorb_paused), reason);
	transaction_add(t, "segments", dialect_sql(dialect, "stop_segments"), NULL, NULL);
}

static void run_stop(struct change *change) {
	struct target *target = change->changes->target;
	const struct dialect *dialect = target_dialect(target);
	char flag[420];
	snprintf(flag, sizeof flag, "stop:%s", target_host(target)->owner->prefix);
	struct transaction *t = target_transaction(target, "stop");
	change->transaction = t;
	struct statement *s = transaction_add(t, "flag", dialect_sql(dialect, "meta_set"), NULL, NULL);
	statement_add_text(s, flag);
	statement_add_text(s, change->reason);
	pause_all(change, "emergency stop");
	target_run(target, t, change, all_paused);
}

static bool absorb_bound(void *context, const struct engine_result *r) {
	struct change *change = context;
	if (r->affected == 1)
		return true;
	error_set(&change->err, ERROR_TRY_AGAIN, "target %s: the control tables or the server are not those of a moment ago",
	          target_config(change->changes->target)->name);
	return error_hint(&change->err, "see `backfillctl targets`, and try again if it is still meant");
}

/* Not with target_transaction, which refuses to touch foreign tables. */
static void run_adopt(struct change *change) {
	struct target *target = change->changes->target;
	const struct dialect *dialect = target_dialect(target);
	char reason[400];
	change->reason = mem_printf("adopted: the control tables were made on %s, this is %s", change->from, change->to);
	text_format(reason, sizeof reason, "%s; see that the tables are of the same moment, then resume", change->reason);
	struct transaction *t = transaction_new("adopt", dialect_sql(dialect, "control_begin"));
	change->transaction = t;
	struct statement *s = transaction_add(t, "bind", dialect_sql(dialect, "adopt_bind"), NULL, absorb_bound);
	statement_add_text(s, change->to);
	statement_add_text(s, change->from);
	pause_all(change, reason);
	transaction_add(t, "tables", dialect_sql(dialect, "adopt_jobs"), NULL, NULL);
	add_event(change, "target.adopted", NULL, json_pack("{s:s, s:s}", "from", change->from, "to", change->to));
	target_run(target, t, change, all_paused);
}

/* --- the queue --- */

static void now_quiet(void *context) {
	struct change *change = context;
	if (--change->not_quiet > 0)
		return;
	switch (change->kind) {
	case CHANGE_STATE:
		run_state(change);
		break;
	case CHANGE_STOP:
		run_stop(change);
		break;
	case CHANGE_ADOPT:
		run_adopt(change);
		break;
	}
}

static void begin(struct change *change) {
	struct target *target = change->changes->target;
	struct error err;
	change->not_quiet = 1; /* for ourselves: nobody is first */
	bool ready = target_ready(target, &err);
	change->from = mem_dup(target_foreign_identity(target));
	change->to = mem_dup(target_identity(target));
	if (change->kind == CHANGE_ADOPT ? change->from == NULL : !ready) {
		if (!ready)
			change->err = err;
		text_format(change->message, sizeof change->message, "target %s: the control tables are bound to this server already",
		            target_config(target)->name);
		finish(change, ready, false);
		return;
	}
	for (size_t i = 0; i < target_job_count(target); i++) {
		struct job *job = target_job_at(target, i);
		if (change->kind != CHANGE_STATE || strcmp(job_id(job), change->job_id) == 0) {
			change->not_quiet++;
			job_quiet(job, now_quiet, change);
		}
	}
	now_quiet(change);
}

static void on_kick(struct ev_loop *loop, ev_timer *timer, int events) {
	(void)loop, (void)events;
	struct changes *changes = timer->data;
	struct change *change = changes->first;
	if (change == NULL || changes->running != NULL)
		return;
	changes->first = change->next;
	if (changes->first == NULL)
		changes->last = &changes->first;
	changes->running = change;
	begin(change);
}

static void enqueue(struct change *change) {
	struct changes *changes = change->changes;
	*changes->last = change;
	changes->last = &change->next;
	kick(changes);
}

void change_state(struct target *target, const char *job_id, enum job_request request, const char *actor, const char *reason,
                  change_done_fn *done, void *context) {
	struct change *change = mem_alloc(sizeof *change);
	change->changes = target_changes(target);
	change->job_id = mem_dup(job_id);
	change->request = request;
	change->actor = mem_dup(actor);
	change->reason = mem_dup(reason);
	change->done = done;
	change->context = context;
	enqueue(change);
}

void change_stop_all(struct target *target, const char *actor, const char *why, change_done_fn *done, void *context) {
	struct change *change = mem_alloc(sizeof *change);
	change->changes = target_changes(target);
	change->kind = CHANGE_STOP;
	change->actor = mem_dup(actor);
	change->reason = mem_printf("emergency stop: %s", why);
	change->done = done;
	change->context = context;
	enqueue(change);
}

void change_adopt(struct target *target, const char *actor, change_done_fn *done, void *context) {
	struct change *change = mem_alloc(sizeof *change);
	change->changes = target_changes(target);
	change->kind = CHANGE_ADOPT;
	change->actor = mem_dup(actor);
	change->done = done;
	change->context = context;
	enqueue(change);
}

struct changes *changes_new(struct target *target) {
	struct changes *changes = mem_alloc(sizeof *changes);
	changes->target = target;
	changes->loop = target_host(target)->loop;
	changes->last = &changes->first;
	ev_timer_init(&changes->kick, on_kick, 0., 0.);
	changes->kick.data = changes;
	return changes;
}

void changes_free(struct changes *changes) {
	if (changes == NULL)
		return;
	changes->closing = true;
	ev_timer_stop(changes->loop, &changes->kick);
	if (changes->running != NULL) {
		error_set(&changes->running->err, ERROR_TRY_AGAIN, "the target was removed from the configuration");
		finish(changes->running, false, false);
	}
	while (changes->first != NULL) {
		struct change *change = changes->first;
		changes->first = change->next;
		error_set(&change->err, ERROR_TRY_AGAIN, "the target was removed from the configuration");
		finish(change, false, false);
	}
	free(changes);
}
