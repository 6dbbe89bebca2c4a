/* limits.h: the throttle and guard settings that a target's configuration and a job file share. */
#ifndef BACKFILLD_LIMITS_H
#define BACKFILLD_LIMITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum latency_unit { LATENCY_S, LATENCY_MS };
enum latency_source { LATENCY_AUTO, LATENCY_HTTP, LATENCY_HISTOGRAM, LATENCY_CANARY, LATENCY_NONE };

/* One that the site has written itself, of throttle.sql or throttle.http: what it asks for, and what the answer may be. */
struct own_probe {
	char *name;
	char *text;       /* the query, or the URL, with its password */
	char *path;       /* of a URL: where in the answer the number is; NULL: nowhere */
	double ok, limit; /* limit 0: none, the status alone says go or stop */
	int64_t every_ms;
	bool ok_said; /* else it is half the limit */
	bool is_http;
	bool inherited; /* the target's, not the job's */
};

/* Each with whether the file or `set` has said it; else the value is the built-in default, which the other side may loosen. */
struct throttle_settings {
	int64_t max_lag_ms; /* default 2000 */
	char **replicas;    /* names of those that count; nreplicas = 0: all */
	size_t nreplicas;
	double initial_rate;        /* rows per second at slow start; default 1000 */
	double max_p95_increase;    /* share over the baseline; 0: none; default 0.2 */
	int64_t max_p95_ms;         /* 0: none */
	double max_commit_increase; /* share over the baseline, where latency is watched; 0: none; default 0.5 */
	enum latency_source latency_source;
	char **latency_queries; /* nlatency_queries = 0: a read of the worked table by its key */
	size_t nlatency_queries;
	double latency_rate;                                                       /* canary queries per second; default 50 */
	char *latency_url, *latency_path;                                          /* with its password; NULL: none */
	enum latency_unit latency_unit;                                            /* of the number that is there */
	int64_t latency_every_ms, latency_window_ms;                               /* default 1000, 2000 */
	int64_t latency_learn_ms;                                                  /* default 30000 */
	int64_t max_active, max_lock_waiters, max_archive_queue, max_history_list; /* each 0: not asked */
	int64_t max_wal_retained_bytes, max_binlog_rate_bytes;                     /* a minute; the same */
	double max_dead_ratio;                                                     /* the same */
	double
		max_flow_control;  /* share of the time that Galera may be stopped, where there is flow control; default 0.1; the same */
	int64_t max_oldest_ms; /* default 10 min; the same */
	bool slots;            /* default true: no more WAL kept by a slot than max_wal_size */
	struct own_probe *sql, *http;
	size_t nsql, nhttp;
	bool max_active_said, max_lock_waiters_said, max_archive_queue_said, max_history_list_said, max_wal_retained_said,
		max_binlog_rate_said, max_dead_ratio_said, max_flow_control_said, max_oldest_said, slots_said;
	bool max_lag_said, replicas_said, initial_rate_said, max_p95_increase_said, max_p95_said, max_commit_increase_said,
		latency_source_said, latency_queries_said, latency_rate_said, latency_learn_said, latency_url_said;
};

struct guard_settings {
	int64_t lag_ms;         /* default 30000 */
	double error_rate;      /* default 0.01 */
	int64_t failed_batches; /* default 3 */
	double p95_increase;    /* share over the baseline; 0: none; default 0.25 */
	double disk_used;       /* share of the data directory's file system; 0: not watched; default 0.9 */
	bool disk_used_said;
	bool lag_said, error_rate_said, failed_batches_said, p95_increase_said;
};

#endif
