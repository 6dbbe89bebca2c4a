#include "daemon/throttle/replica.h"

#include "common/mem.h"
#include "common/text.h"
#include "daemon/base/clock.h"
#include "daemon/engine/dialect.h"
#include "daemon/engine/link.h"
#include "daemon/throttle/lag.h"
#include "daemon/throttle/trend.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const int64_t replica_list_every_us = 1000000;
/* What is granted meanwhile, some servers tell new connections alone. */
static const int64_t denied_pause_us = 5000000;
/* So long after the first heartbeat it is worth telling that none has arrived yet. */
static const int64_t arrival_silence_us = 5000000;
/* A lag that rises is met where it will be by then. */
static const double ahead_s = 8;
static const int64_t trend_us = 7000000;
/* And what has been written before we stop has to be applied, too. */
static const int64_t coming_us = 1000000;

struct replica {
	const struct probe_host *host;
	const struct heartbeat *heartbeat;
	char *name;
	char *url; /* NULL: of the primary's list */
	struct link *link;
	struct reading reading;
	struct trend trend;
	struct replica_state state; /* as it says itself; of a configured one */
	struct lag_standby standby;
	bool listed;       /* the newest list has it */
	int64_t denied_us; /* when we last gave up a connection that may not read */
};

static const char *list_name(const struct replica *replica) {
	return replica->host->engine->dialect->replication->list;
}

