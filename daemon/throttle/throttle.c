/*
 * One clock tells the lag: every 100 ms we write our monotonic time to the primary, and every 100 ms we read on each
 * configured replica which of those times has arrived, and whether more of them can. Where no replica is configured, the
 * primary's own list of those that follow it must do (each second), fed by what the heartbeat writes.
 */
#include "daemon/throttle/throttle.h"

#include "common/mem.h"
#include "common/text.h"
#include "daemon/base/clock.h"
#include "daemon/engine/dialect.h"
#include "daemon/engine/link.h"
#include "daemon/throttle/decide.h"
#include "daemon/throttle/lag.h"

#include <ev.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

static const double tick_s = 0.1;
static const int64_t standbys_every_us = 1000000;
/* A heartbeat that was not written for so long leaves us blind. */
static const int64_t write_silence_us = 1000000;
static const int64_t stranger_pause_us = 1000000;
/* What is granted meanwhile, some servers tell new connections alone. */
static const int64_t denied_pause_us = 5000000;
/* So long after the first heartbeat it is worth telling that none has arrived yet. */
static const int64_t arrival_silence_us = 5000000;
enum {
	SLOTS = 4, /* one row rots under an old snapshot: 13 µs became 602 µs after 40,000 versions */
	STATEMENT_TIMEOUT_MS = 1000,
};

/* One replica: configured (url, link), or a standby that the primary told us of. */
struct replica {
	struct throttle *throttle;
	char *name;
	char *url; /* NULL: a standby */
	struct link *link;
	struct reading reading;
	struct replica_state state; /* as it says itself; of a configured one */
	struct lag_standby standby;
	bool listed;       /* a standby: the newest list has it */
	int64_t denied_us; /* when we last gave up a connection that may not read */
};

struct throttle {
	struct ev_loop *loop;
	const struct engine *engine;
	const struct config_target *target;
	char *daemon_id;
	char *url; /* of `primary`; a reload may change the target's */
	char instance[33];
	int uses;
	ev_timer tick;
	int64_t seq;
	int64_t since_us;   /* when the use began: older heartbeats say nothing about now */
	int64_t left_us;    /* when we last gave up a connection that led to another server */
	int64_t written_us; /* when the newest heartbeat was sent that is known to be committed; 0 = none yet */
	char write_why[128];
	char known_as[64]; /* by what replicas know the primary */
	struct link *primary;
	struct replica **replicas;
	size_t nreplicas;
	bool listed; /* the primary's list was read since the primary was reached */
	int64_t listed_us;
	char list_why[128];
	int64_t sending_us; /* the clock that the heartbeat on its way carries */
};

/* ---- readings -------------------------------------------------------------------------------------------------- */

