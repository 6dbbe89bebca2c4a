/*
 * limit_keys.h: the rows of throttle.* and guards.*, which a job file and a target's configuration share. T is the
 * struct that the table fills, THROTTLE and GUARDS its members of limits.h.
 */
#ifndef BACKFILLD_LIMIT_KEYS_H
#define BACKFILLD_LIMIT_KEYS_H

#include "common/keytable.h"
#include "common/limits.h"
#include "common/own_probe.h"

#define MS_PER_HOUR 3600e3

/* For KEY_CUSTOM | KEY_LATER lists: an empty one is accepted, any other refused. */
bool limit_keys_load_later(const struct keytable_document *document, const struct key *key, config_setting_t *setting, void *base,
                           struct error *err);

#define LIMIT_URL_BYTES 4096
#define LIMIT_URL_PATTERN "^https?://[^/?#[:space:][:cntrl:]][^[:cntrl:]]*$"
#define LIMIT_URL_WANTED "a URL that begins with http:// or https://"
/* A key's `check`: can it be read as a JSON path? */
bool limit_keys_check_path(const char *text, struct error *err);

/*
 * What the group `group` (NULL: the whole text) says of latency by HTTP has to go together; `alone`: nobody else says more of it.
 */
bool limit_keys_check_latency(const struct keytable_document *document, config_setting_t *group,
                              const struct throttle_settings *settings, bool alone, struct error *err);

/* MEMBER has a MEMBER_said beside it, but for a unit at its end: the row says SAID then. */
#define LIMIT_KEY(NAME, TYPE, T, MEMBER, SAID, MIN, MAX, DEFAULT, DOC)                                                           \
	{                                                                                                                            \
		.name = (NAME), .type = (TYPE), .flags = KEY_LIVE, .offset = offsetof(T, MEMBER), .said_offset = offsetof(T, SAID),      \
		.min = (MIN), .max = (MAX), .fallback = (DEFAULT), .doc = (DOC)                                                          \
	}

/* The same of one that came later, of which 0 is no limit. */
#define LEVEL_KEY(NAME, TYPE, T, MEMBER, SAID, MAX, DEFAULT, DOC)                                                                \
	{                                                                                                                            \
		.name = (NAME), .type = (TYPE), .flags = KEY_LIVE | KEY_NEWER, .offset = offsetof(T, MEMBER),                            \
		.said_offset = offsetof(T, SAID), .max = (MAX), .fallback = (DEFAULT), .doc = (DOC)                                      \
	}

