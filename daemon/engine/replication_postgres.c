#include "daemon/engine/replication.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct replica_state state(const struct engine_result *answer, const char *primary) {
	(void)primary;
	const char *standby = engine_value(answer, 0, 0), *delay = engine_value(answer, 0, 1);
	struct replica_state s = {.replicates = standby != NULL && strcmp(standby, "t") == 0,
	                          .delay_us = delay != NULL ? strtoll(delay, NULL, 10) : 0};
	if (!s.replicates)
		snprintf(s.why, sizeof s.why, "it is not a replica (any more): it is not in recovery");
	return s;
}

const struct replication replication_postgres = {.list = "pg_stat_replication", .state = state};