static void set_unknown(struct replica *replica, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void set_unknown(struct replica *replica, const char *format, ...) {
	va_list args;
	va_start(args, format);
	replica->reading.state = READING_UNKNOWN;
	text_vformat(replica->reading.why, sizeof replica->reading.why, format, args);
	va_end(args);
}

static void set_waiting(struct replica *replica) {
	replica->reading.samples = 0;
	replica->reading.at_us = 0;
	set_unknown(replica, "waiting for the first reading of replica %.60s", replica->name);
}

static void set_known(struct replica *replica, double lag_ms, int64_t now_us) {
	replica->reading.state = READING_KNOWN;
	replica->reading.why[0] = '\0';
	replica->reading.lag_ms = lag_ms;
	replica->reading.at_us = now_us;
	replica->reading.samples++;
}

static const char *list_name(const struct throttle *throttle) {
	return throttle->engine->dialect->replication->list;
}

static struct replica *replica_new(struct throttle *throttle, const char *name, const char *url) {
	struct replica *replica = mem_alloc(sizeof *replica);
	*replica = (struct replica){.throttle = throttle, .name = mem_dup(name), .url = mem_dup(url)};
	snprintf(replica->reading.probe, sizeof replica->reading.probe, "lag:%s", name);
	snprintf(replica->reading.source, sizeof replica->reading.source, "%s", url != NULL ? "heartbeat" : list_name(throttle));
	replica->reading.period_us = url != NULL ? 0 : standbys_every_us;
	set_waiting(replica);
	throttle->replicas = mem_resize(throttle->replicas, throttle->nreplicas + 1, sizeof(struct replica *));
	throttle->replicas[throttle->nreplicas++] = replica;
	return replica;
}

static void replica_free(struct replica *replica) {
	link_free(replica->link);
	free(replica->name);
	free(replica->url);
	free(replica);
}

static struct replica *find_replica(const struct throttle *throttle, const char *name) {
	for (size_t i = 0; i < throttle->nreplicas; i++)
		if (strcmp(throttle->replicas[i]->name, name) == 0)
			return throttle->replicas[i];
	return NULL;
}

/* Why a statement on the primary did not do its work. Tables that are missing are the one thing that a person must mend. */
static void explain(const struct throttle *throttle, const struct transaction_result *result, char *why, size_t size) {
	if (result->error == ENGINE_ERROR_SCHEMA)
		text_format(why, size, "control tables missing: run `backfillctl init %s`: %s", throttle->target->name, result->message);
	else
		text_format(why, size, "%s", result->message);
}

/* ---- configured replicas: reading the heartbeat ------------------------------------------------------------------ */

static bool state_absorb(void *context, const struct engine_result *result) {
	struct replica *replica = context;
	const struct throttle *throttle = replica->throttle;
	replica->state = throttle->engine->dialect->replication->state(result, throttle->known_as);
	return true;
}

/* Proof that the control tables are replicated is a heartbeat that has arrived: without one there is no batch. */
static void set_not_arrived(struct replica *replica, int64_t now_us) {
	int64_t silence_us = now_us - replica->throttle->since_us - replica->state.delay_us;
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
	else if (mono == NULL || mono_us < replica->throttle->since_us)
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
		link_reset(replica->link, result->message); /* tells replica_changed */
	} else if (result->error == ENGINE_ERROR_SCHEMA)
		set_unknown(replica, "the control tables have not arrived there: %s", result->message);
	else
		set_unknown(replica, "%s", result->message);
}

static void read_heartbeat(struct replica *replica) {
	struct throttle *throttle = replica->throttle;
	if (replica->link == NULL || link_conn(replica->link) == NULL || link_busy(replica->link))
		return;
	const struct dialect *dialect = throttle->engine->dialect;
	struct transaction *transaction = transaction_new("heartbeat", NULL);
	transaction_add(transaction, "replica_state", dialect_sql(dialect, "replica_state"), NULL, state_absorb);
	struct statement *statement =
		transaction_add(transaction, "heartbeat_read", dialect_sql(dialect, "heartbeat_read"), NULL, heartbeat_absorb);
	statement_add_text(statement, throttle->daemon_id);
	statement_add_text(statement, throttle->instance);
	link_run(replica->link, transaction, STATEMENT_TIMEOUT_MS, STATEMENT_TIMEOUT_MS, replica, heartbeat_read_done);
}

static void replica_changed(void *context, bool up, const char *why) {
	struct replica *replica = context;
	if (up)
		set_waiting(replica);
	else
		set_unknown(replica, "%s", why);
}

/* ---- the primary: writing the heartbeat -------------------------------------------------------------------------- */

/*
 * The heartbeat goes on after we could not write it (or were stopped ourselves). What the replicas show until the new one
 * arrives is how long that took; taken for lag it would trip the lag guard, which pauses a job that should only be held.
 */
static void begin_anew(struct throttle *throttle) {
	throttle->since_us = throttle->sending_us;
	for (size_t i = 0; i < throttle->nreplicas; i++)
		if (throttle->replicas[i]->url != NULL && throttle->replicas[i]->reading.state == READING_KNOWN)
			set_waiting(throttle->replicas[i]);
}

