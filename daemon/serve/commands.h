/* commands.h: what each method of the control socket does. The permission has been checked before. */
#ifndef BACKFILLD_COMMANDS_H
#define BACKFILLD_COMMANDS_H

#include "daemon/job/scheduler.h"
#include "daemon/serve/control.h"

struct commands;

struct commands_host {
	const struct target_host *targets;
	/* Reads the configuration again; on failure the old one stays. */
	bool (*reload)(void *context, struct error *err);
	/* Looks at the stop files now, e.g. after one was made or removed here. */
	void (*stop_changed)(void *context, const char *actor);
	void *context;
};

struct commands *commands_new(const struct commands_host *host);
/* Until then every call is told to try again: the socket's lock is taken before the first target is. */
void commands_attach(struct commands *commands, struct scheduler *scheduler);
void commands_free(struct commands *commands);
/* A control_dispatch_fn; the context is the struct commands. */
void commands_dispatch(void *context, struct call *call);

#endif
