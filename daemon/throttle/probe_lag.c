/*
 * One clock tells the lag: every 100 ms we write our monotonic time to the primary, and every 100 ms we read on each
 * configured replica which of those times has arrived, and whether more of them can. Where no replica is configured, the
 * primary's own list of those that follow it must do (each second), fed by what the heartbeat writes.
 */
#include "common/mem.h"
#include "common/text.h"
#include "daemon/base/clock.h"
#include "daemon/engine/dialect.h"
#include "daemon/engine/link.h"
#include "daemon/throttle/lag.h"
#include "daemon/throttle/probe.h"
#include "daemon/throttle/replica.h"

#include <ev.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

static const double tick_s = 0.1;
/* A heartbeat that was not written for so long leaves us blind. */
static const int64_t write_silence_us = 1000000;
static const int64_t commit_every_us = 1000000; /* is estimated */
static const int64_t stranger_pause_us = 1000000;
enum {
	SLOTS = 4, /* one row rots under an old snapshot: 13 µs became 602 µs after 40,000 versions */
};

struct probe_lag {
	struct probe probe;
	ev_timer tick;
	struct link *primary;
	char *url; /* of `primary`; a reload may change the target's */
	struct heartbeat heartbeat;
	int64_t seq;
	int64_t sending_us; /* the clock that the heartbeat on its way carries */
	int64_t written_us; /* when the newest heartbeat was sent that is known to be committed; 0 = none yet */
	int64_t left_us;    /* when we last gave up a connection that led to another server */
	char write_why[128];
	struct replica **replicas;
	size_t nreplicas;
	bool listed; /* the primary's list was read since the primary was reached */
	int64_t listed_us;
	char list_why[128];
	struct latency commits; /* of the heartbeat */
	struct reading commit;
	int64_t estimated_us;
};

static const struct config_target *target_of(const struct probe_lag *lag) {
	return lag->probe.host->target;
}

static const char *list_name(const struct probe_lag *lag) {
	return lag->probe.host->engine->dialect->replication->list;
}

static struct replica *add_replica(struct probe_lag *lag, const char *name, const char *url) {
	struct replica *replica = replica_new(lag->probe.host, &lag->heartbeat, name, url);
	lag->replicas = mem_resize(lag->replicas, lag->nreplicas + 1, sizeof(struct replica *));
	lag->replicas[lag->nreplicas++] = replica;
	return replica;
}

static struct replica *find_replica(const struct probe_lag *lag, const char *name) {
	for (size_t i = 0; i < lag->nreplicas; i++)
		if (strcmp(replica_name(lag->replicas[i]), name) == 0)
			return lag->replicas[i];
	return NULL;
}

/* Why a statement on the primary did not do its work. Tables that are missing are the one thing that a person must mend. */
static void explain(const struct probe_lag *lag, const struct transaction_result *result, char *why, size_t size) {
	if (result->error == ENGINE_ERROR_SCHEMA)
		text_format(why, size, "control tables missing: run `backfillctl init %s`: %s", target_of(lag)->name, result->message);
	else
		text_format(why, size, "%s", result->message);
}

/* ---- writing the heartbeat --------------------------------------------------------------------------------------- */

/*
 * The heartbeat goes on after we could not write it (or were stopped ourselves). What the replicas show until the new one
 * arrives is how long that took; taken for lag it would trip the lag guard, which pauses a job that should only be held.
 */
static void begin_anew(struct probe_lag *lag) {
	lag->heartbeat.since_us = lag->sending_us;
	for (size_t i = 0; i < lag->nreplicas; i++)
		replica_await(lag->replicas[i]);
}

/* What a write costs the site, free to measure. */
static void count_commit(struct probe_lag *lag) {
	int64_t now_us = clock_monotonic_us();
	latency_add(&lag->commits, now_us - lag->sending_us, (int64_t)(tick_s * 1e6), probe_mode(lag->probe.host, now_us), now_us);
	if (now_us - lag->estimated_us < lag->commit.period_us)
		return;
	lag->estimated_us = now_us;
	reading_set_known(&lag->commit, now_us);
	latency_estimate(&lag->commits, now_us, &lag->commit);
}

static void written(void *context, const struct transaction_result *result) {
	struct probe_lag *lag = context;
	if (result->end == TRANSACTION_DECLINED) {
		text_format(lag->write_why, sizeof lag->write_why, "the connection leads to another server than the control tables'");
		if (lag->sending_us - lag->left_us < stranger_pause_us)
			return;
		lag->left_us = lag->sending_us;
		link_reset(lag->primary, lag->write_why); /* look for the right one */
		return;
	}
	if (result->end != TRANSACTION_COMMITTED) {
		explain(lag, result, lag->write_why, sizeof lag->write_why);
		return;
	}
	count_commit(lag);
	bool gap = lag->written_us > 0 && lag->sending_us - lag->written_us > write_silence_us;
	if (gap || lag->write_why[0] != '\0')
		begin_anew(lag);
	lag->written_us = lag->sending_us;
	lag->write_why[0] = '\0';
}