#define THROTTLE_KEYS(T, THROTTLE)                                                                                               \
	{.name = "throttle.max_lag",                                                                                                 \
	 .type = KEY_DURATION,                                                                                                       \
	 .flags = KEY_LIVE,                                                                                                          \
	 .offset = offsetof(T, THROTTLE.max_lag_ms),                                                                                 \
	 .said_offset = offsetof(T, THROTTLE.max_lag_said),                                                                          \
	 .min = 10,                                                                                                                  \
	 .max = MS_PER_HOUR,                                                                                                         \
	 .fallback = "2s",                                                                                                           \
	 .doc = "No batch starts while a replica that counts is further behind."},                                                   \
		{.name = "throttle.replicas",                                                                                            \
	     .type = KEY_STRINGS,                                                                                                    \
	     .flags = KEY_LIVE,                                                                                                      \
	     .offset = offsetof(T, THROTTLE.replicas),                                                                               \
	     .count_offset = offsetof(T, THROTTLE.nreplicas),                                                                        \
	     .said_offset = offsetof(T, THROTTLE.replicas_said),                                                                     \
	     .max = 64,                                                                                                              \
	     .pattern = "^!?[^,!\"[:space:]]([^,\"]{0,98}[^,\"[:space:]])?$",                                                        \
	     .wanted = "a replica's name, or \"!name\" to leave one out",                                                            \
	     .doc = "The replicas whose lag counts, by name; none said: all of them."},                                              \
		{.name = "throttle.initial_rate",                                                                                        \
	     .type = KEY_FLOAT,                                                                                                      \
	     .flags = KEY_LIVE,                                                                                                      \
	     .offset = offsetof(T, THROTTLE.initial_rate),                                                                           \
	     .said_offset = offsetof(T, THROTTLE.initial_rate_said),                                                                 \
	     .min = 1,                                                                                                               \
	     .max = 1e9,                                                                                                             \
	     .fallback = "1000",                                                                                                     \
	     .doc = "Rows per second at which a slow start begins, where something is watched."},                                    \
		LIMIT_KEY(                                                                                                               \
			"throttle.max_p95_increase", KEY_FLOAT, T, THROTTLE.max_p95_increase, THROTTLE.max_p95_increase_said, 0, 100, "0.2", \
			"The site's P95 latency may be above its baseline by this share; the rate follows it. 0: it is not limited by "      \
			"its baseline."),                                                                                                    \
		LIMIT_KEY("throttle.max_p95", KEY_DURATION, T, THROTTLE.max_p95_ms, THROTTLE.max_p95_said, 0, MS_PER_HOUR, "0ms",        \
	              "The same, as an absolute latency; 0: none."),                                                                 \
		LIMIT_KEY(                                                                                                               \
			"throttle.max_commit_increase", KEY_FLOAT, T, THROTTLE.max_commit_increase, THROTTLE.max_commit_increase_said, 0,    \
			100, "0.5",                                                                                                          \
			"P95 of the time that a commit of the daemon's own heartbeat takes may be above its baseline by this share, where "  \
			"latency is watched; 0: it is not limited."),                                                                        \
		{.name = "throttle.latency.source",                                                                                      \
	     .type = KEY_CHOICE,                                                                                                     \
	     .flags = KEY_LIVE,                                                                                                      \
	     .offset = offsetof(T, THROTTLE.latency_source),                                                                         \
	     .said_offset = offsetof(T, THROTTLE.latency_source_said),                                                               \
	     .choices = (const char *const[]){"auto", "http", "histogram", "canary", "none", NULL},                                  \
	     .fallback = "auto",                                                                                                     \
	     .doc = "Where latency is read; `auto`: the best that there is; `none`: it is not watched."},                            \
		{.name = "throttle.latency.queries",                                                                                     \
	     .type = KEY_STRINGS,                                                                                                    \
	     .flags = KEY_LIVE,                                                                                                      \
	     .offset = offsetof(T, THROTTLE.latency_queries),                                                                        \
	     .count_offset = offsetof(T, THROTTLE.nlatency_queries),                                                                 \
	     .said_offset = offsetof(T, THROTTLE.latency_queries_said),                                                              \
	     .max = 64,                                                                                                              \
	     .doc = "Canary queries, in turn, that are timed as the site would feel them; none said: a read of the worked table by " \
	            "its "                                                                                                           \
	            "key."},                                                                                                         \
		LIMIT_KEY("throttle.latency.rate", KEY_FLOAT, T, THROTTLE.latency_rate, THROTTLE.latency_rate_said, 1, 1000, "50",       \
	              "Canary queries per second."),                                                                                 \
		LIMIT_KEY("throttle.latency.learn", KEY_DURATION, T, THROTTLE.latency_learn_ms, THROTTLE.latency_learn_said, 1000,       \
	              MS_PER_HOUR, "30s",                                                                                            \
	              "So long nothing is done before the first batch, to learn what the latency is without us."),                   \
		{.name = "throttle.latency.url",                                                                                         \
	     .type = KEY_STRING,                                                                                                     \
	     .flags = KEY_NEWER | KEY_SECRET,                                                                                        \
	     .offset = offsetof(T, THROTTLE.latency_url),                                                                            \
	     .said_offset = offsetof(T, THROTTLE.latency_url_said),                                                                  \
	     .min = 1,                                                                                                               \
	     .max = LIMIT_URL_BYTES,                                                                                                 \
	     .pattern = LIMIT_URL_PATTERN,                                                                                           \
	     .wanted = LIMIT_URL_WANTED,                                                                                             \
	     .doc = "Where the site tells its own P95: an answer that is a number, Prometheus's to a query of one series, or JSON "  \
	            "with `throttle.latency.path`. With user:password@, if need be, which is never shown."},                         \
		{.name = "throttle.latency.path",                                                                                        \
	     .type = KEY_STRING,                                                                                                     \
	     .flags = KEY_NEWER,                                                                                                     \
	     .offset = offsetof(T, THROTTLE.latency_path),                                                                           \
	     .min = 1,                                                                                                               \
	     .max = 200,                                                                                                             \
	     .check = limit_keys_check_path,                                                                                         \
	     .doc = "Where in the JSON of that answer the number stands: `data.p95[0]`."},                                           \
		{.name = "throttle.latency.unit",                                                                                        \
	     .type = KEY_CHOICE,                                                                                                     \
	     .flags = KEY_NEWER,                                                                                                     \
	     .offset = offsetof(T, THROTTLE.latency_unit),                                                                           \
	     .choices = (const char *const[]){"s", "ms", NULL},                                                                      \
	     .fallback = "s",                                                                                                        \
	     .doc = "That number's unit."},                                                                                          \
		{.name = "throttle.latency.every",                                                                                       \
	     .type = KEY_DURATION,                                                                                                   \
	     .flags = KEY_NEWER,                                                                                                     \
	     .offset = offsetof(T, THROTTLE.latency_every_ms),                                                                       \
	     .min = 200,                                                                                                             \
	     .max = 10000,                                                                                                           \
	     .fallback = "1s",                                                                                                       \
	     .doc = "How often the URL is asked: as often as there is a new number."},                                               \
		{.name = "throttle.latency.window",                                                                                      \
	     .type = KEY_DURATION,                                                                                                   \
	     .flags = KEY_NEWER,                                                                                                     \
	     .offset = offsetof(T, THROTTLE.latency_window_ms),                                                                      \
	     .min = 0,                                                                                                               \
	     .max = 60000,                                                                                                           \
	     .fallback = "2s",                                                                                                       \
	     .doc = "The time that one such number is made of (`[15s]` of the query, and what it takes to get there): it tells "     \
	            "of the site without us only so long after our last batch."},                                                    \
		LEVEL_KEY("throttle.max_active", KEY_INT, T, THROTTLE.max_active, THROTTLE.max_active_said, 1e6, "0",                    \
	              "Sessions at work, without ours; 0: not watched."),                                                            \
		LEVEL_KEY("throttle.max_lock_waiters", KEY_INT, T, THROTTLE.max_lock_waiters, THROTTLE.max_lock_waiters_said, 1e6, "0",  \
	              "Sessions that wait for locks, without ours; 0: not watched."),                                                \
		LEVEL_KEY("throttle.max_oldest", KEY_DURATION, T, THROTTLE.max_oldest_ms, THROTTLE.max_oldest_said, 720 * MS_PER_HOUR,   \
	              "10m",                                                                                                         \
	              "The oldest transaction's age, ours left out: from half of it on the work becomes slower, down to a quarter "  \
	              "of its rate, and is never held for it. 0: not watched."),                                                     \
		LEVEL_KEY("throttle.max_wal_retained", KEY_SIZE, T, THROTTLE.max_wal_retained_bytes, THROTTLE.max_wal_retained_said,     \
	              1125899906842624.0, "0B", "PostgreSQL: WAL that the worst replication slot keeps; 0: not watched."),           \
		{.name = "throttle.slots",                                                                                               \
	     .type = KEY_BOOL,                                                                                                       \
	     .flags = KEY_LIVE | KEY_NEWER,                                                                                          \
	     .offset = offsetof(T, THROTTLE.slots),                                                                                  \
	     .said_offset = offsetof(T, THROTTLE.slots_said),                                                                        \
	     .fallback = "true",                                                                                                     \
	     .doc = "PostgreSQL: no batch starts while a replication slot keeps more WAL than `max_wal_size`, so that its "          \
	            "`wal_status` is not `reserved` any more."},                                                                     \
		LEVEL_KEY("throttle.max_archive_queue", KEY_INT, T, THROTTLE.max_archive_queue, THROTTLE.max_archive_queue_said, 1e9,    \
	              "0", "PostgreSQL: WAL files that wait for the archiver; 0: not watched."),                                     \
		LEVEL_KEY("throttle.max_dead_ratio", KEY_FLOAT, T, THROTTLE.max_dead_ratio, THROTTLE.max_dead_ratio_said, 1000, "0",     \
	              "PostgreSQL: dead rows of the worked table, or its worst partition, over the number that brings autovacuum; "  \
	              "0: not watched."),                                                                                            \
		LEVEL_KEY("throttle.max_history_list", KEY_INT, T, THROTTLE.max_history_list, THROTTLE.max_history_list_said, 1e12, "0", \
	              "MySQL and MariaDB: the length of InnoDB's history list; 0: not watched."),                                    \
		LEVEL_KEY("throttle.max_binlog_rate", KEY_SIZE, T, THROTTLE.max_binlog_rate_bytes, THROTTLE.max_binlog_rate_said,        \
	              1125899906842624.0, "0B",                                                                                      \
	              "MySQL and MariaDB: bytes that are written to the binary log in a minute; 0: not watched."),                   \
		LEVEL_KEY(                                                                                                               \
			"throttle.max_flow_control", KEY_FLOAT, T, THROTTLE.max_flow_control, THROTTLE.max_flow_control_said, 1, "0.1",      \
			"Where there is Galera: the share of the time for which its flow control stops the node. Where there is group "      \
			"replication: no batch starts while its flow control is at work, whatever share is said. 0: neither is watched."),   \
		{.name = "throttle.sql",                                                                                                 \
	     .type = KEY_CUSTOM,                                                                                                     \
	     .offset = offsetof(T, THROTTLE.sql),                                                                                    \
	     .count_offset = offsetof(T, THROTTLE.nsql),                                                                             \
	     .wanted = "list of groups { name; sql; ok; limit; every }",                                                             \
	     .load = own_probe_load_sql,                                                                                             \
	     .doc = "Own probes: queries that answer with one number each; the keys of each are below. A job's are asked beside "    \
	            "its target's."},                                                                                                \
	{                                                                                                                            \
		.name = "throttle.http", .type = KEY_CUSTOM, .offset = offsetof(T, THROTTLE.http),                                       \
		.count_offset = offsetof(T, THROTTLE.nhttp), .wanted = "list of groups { name; url; path; ok; limit; every }",           \
		.load = own_probe_load_http,                                                                                             \
		.doc = "Own probes: URLs that answer with a number each, or with a status; the keys of each are below. A job's are "     \
			   "asked beside its target's."                                                                                      \
	}

