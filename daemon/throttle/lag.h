/* lag.h: the arithmetic of replica lag. Pure: what was read and when comes in, milliseconds come out. */
#ifndef BACKFILLD_LAG_H
#define BACKFILLD_LAG_H

#include "common/limits.h"

#include <stdbool.h>
#include <stdint.h>

/* The newest heartbeat that reached the replica was written at mono_us of the clock that now says now_us; the replica is
 * delayed by delay_us on purpose, which is no lag. Never negative. */
double lag_heartbeat_ms(int64_t now_us, int64_t mono_us, int64_t delay_us);

/*
 * What the lag will come to if we stop now, in the unit of `lag`: a replica whose lag rises by `slope` each second applies 1 -
 * slope of what comes, and what has come since the last change that it applied has yet to be.
 */
double lag_coming(double lag, double slope);

/* What the primary last said of one standby. Zeroed before the first sample and after the standby was away. */
struct lag_standby {
	bool seen;
	bool trusted;       /* it has moved or caught up while we looked */
	int64_t replay_lsn; /* as of the last sample */
	int64_t moved_us;   /* when it last advanced, or had nothing left to replay */
};

enum { LAG_NULL = -1 }; /* SQL NULL for replay_lag_us */

/*
 * One row of pg_stat_replication. False while the lag can't be told: with bytes left to replay, a standby must be seen
 * moving once, because its replay may have stood still since long before we came.
 */
bool lag_standby_sample(struct lag_standby *standby, int64_t replay_lsn, int64_t distance_bytes, int64_t replay_lag_us,
                        int64_t now_us, double *lag_ms);

/* Does the replica of that name count? By throttle.replicas: names that count, or "!name" for one left out. */
bool lag_counts(const struct throttle_settings *settings, const char *name);

#endif
