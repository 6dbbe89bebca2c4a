#include "daemon/job/scheduler.h"

#include "common/mem.h"
#include "common/text.h"
#include "daemon/base/log.h"
#include "daemon/engine/transaction.h"
#include "daemon/job/change.h"
#include "daemon/job/job.h"

#include <ev.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum flag { FLAG_UNKNOWN, FLAG_SET, FLAG_CLEAR };

struct entry {
	struct target *target;
	struct scheduler *scheduler;
	enum flag flag;           /* ours, in the target's control tables, */
	unsigned flag_connection; /* as of this connection */
	bool busy;                /* being set or cleared */
};

struct scheduler {
	const struct target_host *host;
	const struct config *config;
	struct entry **entries;
	size_t count;
	bool stopped;
	char stop_path[300], stop_actor[100];
	ev_timer flags; /* keeps trying */

	/* The orderly end. */
	size_t not_released;
	ev_timer grace, last_call;
	void (*ended)(void *context);
	void *ended_context;
};

static const double flags_every_s = 0.5, last_call_s = 5.0;

static struct entry *add_target(struct scheduler *scheduler, const struct config_target *config, struct error *err) {
	struct target *target = target_new(scheduler->host, config, err);
	if (target == NULL)
		return NULL;
	struct entry *entry = mem_alloc(sizeof *entry);
	entry->target = target;
	entry->scheduler = scheduler;
	scheduler->entries = mem_resize(scheduler->entries, scheduler->count + 1, sizeof(struct entry *));
	scheduler->entries[scheduler->count++] = entry;
	return entry;
}

/* --- emergency stop --- */

static void stop_set(void *context, const struct change_result *result) {
	struct entry *entry = context;
	entry->busy = false;
	if (result->ok)
		entry->flag = FLAG_SET;
	else
		log_debug(NULL, "stop flag not set yet: %s", result->err.message);
}

static void stop_cleared(void *context, const struct transaction_result *result) {
	struct entry *entry = context;
	entry->busy = false;
	if (result->end == TRANSACTION_COMMITTED)
		entry->flag = FLAG_CLEAR;
}

static void clear_flag(struct entry *entry) {
	struct scheduler *scheduler = entry->scheduler;
	char flag[420];
	snprintf(flag, sizeof flag, "stop:%s", scheduler->host->owner->prefix);
	struct transaction *t = target_transaction(entry->target, "unstop");
	statement_add_text(transaction_add(t, "clear", dialect_sql(target_dialect(entry->target), "stop_clear"), NULL, NULL), flag);
	target_run(entry->target, t, entry, stop_cleared);
}

static void sync_flag(struct entry *entry) {
	struct scheduler *scheduler = entry->scheduler;
	enum flag wanted = scheduler->stopped ? FLAG_SET : FLAG_CLEAR;
	if (entry->busy || !target_ready(entry->target, NULL))
		return;
	if (entry->flag == wanted && entry->flag_connection == target_connections(entry->target))
		return;
	entry->flag_connection = target_connections(entry->target);
	entry->flag = FLAG_UNKNOWN;
	entry->busy = true;
	if (scheduler->stopped)
		change_stop_all(entry->target, scheduler->stop_actor, scheduler->stop_path, stop_set, entry);
	else
		clear_flag(entry);
}

static void on_flags(struct ev_loop *loop, ev_timer *timer, int events) {
	(void)loop, (void)events;
	struct scheduler *scheduler = timer->data;
	for (size_t i = 0; i < scheduler->count; i++)
		sync_flag(scheduler->entries[i]);
}

void scheduler_stop_changed(struct scheduler *scheduler, bool stopped, const char *path, const char *actor) {
	if (scheduler->stopped == stopped)
		return;
	scheduler->stopped = stopped;
	text_format(scheduler->stop_path, sizeof scheduler->stop_path, "%s", path != NULL ? path : "");
	text_format(scheduler->stop_actor, sizeof scheduler->stop_actor, "%s", actor);
	if (stopped)
		log_warning(NULL, "emergency stop: %s", scheduler->stop_path);
	else
		log_info(NULL, "emergency stop is over; paused jobs stay paused until someone resumes them");
	for (size_t i = 0; i < scheduler->count; i++) {
		struct target *target = scheduler->entries[i]->target;
		target_event(target, stopped ? "stop.on" : "stop.off", NULL, actor, path, NULL);
		for (size_t j = 0; stopped && scheduler->config->cancel_in_flight && j < target_job_count(target); j++)
			job_cancel_batch(target_job_at(target, j));
		sync_flag(scheduler->entries[i]);
	}
}

/* --- the orderly end --- */

static void end_now(struct scheduler *scheduler) {
	ev_timer_stop(scheduler->host->loop, &scheduler->grace);
	ev_timer_stop(scheduler->host->loop, &scheduler->last_call);
	void (*ended)(void *context) = scheduler->ended;
	scheduler->ended = NULL;
	if (ended != NULL)
		ended(scheduler->ended_context);
}

static void one_released(void *context) {
	struct scheduler *scheduler = context;
	if (--scheduler->not_released == 0)
		end_now(scheduler);
}

struct leaving {
	struct scheduler *scheduler;
	struct target *target;
	char *job_id; /* the job may be over by the time it is quiet */
};

static void now_quiet(void *context) {
	struct leaving *leaving = context;
	struct scheduler *scheduler = leaving->scheduler;
	struct job *job = target_find_job(leaving->target, leaving->job_id);
	free(leaving->job_id);
	free(leaving);
	if (job != NULL)
		job_release(job, one_released, scheduler);
	else
		one_released(scheduler);
}