#define GUARD_KEYS(T, GUARDS)                                                                                                    \
	{.name = "guards.lag",                                                                                                       \
	 .type = KEY_DURATION,                                                                                                       \
	 .flags = KEY_LIVE,                                                                                                          \
	 .offset = offsetof(T, GUARDS.lag_ms),                                                                                       \
	 .said_offset = offsetof(T, GUARDS.lag_said),                                                                                \
	 .min = 100,                                                                                                                 \
	 .max = 24 * MS_PER_HOUR,                                                                                                    \
	 .fallback = "30s",                                                                                                          \
	 .doc = "A replica further behind than this pauses the job."},                                                               \
		{.name = "guards.error_rate",                                                                                            \
	     .type = KEY_FLOAT,                                                                                                      \
	     .flags = KEY_LIVE,                                                                                                      \
	     .offset = offsetof(T, GUARDS.error_rate),                                                                               \
	     .said_offset = offsetof(T, GUARDS.error_rate_said),                                                                     \
	     .min = 0.0001,                                                                                                          \
	     .max = 1,                                                                                                               \
	     .fallback = "0.01",                                                                                                     \
	     .doc = "A larger share of failed batches among the last 1000 pauses the job, once 100 were done. Read and checked, "    \
	            "not used yet: the first one pauses."},                                                                          \
		{.name = "guards.failed_batches",                                                                                        \
	     .type = KEY_INT,                                                                                                        \
	     .flags = KEY_LIVE,                                                                                                      \
	     .offset = offsetof(T, GUARDS.failed_batches),                                                                           \
	     .said_offset = offsetof(T, GUARDS.failed_batches_said),                                                                 \
	     .min = 1,                                                                                                               \
	     .max = 1000,                                                                                                            \
	     .fallback = "3",                                                                                                        \
	     .doc = "So many failed batches in a row pause the job. Read and checked, not used yet: the first one pauses."},         \
		LIMIT_KEY("guards.p95_increase", KEY_FLOAT, T, GUARDS.p95_increase, GUARDS.p95_increase_said, 0, 100, "0.25",            \
	              "P95 above its baseline by more than this share pauses the job, when slowing down has not helped; 0: never."), \
		LEVEL_KEY("guards.disk_used", KEY_FLOAT, T, GUARDS.disk_used, GUARDS.disk_used_said, 1, "0.9",                           \
	              "A data directory whose file system is fuller than this share pauses the job, if the daemon is on the "        \
	              "server's host; 0: not watched."),                                                                             \
	{                                                                                                                            \
		.name = "guards.on_guard", .type = KEY_CHOICE, .flags = KEY_LIVE | KEY_LATER | KEY_UNSTORED,                             \
		.choices = (const char *const[]){"pause", "rollback", NULL}, .fallback = "pause", .doc = "What a tripped guard does."    \
	}

#endif
