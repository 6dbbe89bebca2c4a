/*
 * scheduler.h: all targets of this daemon, and what concerns all of them: the emergency stop, a reload, the orderly
 * end.
 */
#ifndef BACKFILLD_SCHEDULER_H
#define BACKFILLD_SCHEDULER_H

#include "daemon/base/config.h"
#include "daemon/job/target.h"

struct scheduler;

/* Everything given outlives it. NULL and err if a target can't be made. */
struct scheduler *scheduler_new(const struct target_host *host, const struct config *config, struct error *err);
void scheduler_free(struct scheduler *scheduler);
/* Would this configuration do? Refused: a target with live jobs that is missing in it. */
bool scheduler_check_reload(const struct scheduler *scheduler, const struct config *config, struct error *err);
/* Swaps; the old configuration may be freed afterwards. Call scheduler_check_reload first. */
void scheduler_reload(struct scheduler *scheduler, const struct config *config);

size_t scheduler_target_count(const struct scheduler *scheduler);
struct target *scheduler_target_at(const struct scheduler *scheduler, size_t index);
/* NULL if there is none. */
struct target *scheduler_find_target(const struct scheduler *scheduler, const char *name);

/* The emergency-stop files appeared or went away: pauses what runs, sets or clears our flag in every target, keeps trying. */
void scheduler_stop_changed(struct scheduler *scheduler, bool stopped, const char *path, const char *actor);

/* The orderly end: no new batch; waits at most grace_ms for those in flight, then cancels them; releases ownership. */
void scheduler_shut_down(struct scheduler *scheduler, int64_t grace_ms, void (*done)(void *context), void *context);

#endif
