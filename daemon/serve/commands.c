#include "daemon/serve/commands.h"

#include "common/mem.h"
#include "common/version.h"
#include "daemon/serve/commands_internal.h"

#include <stdlib.h>
#include <string.h>

static void command_reload(struct commands *commands, struct call *call) {
	struct error err;
	if (commands->host.reload(commands->host.context, &err))
		call_reply(call, json_pack("{s:s}", "message", "configuration reloaded"));
	else
		call_fail(call, &err);
}

static void command_version(struct commands *commands, struct call *call) {
	(void)commands;
	call_reply(call, json_pack("{s:s}", "version", BACKFILLD_VERSION));
}

static const struct {
	const char *method;
	command_fn *run;
} handlers[] = {
	{"job.submit", command_submit},
	{"job.start", command_start},
	{"job.pause", command_pause},
	{"job.resume", command_resume},
	{"job.retry", command_retry},
	{"job.cancel", command_cancel},
	{"job.set", command_set},
	{"job.list", command_list},
	{"job.show", command_show},
	{"throttle.show", command_throttle},
	{"events.list", command_events},
	{"events.follow", command_follow},
	{"target.list", command_targets},
	{"target.init", command_init},
	{"target.adopt", command_adopt},
	{"daemon.stop", command_stop},
	{"daemon.unstop", command_unstop},
	{"daemon.reload", command_reload},
	{"daemon.version", command_version},
};

struct commands *commands_new(const struct commands_host *host) {
	struct commands *commands = mem_alloc(sizeof *commands);
	commands->host = *host;
	return commands;
}

void commands_attach(struct commands *commands, struct scheduler *scheduler) {
	commands->scheduler = scheduler;
}

void commands_free(struct commands *commands) {
	free(commands);
}

void commands_dispatch(void *context, struct call *call) {
	struct commands *commands = context;
	struct error err;
	if (commands->scheduler == NULL) {
		error_set(&err, ERROR_TRY_AGAIN, "the daemon is still starting");
		call_fail(call, &err);
		return;
	}
	for (size_t i = 0; i < sizeof handlers / sizeof handlers[0]; i++)
		if (strcmp(handlers[i].method, call_method(call)) == 0) {
			handlers[i].run(commands, call);
			return;
		}
	error_set(&err, ERROR_USAGE, "%s is in the catalogue but this daemon does not do it", call_method(call));
	call_fail(call, &err);
}

bool commands_check_confirmation(const struct target *target, struct call *call, struct error *err) {
	const struct config_target *config = target_config(target);
	const char *database = target_database(target), *said = call_string(call, "confirm");
	if (said != NULL && strcmp(said, database) != 0)
		return error_set(err, ERROR_DATA, "target %s leads to database %s, not to %s", config->name, database, said);
	if (said == NULL && strcmp(config->environment, "production") == 0) {
		error_set(err, ERROR_DATA, "target %s is production: nothing was done", config->name);
		return error_hint(err, "if it is meant: say it again with --confirm and the database's name");
	}
	return true;
}

bool commands_refuse_when_stopped(struct commands *commands, struct call *call) {
	const char *path = NULL;
	if (!stop_file_present(commands->host.targets->stop_file, &path))
		return false;
	struct error err;
	error_set(&err, ERROR_TRY_AGAIN, "emergency stop: %s exists", path);
	error_hint(&err, "find out why; then remove it, or `backfillctl unstop`, and try again");
	call_fail(call, &err);
	return true;
}