static bool absorb_written(void *context, const struct engine_result *result) {
	struct probe_lag *lag = context;
	const char *known_as = engine_value(result, 0, 0);
	text_format(lag->heartbeat.known_as, sizeof lag->heartbeat.known_as, "%s", known_as != NULL ? known_as : "");
	return transaction_expect_one(NULL, result);
}

static void write_heartbeat(struct probe_lag *lag) {
	const struct probe_host *host = lag->probe.host;
	struct transaction *transaction = transaction_new("heartbeat", NULL);
	struct statement *statement = transaction_add(transaction, "heartbeat_write",
	                                              dialect_sql(host->engine->dialect, "heartbeat_write"), NULL, absorb_written);
	lag->sending_us = clock_monotonic_us();
	statement_add_text(statement, host->daemon_id);
	statement_add_int(statement, lag->seq % SLOTS);
	statement_add_text(statement, lag->heartbeat.instance);
	statement_add_int(statement, lag->seq++);
	statement_add_int(statement, lag->sending_us);
	link_run(lag->primary, transaction, REPLICA_STATEMENT_TIMEOUT_MS, REPLICA_STATEMENT_TIMEOUT_MS, lag, written);
}

/* Why the heartbeat tells nothing; false if it does. Before the first one there is nothing wrong yet, only waiting. */
static bool write_problem(const struct probe_lag *lag, int64_t now_us, char *why, size_t size) {
	int64_t silence_us = now_us - lag->written_us;
	if (!lag->probe.watching)
		text_format(why, size, "not watched: no running job of the target");
	else if (lag->write_why[0] != '\0')
		text_format(why, size, "heartbeat not written: %s", lag->write_why);
	else if (lag->written_us > 0 && silence_us > write_silence_us)
		text_format(why, size, "heartbeat not written: no answer for %.1f s", (double)silence_us / 1e6);
	else
		return false;
	return true;
}

/* ---- the primary's list of those that follow it ------------------------------------------------------------------ */

/* Walsenders of one name are told apart by their order: "r", "r#2", … One that goes away takes the last name along. */
static void standby_name(const struct engine_result *result, int row, char *name, size_t size) {
	const char *base = engine_value(result, row, 0);
	int number = 1;
	for (int i = row - 1; i >= 0 && strcmp(engine_value(result, i, 0), base) == 0; i--)
		number++;
	if (number == 1)
		snprintf(name, size, "%s", base);
	else
		snprintf(name, size, "%s#%d", base, number);
}

static bool absorb_list(void *context, const struct engine_result *result) {
	struct probe_lag *lag = context;
	int64_t now_us = clock_monotonic_us();
	if (target_of(lag)->nreplicas > 0)
		return true; /* asked before a reload that configured replicas */
	size_t known = lag->nreplicas;
	autofree bool *present = mem_alloc(known * sizeof *present);
	for (int row = 0; row < result->nrows; row++) {
		char name[72];
		standby_name(result, row, name, sizeof name);
		struct replica *replica = find_replica(lag, name);
		if (replica == NULL)
			replica = add_replica(lag, name, NULL);
		for (size_t i = 0; i < known; i++)
			present[i] |= lag->replicas[i] == replica;
		replica_listed(replica, result, row, now_us);
	}
	for (size_t i = 0; i < known; i++)
		if (!present[i])
			replica_vanished(lag->replicas[i]);
	lag->listed = true;
	lag->list_why[0] = '\0';
	return true;
}

static void list_done(void *context, const struct transaction_result *result) {
	struct probe_lag *lag = context;
	if (result->end == TRANSACTION_COMMITTED)
		return;
	lag->listed = false;
	explain(lag, result, lag->list_why, sizeof lag->list_why);
}

static void ask_for_list(struct probe_lag *lag) {
	struct transaction *transaction = transaction_new("heartbeat", NULL);
	transaction_add(transaction, "heartbeat_standbys", dialect_sql(lag->probe.host->engine->dialect, "heartbeat_standbys"), NULL,
	                absorb_list);
	lag->listed_us = clock_monotonic_us();
	link_run(lag->primary, transaction, REPLICA_STATEMENT_TIMEOUT_MS, REPLICA_STATEMENT_TIMEOUT_MS, lag, list_done);
}

