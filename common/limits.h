/* limits.h: the throttle and guard settings that a target's configuration and a job file share. */
#ifndef BACKFILLD_LIMITS_H
#define BACKFILLD_LIMITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum latency_source { LATENCY_AUTO, LATENCY_HTTP, LATENCY_HISTOGRAM, LATENCY_CANARY, LATENCY_NONE };

/* Each with whether the file or `set` has said it; else the value is the built-in default, which the other side may loosen. */
struct throttle_settings {
	int64_t max_lag_ms; /* default 2000 */
	char **replicas;    /* names of those that count; nreplicas = 0: all */
	size_t nreplicas;
	double initial_rate;     /* rows per second at slow start; default 1000 */
	double max_p95_increase; /* share over the baseline; 0: none; default 0.2 */
	int64_t max_p95_ms;      /* 0: none */
	enum latency_source latency_source;
	char **latency_queries; /* nlatency_queries = 0: a read of the worked table by its key */
	size_t nlatency_queries;
	double latency_rate;      /* canary queries per second; default 50 */
	int64_t latency_learn_ms; /* default 30000 */
	bool max_lag_said, replicas_said, initial_rate_said, max_p95_increase_said, max_p95_said, latency_source_said,
		latency_queries_said, latency_rate_said, latency_learn_said;
};

struct guard_settings {
	int64_t lag_ms;         /* default 30000 */
	double error_rate;      /* default 0.01 */
	int64_t failed_batches; /* default 3 */
	double p95_increase;    /* share over the baseline; 0: none; default 0.25 */
	bool lag_said, error_rate_said, failed_batches_said, p95_increase_said;
};

#endif
