/*
 * daemon.h: the whole daemon: owns every part, starts them in order, stops them in reverse.
 */
#ifndef BACKFILLD_DAEMON_H
#define BACKFILLD_DAEMON_H

#include "common/error.h"
#include "daemon/base/config.h"

/* Runs until SIGTERM or SIGINT; takes the configuration. Returns the process's exit code; on failure it has been logged. */
int daemon_run(struct config *config);

#endif