static void heartbeat_write_done(void *context, const struct transaction_result *result) {
	struct throttle *throttle = context;
	if (result->end == TRANSACTION_DECLINED) {
		text_format(throttle->write_why, sizeof throttle->write_why,
		            "the connection leads to another server than the control tables'");
		if (throttle->sending_us - throttle->left_us < stranger_pause_us)
			return;
		throttle->left_us = throttle->sending_us;
		link_reset(throttle->primary, throttle->write_why); /* look for the right one */
		return;
	}
	if (result->end != TRANSACTION_COMMITTED) {
		explain(throttle, result, throttle->write_why, sizeof throttle->write_why);
		return;
	}
	bool gap = throttle->written_us > 0 && throttle->sending_us - throttle->written_us > write_silence_us;
	if (gap || throttle->write_why[0] != '\0')
		begin_anew(throttle);
	throttle->written_us = throttle->sending_us;
	throttle->write_why[0] = '\0';
}

static bool write_absorb(void *context, const struct engine_result *result) {
	struct throttle *throttle = context;
	const char *known_as = engine_value(result, 0, 0);
	text_format(throttle->known_as, sizeof throttle->known_as, "%s", known_as != NULL ? known_as : "");
	return transaction_expect_one(NULL, result);
}

static void write_heartbeat(struct throttle *throttle) {
	struct transaction *transaction = transaction_new("heartbeat", NULL);
	struct statement *statement = transaction_add(transaction, "heartbeat_write",
	                                              dialect_sql(throttle->engine->dialect, "heartbeat_write"), NULL, write_absorb);
	throttle->sending_us = clock_monotonic_us();
	statement_add_text(statement, throttle->daemon_id);
	statement_add_int(statement, throttle->seq % SLOTS);
	statement_add_text(statement, throttle->instance);
	statement_add_int(statement, throttle->seq++);
	statement_add_int(statement, throttle->sending_us);
	link_run(throttle->primary, transaction, STATEMENT_TIMEOUT_MS, STATEMENT_TIMEOUT_MS, throttle, heartbeat_write_done);
}

/* Why the heartbeat tells nothing; false if it does. Before the first one there is nothing wrong yet, only waiting. */
static bool write_problem(const struct throttle *throttle, int64_t now_us, char *why, size_t size) {
	int64_t silence_us = now_us - throttle->written_us;
	if (throttle->uses == 0)
		text_format(why, size, "not watched: no running job of the target");
	else if (throttle->write_why[0] != '\0')
		text_format(why, size, "heartbeat not written: %s", throttle->write_why);
	else if (throttle->written_us > 0 && silence_us > write_silence_us)
		text_format(why, size, "heartbeat not written: no answer for %.1f s", (double)silence_us / 1e6);
	else
		return false;
	return true;
}

/* ---- the primary: its standbys ----------------------------------------------------------------------------------- */

static int64_t value_int(const struct engine_result *result, int row, int column, int64_t null) {
	const char *text = engine_value(result, row, column);
	return text != NULL ? strtoll(text, NULL, 10) : null;
}

static void set_vanished(struct replica *replica) {
	replica->listed = false;
	set_unknown(replica, "vanished from %s; if it is gone for good: throttle.replicas = [\"!%.60s\"]",
	            list_name(replica->throttle), replica->name);
}

