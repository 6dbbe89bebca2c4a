/* limits.h: the throttle and guard settings that a target's configuration and a job file share. */
#ifndef BACKFILLD_LIMITS_H
#define BACKFILLD_LIMITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct throttle_settings {
	int64_t max_lag_ms; /* default 2000 */
	char **replicas;    /* names of those that count; nreplicas = 0: all */
	size_t nreplicas;
	double initial_rate; /* rows per second at slow start; parsed, not used yet */
	/* Given by the file or by `set`; else the value is the built-in default, which the other side may loosen. */
	bool max_lag_said, replicas_said, initial_rate_said;
};

struct guard_settings {
	int64_t lag_ms;         /* default 30000 */
	double error_rate;      /* default 0.01 */
	int64_t failed_batches; /* default 3 */
	bool lag_said, error_rate_said, failed_batches_said;
};

#endif
