/* run.h: carries out one command: asks the daemon, or does it here, and shows the answer. */
#ifndef BACKFILLCTL_RUN_H
#define BACKFILLCTL_RUN_H

#include "common/error.h"
#include "ctl/arguments.h"

#include <stdbool.h>

/* True: *exit_code is set and everything was said. False: the caller shows err. */
bool run_command(const struct arguments *arguments, int *exit_code, struct error *err);

#endif