/* ---- watching ---------------------------------------------------------------------------------------------------- */

static void on_tick(struct ev_loop *loop, ev_timer *timer, int events) {
	(void)loop, (void)events;
	struct probe_lag *lag = timer->data;
	if (link_conn(lag->primary) != NULL && !link_busy(lag->primary)) {
		write_heartbeat(lag);
		if (target_of(lag)->nreplicas == 0 && clock_monotonic_us() - lag->listed_us >= replica_list_every_us)
			ask_for_list(lag);
	}
	for (size_t i = 0; i < lag->nreplicas; i++)
		replica_ask(lag->replicas[i]);
}

static void primary_changed(void *context, bool up, const char *why) {
	struct probe_lag *lag = context;
	struct ev_loop *loop = lag->probe.host->loop;
	lag->listed = false; /* who follows a primary that we can't see? */
	lag->listed_us = 0;
	for (size_t i = 0; i < lag->nreplicas; i++)
		replica_unlisted(lag->replicas[i]);
	if (up) { /* jobs wait for the first reading */
		ev_timer_stop(loop, &lag->tick);
		ev_timer_set(&lag->tick, 0., tick_s);
		ev_timer_start(loop, &lag->tick);
		return;
	}
	text_format(lag->write_why, sizeof lag->write_why, "%s", why);
}

static void watch_primary(struct probe_lag *lag) {
	const struct probe_host *host = lag->probe.host;
	lag->heartbeat.since_us = clock_monotonic_us();
	lag->written_us = 0;
	lag->write_why[0] = lag->list_why[0] = '\0';
	lag->listed = false;
	lag->listed_us = 0;
	free(lag->url);
	lag->url = mem_dup(host->target->url);
	lag->primary = link_new(host->loop, host->engine, lag->url, "backfilld heartbeat", primary_changed, lag);
}

static void start(struct probe *probe) {
	struct probe_lag *lag = (struct probe_lag *)probe;
	lag->commits = (struct latency){0}; /* what was before tells of another hour */
	lag->commit.samples = 0;
	watch_primary(lag);
	for (size_t i = 0; i < lag->nreplicas; i++)
		replica_watch(lag->replicas[i]);
	ev_timer_again(probe->host->loop, &lag->tick);
}

static void stop(struct probe *probe) {
	struct probe_lag *lag = (struct probe_lag *)probe;
	ev_timer_stop(probe->host->loop, &lag->tick);
	link_free(lag->primary);
	lag->primary = NULL;
	for (size_t i = 0; i < lag->nreplicas; i++)
		replica_unwatch(lag->replicas[i]);
}

/* Still the same? One of the list is as long as no replicas are configured. */
static bool stays(const struct replica *replica, const struct config_target *target) {
	if (replica_url(replica) == NULL)
		return target->nreplicas == 0;
	for (size_t i = 0; i < target->nreplicas; i++)
		if (strcmp(target->replicas[i].name, replica_name(replica)) == 0)
			return strcmp(target->replicas[i].url, replica_url(replica)) == 0;
	return false;
}

static void retarget(struct probe *probe) {
	struct probe_lag *lag = (struct probe_lag *)probe;
	const struct config_target *target = target_of(lag);
	size_t kept = 0;
	bool configured = false;
	for (size_t i = 0; i < lag->nreplicas; i++) {
		configured |= replica_url(lag->replicas[i]) != NULL;
		if (stays(lag->replicas[i], target))
			lag->replicas[kept++] = lag->replicas[i];
		else
			replica_free(lag->replicas[i]);
	}
	lag->nreplicas = kept;
	if (configured && target->nreplicas == 0) {
		lag->listed = false; /* the primary was not asked for a while: blind until it answers */
		lag->listed_us = 0;
	}
	for (size_t i = 0; i < target->nreplicas; i++) {
		if (find_replica(lag, target->replicas[i].name) != NULL)
			continue;
		struct replica *replica = add_replica(lag, target->replicas[i].name, target->replicas[i].url);
		if (probe->watching)
			replica_watch(replica);
	}
	if (probe->watching && strcmp(lag->url, target->url) != 0) {
		link_free(lag->primary);
		watch_primary(lag);
	}
}

/* ---- what it says ------------------------------------------------------------------------------------------------ */