static void set_unknown(struct replica *replica, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void set_unknown(struct replica *replica, const char *format, ...) {
	va_list args;
	va_start(args, format);
	replica->reading.state = READING_UNKNOWN;
	replica->reading.good = 0;
	text_vformat(replica->reading.why, sizeof replica->reading.why, format, args);
	va_end(args);
	replica->trend = (struct trend){0};
}

static void set_waiting(struct replica *replica) {
	replica->reading.samples = 0;
	replica->reading.at_us = 0;
	set_unknown(replica, "waiting for the first reading of replica %.60s", replica->name);
}

static void set_known(struct replica *replica, double lag_ms, int64_t now_us) {
	struct reading *reading = &replica->reading;
	reading_set_known(reading, now_us);
	reading->value = lag_ms / 1000;
	trend_add(&replica->trend, reading->value, now_us);
	reading->trend = ahead_s * fmax(0, trend_slope(&replica->trend, trend_us));
	reading->coming = lag_coming(reading->value, trend_slope(&replica->trend, coming_us));
	reading->samples++;
}

struct replica *replica_new(const struct probe_host *host, const struct heartbeat *heartbeat, const char *name, const char *url) {
	struct replica *replica = mem_alloc(sizeof *replica);
	*replica = (struct replica){.host = host, .heartbeat = heartbeat, .name = mem_dup(name), .url = mem_dup(url)};
	replica->reading = (struct reading){.nature = READING_LAG,
	                                    .unit = UNIT_SECONDS,
	                                    .what = "replica lag",
	                                    .sure = true,
	                                    .period_us = url != NULL ? 0 : replica_list_every_us};
	snprintf(replica->reading.probe, sizeof replica->reading.probe, "lag:%s", name);
	snprintf(replica->reading.source, sizeof replica->reading.source, "%s", url != NULL ? "heartbeat" : list_name(replica));
	set_waiting(replica);
	return replica;
}

void replica_free(struct replica *replica) {
	if (replica == NULL)
		return;
	link_free(replica->link);
	free(replica->name);
	free(replica->url);
	free(replica);
}

const char *replica_name(const struct replica *replica) {
	return replica->name;
}

const char *replica_url(const struct replica *replica) {
	return replica->url;
}

const struct reading *replica_reading(const struct replica *replica) {
	return &replica->reading;
}

/* ---- a configured one: reading the heartbeat --------------------------------------------------------------------- */

static bool state_absorb(void *context, const struct engine_result *result) {
	struct replica *replica = context;
	replica->state = replica->host->engine->dialect->replication->state(result, replica->heartbeat->known_as);
	return true;
}

/* Proof that the control tables are replicated is a heartbeat that has arrived: without one there is no batch. */
static void set_not_arrived(struct replica *replica, int64_t now_us) {
	int64_t silence_us = now_us - replica->heartbeat->since_us - replica->state.delay_us;
	set_waiting(replica);
	if (silence_us > arrival_silence_us)
		set_unknown(replica, "no heartbeat has arrived for %.0f s: it is far behind, or its replication leaves out backfill.*",
		            (double)silence_us / 1e6);
}

static bool heartbeat_absorb(void *context, const struct engine_result *result) {
	struct replica *replica = context;
	const char *mono = engine_value(result, 0, 0);
	int64_t now_us = clock_monotonic_us(), mono_us = mono != NULL ? strtoll(mono, NULL, 10) : 0;
	/* Heartbeats of an earlier use tell how long we were idle, not how far the replica is behind. */
	if (!replica->state.replicates)
		set_unknown(replica, "%s", replica->state.why);
	else if (mono == NULL || mono_us < replica->heartbeat->since_us)
		set_not_arrived(replica, now_us);
	else
		set_known(replica, lag_heartbeat_ms(now_us, mono_us, replica->state.delay_us), now_us);
	return true;
}

static void heartbeat_read_done(void *context, const struct transaction_result *result) {
	struct replica *replica = context;
	if (result->end == TRANSACTION_COMMITTED)
		return;
	int64_t now_us = clock_monotonic_us();
	if (result->error == ENGINE_ERROR_PRIVILEGE && now_us - replica->denied_us > denied_pause_us) {
		replica->denied_us = now_us;
		link_reset(replica->link, result->message); /* tells link_changed */
	} else if (result->error == ENGINE_ERROR_SCHEMA)
		set_unknown(replica, "the control tables have not arrived there: %s", result->message);
	else
		set_unknown(replica, "%s", result->message);
}

void replica_ask(struct replica *replica) {
	if (replica->link == NULL || link_conn(replica->link) == NULL || link_busy(replica->link))
		return;
	const struct dialect *dialect = replica->host->engine->dialect;
	struct transaction *transaction = transaction_new("heartbeat", NULL);
	transaction_add(transaction, "replica_state", dialect_sql(dialect, "replica_state"), NULL, state_absorb);
	struct statement *statement =
		transaction_add(transaction, "heartbeat_read", dialect_sql(dialect, "heartbeat_read"), NULL, heartbeat_absorb);
	statement_add_text(statement, replica->host->daemon_id);
	statement_add_text(statement, replica->heartbeat->instance);
	link_run(replica->link, transaction, REPLICA_STATEMENT_TIMEOUT_MS, REPLICA_STATEMENT_TIMEOUT_MS, replica,
	         heartbeat_read_done);
}

static void link_changed(void *context, bool up, const char *why) {
	struct replica *replica = context;
	if (up)
		set_waiting(replica);
	else
		set_unknown(replica, "%s", why);
}

void replica_watch(struct replica *replica) {
	const struct probe_host *host = replica->host;
	set_waiting(replica);
	if (replica->url != NULL)
		replica->link = link_new(host->loop, host->engine, replica->url, "backfilld heartbeat", link_changed, replica);
}

void replica_unwatch(struct replica *replica) {
	link_free(replica->link);
	replica->link = NULL;
	replica->listed = false;
	set_waiting(replica);
}

void replica_await(struct replica *replica) {
	if (replica->url != NULL && replica->reading.state == READING_KNOWN)
		set_waiting(replica);
}

/* ---- one of the primary's list ----------------------------------------------------------------------------------- */

void replica_vanished(struct replica *replica) {
	replica->listed = false;
	set_unknown(replica, "vanished from %s; if it is gone for good: throttle.replicas = [\"!%.60s\"]", list_name(replica),
	            replica->name);
}

void replica_unlisted(struct replica *replica) {
	replica->listed = false;
}

static int64_t value_int(const struct engine_result *result, int row, int column, int64_t null) {
	const char *text = engine_value(result, row, column);
	return text != NULL ? strtoll(text, NULL, 10) : null;
}

void replica_listed(struct replica *replica, const struct engine_result *result, int row, int64_t now_us) {
	const char *state = engine_value(result, row, 1);
	int64_t distance_bytes = value_int(result, row, 3, 0);
	double lag_ms;
	if (strcmp(state, "vanished") == 0) {
		replica_vanished(replica);
		return;
	}
	if (!replica->listed)
		replica->standby = (struct lag_standby){0};
	replica->listed = true;
	if (engine_value(result, row, 3) == NULL)
		set_unknown(replica, "%s", state);
	else if (strcmp(state, "streaming") != 0) /* replay_lag counts from when WAL was sent: too little here */
		set_unknown(replica, "%s, %.1f MB behind", state, (double)distance_bytes / 1e6);
	else if (lag_standby_sample(&replica->standby, value_int(result, row, 2, 0), distance_bytes,
	                            value_int(result, row, 4, LAG_NULL), now_us, &lag_ms))
		set_known(replica, lag_ms, now_us);
	else
		set_waiting(replica);
}
