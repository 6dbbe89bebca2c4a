/*
 * probe.h: what all probes of a target are to its throttle. A probe looks at something with connections and timers of its own,
 * never blocking the loop, while it is watching; and says at any moment, without waiting, what it knows.
 */
#ifndef BACKFILLD_PROBE_H
#define BACKFILLD_PROBE_H

#include "common/limits.h"
#include "daemon/base/config.h"
#include "daemon/engine/engine.h"
#include "daemon/throttle/latency.h"
#include "daemon/throttle/reading.h"

struct ev_loop;
struct http_client;
struct probe;

/* What the probes of a target share; the throttle's. */
struct probe_host {
	struct ev_loop *loop;
	struct http_client *http;
	const struct engine *engine;
	const struct config_target *target; /* another one after a reload */
	char *daemon_id;
	bool resting;        /* no batch may start, of any job */
	int in_flight;       /* batches */
	int64_t last_end_us; /* of a batch; 0: there was none */
};

struct probe_class {
	void (*start)(struct probe *probe);
	void (*stop)(struct probe *probe);
	/* host->target is another one: what stayed the same keeps its connections. */
	void (*retarget)(struct probe *probe);
	/* Adds what is known, for a job with these settings: their limits are the readings'. */
	void (*read)(const struct probe *probe, const struct throttle_settings *settings, int64_t now_us, struct readings *readings);
	void (*free)(struct probe *probe);
};

/* Every probe begins with this. */
struct probe {
	const struct probe_class *class;
	const struct probe_host *host;
	bool watching;
};

/* Starts it or stops it, unless it is so already. */
void probe_watch(struct probe *probe, bool watching);

/* What our jobs do to the server just now, for a sample of its latency. */
enum latency_mode probe_mode(const struct probe_host *host, int64_t now_us);

/* lag:* by the heartbeat, or the primary's list; and what the heartbeat's own commit takes (`commit`). */
struct probe *probe_lag_new(const struct probe_host *host);

/* What a job's canary queries are: one is sent after the other, each with the same parameters. */
struct canary {
	char *const *queries;
	size_t nqueries;
	char *const *params;
	size_t nparams;
	const char *about; /* "public.transactions", "3 queries" */
};
/* `latency` by queries of our own. Copies what it needs. */
struct probe *probe_canary_new(const struct probe_host *host, const struct canary *canary, double per_second, int64_t learn_us);
/* In ms; the probe's, for whoever has found it out before us. */
struct baseline *probe_canary_baseline(struct probe *probe);
const char *probe_canary_source(const struct probe *probe);
/* Is it this one? By the queries alone: a baseline holds whatever row they read. */
bool probe_canary_is(const struct probe *probe, const struct canary *canary);

/* The worked table, for what is asked of it. */
struct throttle_table {
	char name[140]; /* "public.t"; "": none */
	int64_t oid;
};
/* What somebody wants to know of the server's levels. */
struct level_want {
	const struct throttle_settings *throttle;
	const struct guard_settings *guards;
	const struct throttle_table *table; /* NULL: none */
};
/* What is one number by SQL: `active`, `oldest`, `wal`, … and the own probes `sql:*` and `http:*`. Asks only for what is wanted.
 */
struct probe *probe_level_new(const struct probe_host *host);
/* All that is wanted from now on, of all jobs together. */
void probe_level_want(struct probe *probe, const struct level_want *wants, size_t count);
/* In place of the class's `read`, whose settings don't say enough. */
void probe_level_read(const struct probe *probe, const struct level_want *want, int64_t now_us, struct readings *readings);
/* `latency` by what the server has counted of its own statements. */
struct probe *probe_histogram_new(const struct probe_host *host, int64_t learn_us);
/* What latency.source = "auto" makes of it. */
enum histogram_worth {
	HISTOGRAM_ASKED,   /* not known yet, only while it is watching */
	HISTOGRAM_USELESS, /* nor ever on this kind of server: none is counted, or what we do is counted, too */
	HISTOGRAM_LACKS,   /* something that may come: a privilege, or statements */
	HISTOGRAM_GOOD,
};
enum histogram_worth probe_histogram_worth(const struct probe *probe);
struct baseline *probe_histogram_baseline(struct probe *probe); /* as of a canary */
/* Adds what it lacks, as a reading that does not count. */
void probe_histogram_read_lack(const struct probe *probe, struct readings *readings);

/* `latency` as the site tells it itself, at latency.url; unknown if the settings have none. Copies what it needs. */
struct probe *probe_http_new(const struct probe_host *host, const struct throttle_settings *settings);
struct baseline *probe_http_baseline(struct probe *probe); /* as of a canary */
/* What its baseline is kept as: the host, and what tells its URLs apart without telling them. */
void probe_http_name(const struct probe *probe, char *out, size_t size);
/* Is it the one that these settings say? */
bool probe_http_is(const struct probe *probe, const struct throttle_settings *settings);

#endif
