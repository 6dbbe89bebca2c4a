/* commands_internal.h: what the files of commands share. */
#ifndef BACKFILLD_COMMANDS_INTERNAL_H
#define BACKFILLD_COMMANDS_INTERNAL_H

#include "daemon/serve/commands.h"
#include "daemon/serve/gather.h"

struct commands {
	struct commands_host host;
	struct scheduler *scheduler;
};

typedef void command_fn(struct commands *commands, struct call *call);

/* commands_job.c */
command_fn command_submit, command_set;
/* commands_state.c */
command_fn command_start, command_pause, command_resume, command_retry, command_cancel;
/* commands_view.c */
command_fn command_list, command_show, command_throttle, command_events, command_follow;
/* commands_target.c */
command_fn command_targets, command_init, command_adopt, command_stop, command_unstop;

/* Completes a row of job_list.sql to the contract's object; borrows. */
void commands_complete_job(struct commands *commands, json_t *job);

/* Finds the job that the call's "job" names. On failure the call has been answered and fn is not called. `job` is borrowed. */
typedef void commands_found_fn(struct commands *commands, struct call *call, struct target *target, json_t *job);
void commands_find_job(struct commands *commands, struct call *call, commands_found_fn *found);

/* On production the operator names the database, and the server says whether that is where he is. Only when it is up. */
bool commands_check_confirmation(const struct target *target, struct call *call, struct error *err);

/* Fails the call with ERROR_TRY_AGAIN when an emergency-stop file exists. */
bool commands_refuse_when_stopped(struct commands *commands, struct call *call);

#endif
