#include "daemon/throttle/lag.h"

#include <math.h>
#include <string.h>

double lag_heartbeat_ms(int64_t now_us, int64_t mono_us, int64_t delay_us) {
	return fmax(0, (double)(now_us - mono_us - delay_us) / 1000.0);
}

/*
 * The manual on pg_stat_replication: when the standby has caught up, "the most recently measured lag times will continue
 * to be displayed for a short time and then show NULL". And while replay stands still nothing is measured, so replay_lag
 * keeps its last value. Therefore the byte distance says whether there is lag at all, and the time since the standby last
 * got anywhere bounds it from below.
 */
bool lag_standby_sample(struct lag_standby *standby, int64_t replay_lsn, int64_t distance_bytes, int64_t replay_lag_us,
                        int64_t now_us, double *lag_ms) {
	bool caught_up = distance_bytes <= 0;
	bool moved = standby->seen && replay_lsn > standby->replay_lsn;
	if (caught_up || moved || !standby->seen)
		standby->moved_us = now_us;
	standby->trusted |= caught_up || moved;
	standby->seen = true;
	standby->replay_lsn = replay_lsn;
	if (!standby->trusted)
		return false;
	double stuck_ms = (double)(now_us - standby->moved_us) / 1000.0;
	double measured_ms = replay_lag_us == LAG_NULL ? 0 : (double)replay_lag_us / 1000.0;
	*lag_ms = caught_up ? 0 : fmax(stuck_ms, measured_ms);
	return true;
}

double lag_coming(double lag, double slope) {
	static const double stands_still = 0.95; /* as good as: by how much more can't be told */
	return slope > 0 ? lag / (1 - fmin(slope, stands_still)) : lag;
}

bool lag_counts(const struct throttle_settings *settings, const char *name) {
	bool names_given = false;
	for (size_t i = 0; i < settings->nreplicas; i++) {
		const char *entry = settings->replicas[i];
		if (entry[0] == '!') {
			if (strcmp(entry + 1, name) == 0)
				return false;
			continue;
		}
		if (strcmp(entry, name) == 0)
			return true;
		names_given = true;
	}
	return !names_given;
}