static void add_unknown(const struct probe_lag *lag, const char *name, bool counts, const char *why, struct readings *readings) {
	struct reading reading = {.nature = READING_LAG, .unit = UNIT_SECONDS, .what = "replica lag", .sure = true, .counts = counts};
	snprintf(reading.probe, sizeof reading.probe, "lag%s%s", name != NULL ? ":" : "", name != NULL ? name : "");
	snprintf(reading.source, sizeof reading.source, "%s", list_name(lag));
	text_format(reading.why, sizeof reading.why, "%s", why);
	readings_add(readings, &reading);
}

static void add_list(const struct probe_lag *lag, bool blind, const char *why, struct readings *readings) {
	char none[128];
	if (blind)
		add_unknown(lag, NULL, true, why, readings);
	else if (!lag->listed)
		add_unknown(lag, NULL, true, lag->list_why[0] != '\0' ? lag->list_why : "waiting for the first list of replicas",
		            readings);
	else if (lag->nreplicas == 0) {
		text_format(none, sizeof none, "no replica in %s: nothing to watch", list_name(lag));
		add_unknown(lag, NULL, false, none, readings);
	}
}

/* It has a limit only where there are phases without work to compare with: where latency is watched. */
static void add_commit(const struct probe_lag *lag, const struct throttle_settings *settings, struct readings *readings) {
	static const int64_t fewest = 100;
	if (lag->commit.samples == 0)
		return;
	struct reading *reading = readings_add(readings, &lag->commit);
	reading->baseline = reading->ok = lag->commits.baseline.value;
	reading->sure = true; /* ten a second are never many: how little they tell goes into the set point, and holds up nobody */
	bool limited = latency_is_watched(settings) && settings->max_commit_increase > 0 && reading->baseline > 0;
	reading->limit = limited ? reading->baseline * (1 + settings->max_commit_increase) : 0;
	reading->counts = limited && reading->samples >= fewest;
}

static void read_replicas(const struct probe *probe, const struct throttle_settings *settings, int64_t now_us,
                          struct readings *readings) {
	const struct probe_lag *lag = (const struct probe_lag *)probe;
	char why[300];
	bool blind = write_problem(lag, now_us, why, sizeof why);
	size_t first = readings->count;
	for (size_t i = 0; i < lag->nreplicas; i++) {
		struct reading *reading = readings_add(readings, replica_reading(lag->replicas[i]));
		reading->counts = lag_counts(settings, replica_name(lag->replicas[i]));
		if (!blind)
			continue;
		reading->state = READING_UNKNOWN;
		text_format(reading->why, sizeof reading->why, "%s", why);
	}
	for (size_t i = 0; i < settings->nreplicas; i++) {
		const char *name = settings->replicas[i];
		if (name[0] != '!' && find_replica(lag, name) == NULL)
			add_unknown(lag, name, true, "throttle.replicas names it, but there is no such replica", readings);
	}
	if (target_of(lag)->nreplicas == 0)
		add_list(lag, blind, why, readings);
	for (size_t i = first; i < readings->count; i++)
		readings->list[i].limit = (double)settings->max_lag_ms / 1000;
	add_commit(lag, settings, readings);
}

/* ---- from begin to end ------------------------------------------------------------------------------------------- */

static void free_probe(struct probe *probe) {
	struct probe_lag *lag = (struct probe_lag *)probe;
	ev_timer_stop(probe->host->loop, &lag->tick);
	link_free(lag->primary);
	for (size_t i = 0; i < lag->nreplicas; i++)
		replica_free(lag->replicas[i]);
	free(lag->replicas);
	free(lag->url);
	free(lag);
}

struct probe *probe_lag_new(const struct probe_host *host) {
	static const struct probe_class class = {
		.start = start, .stop = stop, .retarget = retarget, .read = read_replicas, .free = free_probe};
	struct probe_lag *lag = mem_alloc(sizeof *lag);
	*lag = (struct probe_lag){.probe = {.class = &class, .host = host}};
	lag->commit = (struct reading){.probe = "commit",
	                               .what = "commit latency P95",
	                               .source = "heartbeat",
	                               .nature = READING_LATENCY,
	                               .unit = UNIT_MILLISECONDS,
	                               .period_us = commit_every_us};
	/* Another process's monotonic clock may be another host's: only rows with our own number count. */
	uint64_t random[2] = {0};
	if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random)
		random[0] = (uint64_t)clock_wall_us();
	snprintf(lag->heartbeat.instance, sizeof lag->heartbeat.instance, "%016llx%016llx", (unsigned long long)random[0],
	         (unsigned long long)random[1]);
	for (size_t i = 0; i < host->target->nreplicas; i++)
		add_replica(lag, host->target->replicas[i].name, host->target->replicas[i].url);
	ev_timer_init(&lag->tick, on_tick, 0., tick_s);
	lag->tick.data = lag;
	return &lag->probe;
}
