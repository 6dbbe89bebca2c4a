/*
 * replication.h: what servers of a kind say of their replicating, and the words they have for it. The lag itself is no server's
 * to say: a heartbeat tells it (daemon/throttle/).
 */
#ifndef BACKFILLD_REPLICATION_H
#define BACKFILLD_REPLICATION_H

#include "daemon/engine/engine.h"

struct replica_state {
	bool replicates;  /* all goes on that brings it the primary's changes */
	char why[300];    /* why not: "its SQL thread is stopped" */
	int64_t delay_us; /* how late it is meant to be */
};

struct replication {
	const char *list; /* where the primary shows who follows it: "pg_stat_replication" */
	/*
	 * What the answer to replica_state.sql, asked of a replica, says of it. `primary` is what heartbeat_write.sql answered: by
	 * what replicas know the primary; "" if that says nothing. A state that can't be told is one that does not replicate.
	 */
	struct replica_state (*state)(const struct engine_result *answer, const char *primary);
};

extern const struct replication replication_postgres, replication_mysql;

#endif