static void on_grace(struct ev_loop *loop, ev_timer *timer, int events) {
	(void)loop, (void)events;
	struct scheduler *scheduler = timer->data;
	log_warning(NULL, "batches are still in flight after the grace period: cancelling them");
	for (size_t i = 0; i < scheduler->count; i++)
		for (size_t j = 0; j < target_job_count(scheduler->entries[i]->target); j++)
			job_cancel_batch(target_job_at(scheduler->entries[i]->target, j));
	ev_timer_start(scheduler->host->loop, &scheduler->last_call);
}

static void on_last_call(struct ev_loop *loop, ev_timer *timer, int events) {
	(void)loop, (void)events;
	log_warning(NULL, "giving up on what is still in flight; the fence and the checkpoints keep it exact");
	end_now(timer->data);
}

void scheduler_shut_down(struct scheduler *scheduler, int64_t grace_ms, void (*done)(void *context), void *context) {
	scheduler->ended = done;
	scheduler->ended_context = context;
	scheduler->not_released = 1;
	ev_timer_stop(scheduler->host->loop, &scheduler->flags);
	ev_timer_set(&scheduler->grace, (double)grace_ms / 1000.0, 0.);
	ev_timer_start(scheduler->host->loop, &scheduler->grace);
	for (size_t i = 0; i < scheduler->count; i++) {
		struct target *target = scheduler->entries[i]->target;
		for (size_t j = 0; j < target_job_count(target); j++) {
			struct leaving *leaving = mem_alloc(sizeof *leaving);
			struct job *job = target_job_at(target, j);
			*leaving = (struct leaving){.scheduler = scheduler, .target = target, .job_id = mem_dup(job_id(job))};
			scheduler->not_released++;
			job_quiet(job, now_quiet, leaving);
		}
	}
	one_released(scheduler);
}

/* --- reload --- */

bool scheduler_check_reload(const struct scheduler *scheduler, const struct config *config, struct error *err) {
	for (size_t i = 0; i < scheduler->count; i++) {
		const struct target *target = scheduler->entries[i]->target;
		const char *name = target_config(target)->name;
		if (config_find_target(config, name) == NULL && target_job_count(target) > 0) {
			error_set(err, ERROR_CONFIG, "target %s has live jobs (%s) and is missing in the new configuration", name,
			          job_id(target_job_at(target, 0)));
			return error_hint(err, "pause or cancel them first, or keep the target");
		}
	}
	for (size_t i = 0; i < config->ntargets; i++)
		if (engine_for_url(config->targets[i].url, err) == NULL)
			return false;
	return true;
}

static void remove_entry(struct scheduler *scheduler, size_t index) {
	struct entry *entry = scheduler->entries[index];
	memmove(scheduler->entries + index, scheduler->entries + index + 1, (scheduler->count - index - 1) * sizeof(struct entry *));
	scheduler->count--;
	target_free(entry->target);
	free(entry);
}

void scheduler_reload(struct scheduler *scheduler, const struct config *config) {
	for (size_t i = scheduler->count; i-- > 0;) {
		struct target *target = scheduler->entries[i]->target;
		const struct config_target *next = config_find_target(config, target_config(target)->name);
		if (next != NULL)
			target_reconfigure(target, next);
		else
			remove_entry(scheduler, i);
	}
	scheduler->config = config;
	for (size_t i = 0; i < config->ntargets; i++) {
		struct error err;
		if (scheduler_find_target(scheduler, config->targets[i].name) == NULL &&
		    add_target(scheduler, &config->targets[i], &err) == NULL)
			log_error(NULL, "%s", err.message);
	}
}

/* --- the outside --- */

struct scheduler *scheduler_new(const struct target_host *host, const struct config *config, struct error *err) {
	struct scheduler *scheduler = mem_alloc(sizeof *scheduler);
	scheduler->host = host;
	scheduler->config = config;
	ev_timer_init(&scheduler->flags, on_flags, flags_every_s, flags_every_s);
	ev_timer_init(&scheduler->grace, on_grace, 0., 0.);
	ev_timer_init(&scheduler->last_call, on_last_call, last_call_s, 0.);
	scheduler->flags.data = scheduler->grace.data = scheduler->last_call.data = scheduler;
	for (size_t i = 0; i < config->ntargets; i++)
		if (add_target(scheduler, &config->targets[i], err) == NULL) {
			scheduler_free(scheduler);
			return NULL;
		}
	ev_timer_start(host->loop, &scheduler->flags);
	return scheduler;
}

void scheduler_free(struct scheduler *scheduler) {
	if (scheduler == NULL)
		return;
	ev_timer_stop(scheduler->host->loop, &scheduler->flags);
	ev_timer_stop(scheduler->host->loop, &scheduler->grace);
	ev_timer_stop(scheduler->host->loop, &scheduler->last_call);
	while (scheduler->count > 0)
		remove_entry(scheduler, scheduler->count - 1);
	free(scheduler->entries);
	free(scheduler);
}

size_t scheduler_target_count(const struct scheduler *scheduler) {
	return scheduler->count;
}

struct target *scheduler_target_at(const struct scheduler *scheduler, size_t index) {
	return scheduler->entries[index]->target;
}

struct target *scheduler_find_target(const struct scheduler *scheduler, const char *name) {
	for (size_t i = 0; i < scheduler->count; i++)
		if (strcmp(target_config(scheduler->entries[i]->target)->name, name) == 0)
			return scheduler->entries[i]->target;
	return NULL;
}