static void absorb_standby(struct replica *replica, const struct engine_result *result, int row, int64_t now_us) {
	const char *state = engine_value(result, row, 1);
	int64_t distance_bytes = value_int(result, row, 3, 0);
	double lag_ms;
	if (strcmp(state, "vanished") == 0) {
		set_vanished(replica);
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

static bool standbys_absorb(void *context, const struct engine_result *result) {
	struct throttle *throttle = context;
	int64_t now_us = clock_monotonic_us();
	if (throttle->target->nreplicas > 0)
		return true; /* asked before a reload that configured replicas */
	size_t known = throttle->nreplicas;
	autofree bool *present = mem_alloc(known * sizeof *present);
	for (int row = 0; row < result->nrows; row++) {
		char name[72];
		standby_name(result, row, name, sizeof name);
		struct replica *replica = find_replica(throttle, name);
		if (replica == NULL)
			replica = replica_new(throttle, name, NULL);
		for (size_t i = 0; i < known; i++)
			present[i] |= throttle->replicas[i] == replica;
		absorb_standby(replica, result, row, now_us);
	}
	for (size_t i = 0; i < known; i++)
		if (!present[i])
			set_vanished(throttle->replicas[i]);
	throttle->listed = true;
	throttle->list_why[0] = '\0';
	return true;
}

static void standbys_done(void *context, const struct transaction_result *result) {
	struct throttle *throttle = context;
	if (result->end == TRANSACTION_COMMITTED)
		return;
	throttle->listed = false;
	explain(throttle, result, throttle->list_why, sizeof throttle->list_why);
}

static void list_standbys(struct throttle *throttle) {
	struct transaction *transaction = transaction_new("heartbeat", NULL);
	transaction_add(transaction, "heartbeat_standbys", dialect_sql(throttle->engine->dialect, "heartbeat_standbys"), NULL,
	                standbys_absorb);
	throttle->listed_us = clock_monotonic_us();
	link_run(throttle->primary, transaction, STATEMENT_TIMEOUT_MS, STATEMENT_TIMEOUT_MS, throttle, standbys_done);
}

static void primary_changed(void *context, bool up, const char *why) {
	struct throttle *throttle = context;
	throttle->listed = false; /* who follows a primary that we can't see? */
	throttle->listed_us = 0;
	for (size_t i = 0; i < throttle->nreplicas; i++)
		throttle->replicas[i]->listed = false;
	if (up) { /* jobs wait for the first reading */
		ev_timer_stop(throttle->loop, &throttle->tick);
		ev_timer_set(&throttle->tick, 0., tick_s);
		ev_timer_start(throttle->loop, &throttle->tick);
		return;
	}
	text_format(throttle->write_why, sizeof throttle->write_why, "%s", why);
}

/* ---- in use or idle ---------------------------------------------------------------------------------------------- */

static void on_tick(struct ev_loop *loop, ev_timer *timer, int events) {
	(void)loop, (void)events;
	struct throttle *throttle = timer->data;
	if (link_conn(throttle->primary) != NULL && !link_busy(throttle->primary)) {
		write_heartbeat(throttle);
		if (throttle->target->nreplicas == 0 && clock_monotonic_us() - throttle->listed_us >= standbys_every_us)
			list_standbys(throttle);
	}
	for (size_t i = 0; i < throttle->nreplicas; i++)
		read_heartbeat(throttle->replicas[i]);
}

static void watch_replica(struct replica *replica) {
	struct throttle *throttle = replica->throttle;
	set_waiting(replica);
	if (replica->url != NULL)
		replica->link = link_new(throttle->loop, throttle->engine, replica->url, "backfilld heartbeat", replica_changed, replica);
}

static void watch_primary(struct throttle *throttle) {
	throttle->since_us = clock_monotonic_us();
	throttle->written_us = 0;
	throttle->write_why[0] = throttle->list_why[0] = '\0';
	throttle->listed = false;
	throttle->listed_us = 0;
	free(throttle->url);
	throttle->url = mem_dup(throttle->target->url);
	throttle->primary =
		link_new(throttle->loop, throttle->engine, throttle->url, "backfilld heartbeat", primary_changed, throttle);
}

void throttle_use(struct throttle *throttle) {
	if (throttle->uses++ > 0)
		return;
	watch_primary(throttle);
	for (size_t i = 0; i < throttle->nreplicas; i++)
		watch_replica(throttle->replicas[i]);
	ev_timer_again(throttle->loop, &throttle->tick);
}

static void stop_watching(struct throttle *throttle) {
	ev_timer_stop(throttle->loop, &throttle->tick);
	link_free(throttle->primary);
	throttle->primary = NULL;
	for (size_t i = 0; i < throttle->nreplicas; i++) {
		link_free(throttle->replicas[i]->link);
		throttle->replicas[i]->link = NULL;
		throttle->replicas[i]->listed = false;
		set_waiting(throttle->replicas[i]);
	}
}

void throttle_unuse(struct throttle *throttle) {
	if (throttle->uses > 0 && --throttle->uses == 0)
		stop_watching(throttle);
}

struct throttle *throttle_new(struct ev_loop *loop, const struct engine *engine, const struct config_target *target,
                              const char *daemon_id) {
	struct throttle *throttle = mem_alloc(sizeof *throttle);
	*throttle = (struct throttle){.loop = loop, .engine = engine, .target = target, .daemon_id = mem_dup(daemon_id)};
	/* Another process's monotonic clock may be another host's: only rows with our own number count. */
	uint64_t random[2] = {0};
	if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random)
		random[0] = (uint64_t)clock_wall_us();
	snprintf(throttle->instance, sizeof throttle->instance, "%016llx%016llx", (unsigned long long)random[0],
	         (unsigned long long)random[1]);
	for (size_t i = 0; i < target->nreplicas; i++)
		replica_new(throttle, target->replicas[i].name, target->replicas[i].url);
	ev_timer_init(&throttle->tick, on_tick, 0., tick_s);
	throttle->tick.data = throttle;
	return throttle;
}

void throttle_free(struct throttle *throttle) {
	if (throttle == NULL)
		return;
	ev_timer_stop(throttle->loop, &throttle->tick);
	link_free(throttle->primary);
	for (size_t i = 0; i < throttle->nreplicas; i++)
		replica_free(throttle->replicas[i]);
	free(throttle->replicas);
	free(throttle->daemon_id);
	free(throttle->url);
	free(throttle);
}

/* Still the same? A standby is as long as no replicas are configured. */
static bool stays(const struct replica *replica, const struct config_target *target) {
	if (replica->url == NULL)
		return target->nreplicas == 0;
	for (size_t i = 0; i < target->nreplicas; i++)
		if (strcmp(target->replicas[i].name, replica->name) == 0)
			return strcmp(target->replicas[i].url, replica->url) == 0;
	return false;
}

void throttle_retarget(struct throttle *throttle, const struct config_target *target) {
	throttle->target = target;
	size_t kept = 0;
	bool configured = false;
	for (size_t i = 0; i < throttle->nreplicas; i++) {
		configured |= throttle->replicas[i]->url != NULL;
		if (stays(throttle->replicas[i], target))
			throttle->replicas[kept++] = throttle->replicas[i];
		else
			replica_free(throttle->replicas[i]);
	}
	throttle->nreplicas = kept;
	if (configured && target->nreplicas == 0) {
		throttle->listed = false; /* the primary was not asked for a while: blind until it answers */
		throttle->listed_us = 0;
	}
	for (size_t i = 0; i < target->nreplicas; i++) {
		if (find_replica(throttle, target->replicas[i].name) != NULL)
			continue;
		struct replica *replica = replica_new(throttle, target->replicas[i].name, target->replicas[i].url);
		if (throttle->uses > 0)
			watch_replica(replica);
	}
	if (throttle->uses > 0 && strcmp(throttle->url, target->url) != 0) {
		link_free(throttle->primary);
		watch_primary(throttle);
	}
}

/* ---- what it says ------------------------------------------------------------------------------------------------ */

static struct reading pseudo_reading(const struct throttle *throttle, const char *name, bool counts, const char *why) {
	struct reading reading = {.state = READING_UNKNOWN, .counts = counts};
	snprintf(reading.probe, sizeof reading.probe, "lag%s%s", name != NULL ? ":" : "", name != NULL ? name : "");
	snprintf(reading.source, sizeof reading.source, "%s", list_name(throttle));
	text_format(reading.why, sizeof reading.why, "%s", why);
	return reading;
}

/* Every reading as of now, for a job with these settings. At most nreplicas + settings->nreplicas + 1. */
static size_t collect(const struct throttle *throttle, const struct throttle_settings *settings, int64_t now_us,
                      struct reading *readings) {
	char why[300];
	bool blind = write_problem(throttle, now_us, why, sizeof why);
	size_t n = 0;
	for (size_t i = 0; i < throttle->nreplicas; i++) {
		struct reading *reading = &readings[n++];
		*reading = throttle->replicas[i]->reading;
		reading->counts = lag_counts(settings, throttle->replicas[i]->name);
		if (!blind)
			continue;
		reading->state = READING_UNKNOWN;
		text_format(reading->why, sizeof reading->why, "%s", why);
	}
	for (size_t i = 0; i < settings->nreplicas; i++) {
		const char *name = settings->replicas[i];
		if (name[0] != '!' && find_replica(throttle, name) == NULL)
			readings[n++] = pseudo_reading(throttle, name, true, "throttle.replicas names it, but there is no such replica");
	}
	if (throttle->target->nreplicas > 0)
		return n;
	bool told = throttle->list_why[0] != '\0';
	if (blind)
		readings[n++] = pseudo_reading(throttle, NULL, true, why);
	else if (!throttle->listed)
		readings[n++] =
			pseudo_reading(throttle, NULL, true, told ? throttle->list_why : "waiting for the first list of replicas");
	else if (throttle->nreplicas == 0) {
		text_format(why, sizeof why, "no replica in %s: nothing to watch", list_name(throttle));
		readings[n++] = pseudo_reading(throttle, NULL, false, why);
	}
	return n;
}

static struct reading *readings_new(const struct throttle *throttle, const struct throttle_settings *settings) {
	return mem_alloc((throttle->nreplicas + settings->nreplicas + 1) * sizeof(struct reading));
}

void throttle_decide(const struct throttle *throttle, const struct throttle_settings *settings,
                     struct throttle_verdict *verdict) {
	int64_t now_us = clock_monotonic_us();
	autofree struct reading *readings = readings_new(throttle, settings);
	size_t count = collect(throttle, settings, now_us, readings);
	decide(readings, count, settings, now_us, verdict);
}

/* Three digits behind the point: more is noise. */
static json_t *number_or_null(bool known, double value) {
	return known ? json_real(round(value * 1000) / 1000) : json_null();
}

static json_t *reading_to_json(const struct reading *reading, const struct throttle_settings *settings, int64_t now_us) {
	bool known = reading->state == READING_KNOWN;
	double lag_ms = known ? reading_lag_ms(reading, now_us) : 0;
	double limit_ms = (double)settings->max_lag_ms;
	double pressure = limit_ms > 0 ? lag_ms / limit_ms : 0;
	json_t *json = json_pack("{s:s, s:o, s:s, s:f, s:n, s:o, s:I, s:o, s:s, s:s, s:b}", "probe", reading->probe, "value",
	                         number_or_null(known, lag_ms / 1000), "unit", "s", "limit", limit_ms / 1000, "baseline", "age_ms",
	                         number_or_null(reading->at_us > 0, (double)(now_us - reading->at_us) / 1000), "samples",
	                         (json_int_t)reading->samples, "pressure", number_or_null(known, pressure), "state",
	                         !known          ? "unknown"
	                         : pressure >= 1 ? "high"
	                                         : "ok",
	                         "source", reading->source, "counts", reading->counts);
	if (!known && json != NULL)
		json_object_set_new(json, "reason", json_string(reading->why));
	return json;
}

json_t *throttle_readings(const struct throttle *throttle, const struct throttle_settings *settings) {
	if (settings == NULL)
		settings = &throttle->target->throttle;
	int64_t now_us = clock_monotonic_us();
	autofree struct reading *readings = readings_new(throttle, settings);
	size_t count = collect(throttle, settings, now_us, readings);
	json_t *array = json_array();
	for (size_t i = 0; i < count; i++)
		json_array_append_new(array, reading_to_json(&readings[i], settings, now_us));
	return array;
}
