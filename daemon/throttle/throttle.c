#include "daemon/throttle/throttle.h"

#include "common/mem.h"
#include "common/text.h"
#include "daemon/base/clock.h"
#include "daemon/throttle/guard.h"
#include "daemon/throttle/latency_source.h"
#include "daemon/throttle/regulate.h"

#include <ev.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double look_every_s = 0.1;

struct throttle_user {
	struct throttle *throttle;
	const struct job_settings *settings; /* NULL: it does not work */
	struct throttle_table table;
	struct latency_reader *latency;
	struct throttle_answer answer;
	bool in_flight;
	bool stands_by;
	struct guard guard;
};

struct throttle {
	struct probe_host host;
	struct probe *lag, *levels;
	struct latency_sources *latency;
	struct throttle_user **users;
	size_t nusers;
	ev_timer look;

	struct regulator regulator;
};

/* ---- the readings of a job --------------------------------------------------------------------------------------- */

static struct level_want want_of(const struct throttle_user *user) {
	return (struct level_want){.throttle = &user->settings->throttle, .guards = &user->settings->guards, .table = &user->table};
}

/* They may have changed since they were told. */
static void want_levels(struct throttle *throttle) {
	autofree struct level_want *wants = mem_alloc((throttle->nusers + 1) * sizeof *wants);
	size_t count = 0;
	for (size_t i = 0; i < throttle->nusers; i++)
		if (throttle->users[i]->settings != NULL)
			wants[count++] = want_of(throttle->users[i]);
	probe_level_want(throttle->levels, wants, count);
}

static void collect(const struct throttle_user *user, int64_t now_us, struct readings *readings) {
	const struct throttle *throttle = user->throttle;
	const struct level_want want = want_of(user);
	throttle->lag->class->read(throttle->lag, &user->settings->throttle, now_us, readings);
	latency_read(user->latency, now_us, readings);
	probe_level_read(throttle->levels, &want, now_us, readings);
}

static void look_at_guard(struct throttle_user *user, const struct readings *readings, int64_t now_us) {
	const struct throttle *throttle = user->throttle;
	double increase = user->settings->guards.p95_increase;
	user->answer.guard[0] = '\0';
	if (user->answer.verdict.guarded) {
		text_format(user->answer.guard, sizeof user->answer.guard, "%s", user->answer.verdict.reason);
		return;
	}
	for (size_t i = 0; i < readings->count; i++) {
		const struct reading *r = &readings->list[i];
		bool is_site = strcmp(r->probe, "latency") == 0; /* and not our own commits' */
		if (!is_site || r->baseline <= 0 || throttle->regulator.resting)
			continue;
		if (guard_latency(&user->guard, r, increase, throttle->regulator.control.rate_rows_s, now_us))
			text_format(user->answer.guard, sizeof user->answer.guard,
			            "latency P95 %.2f ms > %.2f ms, %.0f %% over its baseline, though we went slower", r->value,
			            r->baseline * (1 + increase), increase * 100);
		return;
	}
}

/* Its verdict as of now; added to `outlook`, unless that is NULL. */
static void look_at(struct throttle_user *user, int64_t now_us, struct outlook *outlook) {
	struct readings readings = {0};
	struct throttle_verdict *verdict = &user->answer.verdict;
	bool was_held = verdict->held;
	collect(user, now_us, &readings);
	decide(readings.list, readings.count, now_us, verdict);
	if (verdict->excess && !was_held)
		control_exceeded(&user->throttle->regulator.control);
	look_at_guard(user, &readings, now_us);
	if (outlook != NULL)
		outlook_add(outlook, &readings, verdict);
	readings_free(&readings);
}

/* ---- what they may do -------------------------------------------------------------------------------------------- */

static void describe(const struct throttle *throttle, struct throttle_answer *answer) {
	const struct regulator *regulator = &throttle->regulator;
	const struct throttle_verdict *verdict = &answer->verdict;
	answer->doing[0] = '\0';
	if (verdict->held)
		text_format(answer->doing, sizeof answer->doing, "held: %s", verdict->reason);
	else if (regulator->off)
		text_format(answer->doing, sizeof answer->doing, "resting for a few seconds: the latency without us is measured");
	else if (verdict->slowed[0] != '\0')
		text_format(answer->doing, sizeof answer->doing, "%s", verdict->slowed);
	else if (regulator->controlled)
		text_format(answer->doing, sizeof answer->doing, "%s (%s at %.0f %% of its room)",
		            control_move_text(regulator->control.move), verdict->probe, verdict->pressure * 100);
}

static void share_rate(struct throttle *throttle, double longest_batch_ms) {
	const struct regulator *regulator = &throttle->regulator;
	size_t count = throttle->nusers;
	autofree double *caps = mem_alloc((count + 1) * sizeof *caps), *shares = mem_alloc((count + 1) * sizeof *shares);
	for (size_t i = 0; i < count; i++) {
		const struct throttle_user *user = throttle->users[i];
		bool works = user->settings != NULL && !user->stands_by && !user->answer.verdict.held;
		caps[i] = !works ? 0 : user->settings->batch.max_rate > 0 ? user->settings->batch.max_rate : -1;
	}
	control_share(regulator->control.rate_rows_s, caps, shares, (int)count);
	for (size_t i = 0; i < count; i++) {
		struct throttle_answer *answer = &throttle->users[i]->answer;
		/* One that is held has no share; but it may be let go before we look again. */
		double share = caps[i] == 0 ? regulator->control.rate_rows_s / (double)count : shares[i];
		answer->rate_rows_s = regulator->controlled ? share * (1 - answer->verdict.slowdown) : INFINITY;
		answer->batch_ms = regulator->controlled ? regulator->control.batch_ms : longest_batch_ms;
		answer->resting = regulator->off;
		describe(throttle, answer);
	}
}

static void look(struct throttle *throttle) {
	int64_t now_us = clock_monotonic_us();
	struct outlook outlook = {.all_held = true, .initial_rate_rows_s = INFINITY};
	want_levels(throttle);
	latency_sources_choose(throttle->latency);
	for (size_t i = 0; i < throttle->nusers; i++) {
		struct throttle_user *user = throttle->users[i];
		if (user->settings == NULL)
			continue;
		look_at(user, now_us, user->stands_by ? NULL : &outlook);
		outlook.initial_rate_rows_s = fmin(outlook.initial_rate_rows_s, user->settings->throttle.initial_rate);
		outlook.batch_ms = fmax(outlook.batch_ms, (double)user->settings->batch.time_ms);
	}
	regulate(&throttle->regulator, &outlook, now_us, drand48());
	throttle->host.resting = throttle->regulator.resting;
	share_rate(throttle, outlook.batch_ms);
}

static void on_look(struct ev_loop *loop, ev_timer *timer, int events) {
	(void)loop, (void)events;
	look(timer->data);
}

/* ---- users ------------------------------------------------------------------------------------------------------- */

struct throttle_user *throttle_join(struct throttle *throttle) {
	struct throttle_user *user = mem_alloc(sizeof *user);
	*user = (struct throttle_user){.throttle = throttle, .latency = latency_join(throttle->latency)};
	throttle->users = mem_resize(throttle->users, throttle->nusers + 1, sizeof(struct throttle_user *));
	throttle->users[throttle->nusers++] = user;
	probe_watch(throttle->lag, true);
	probe_watch(throttle->levels, true);
	ev_timer_again(throttle->host.loop, &throttle->look);
	return user;
}

void throttle_configure(struct throttle_user *user, const struct job_settings *settings, const struct canary *canary,
                        const struct throttle_table *table) {
	user->settings = settings;
	latency_configure(user->latency, settings != NULL ? &settings->throttle : NULL, canary);
	if (settings == NULL)
		return;
	user->table = *table;
	look(user->throttle);
}

void throttle_leave(struct throttle_user *user) {
	if (user == NULL)
		return;
	struct throttle *throttle = user->throttle;
	if (user->in_flight)
		throttle_batch_ended(user, 0, true);
	latency_leave(user->latency);
	for (size_t i = 0; i < throttle->nusers; i++)
		if (throttle->users[i] == user)
			throttle->users[i] = throttle->users[--throttle->nusers];
	free(user);
	if (throttle->nusers > 0)
		return;
	probe_watch(throttle->lag, false);
	probe_watch(throttle->levels, false);
	ev_timer_stop(throttle->host.loop, &throttle->look);
	throttle->regulator = (struct regulator){.resting = true};
	throttle->host.resting = true;
}

const struct throttle_answer *throttle_ask(struct throttle_user *user) {
	bool was_held = user->answer.verdict.held || user->stands_by;
	user->stands_by = false;
	look_at(user, clock_monotonic_us(), NULL);
	if (user->answer.verdict.held != was_held) /* one more works, or one less */
		look(user->throttle);
	return &user->answer;
}

void throttle_stand_by(struct throttle_user *user) {
	user->stands_by = true;
}

void throttle_batch_started(struct throttle_user *user) {
	user->in_flight = true;
	user->throttle->host.in_flight++;
}

void throttle_batch_ended(struct throttle_user *user, int64_t rows, bool by_rate) {
	struct throttle *throttle = user->throttle;
	user->in_flight = false;
	throttle->host.in_flight--;
	throttle->host.last_end_us = clock_monotonic_us();
	regulator_count(&throttle->regulator, rows, by_rate);
}

/* ---- from begin to end ------------------------------------------------------------------------------------------- */

struct throttle *throttle_new(struct ev_loop *loop, struct http_client *http, const struct engine *engine,
                              const struct config_target *target, const char *daemon_id) {
	struct throttle *throttle = mem_alloc(sizeof *throttle);
	*throttle = (struct throttle){
		.host =
			{.loop = loop, .http = http, .engine = engine, .target = target, .daemon_id = mem_dup(daemon_id), .resting = true},
		.regulator = {.resting = true}};
	throttle->lag = probe_lag_new(&throttle->host);
	throttle->levels = probe_level_new(&throttle->host);
	throttle->latency = latency_sources_new(&throttle->host);
	ev_timer_init(&throttle->look, on_look, 0., look_every_s);
	throttle->look.data = throttle;
	return throttle;
}

void throttle_free(struct throttle *throttle) {
	if (throttle == NULL)
		return;
	while (throttle->nusers > 0)
		throttle_leave(throttle->users[throttle->nusers - 1]);
	ev_timer_stop(throttle->host.loop, &throttle->look);
	throttle->lag->class->free(throttle->lag);
	latency_sources_free(throttle->latency);
	throttle->levels->class->free(throttle->levels);
	free(throttle->users);
	free(throttle->host.daemon_id);
	free(throttle);
}

void throttle_retarget(struct throttle *throttle, const struct config_target *target) {
	throttle->host.target = target;
	throttle->lag->class->retarget(throttle->lag);
	throttle->levels->class->retarget(throttle->levels);
	latency_sources_retarget(throttle->latency);
}

/* ---- what is kept ------------------------------------------------------------------------------------------------ */

/* Older than that it tells of another hour. */
static const int64_t oldest_memory_us = 600000000;

char *throttle_memory(const struct throttle *throttle) {
	json_t *baselines = latency_sources_baselines(throttle->latency);
	if (json_object_size(baselines) == 0) {
		json_decref(baselines);
		return NULL;
	}
	const struct control *control = &throttle->regulator.control;
	json_t *o = json_pack("{s:I, s:f, s:f, s:o}", "at_us", (json_int_t)clock_wall_us(), "rate_rows_s", control->rate_rows_s,
	                      "batch_ms", control->batch_ms, "p95_ms", baselines);
	char *text = json_dumps(o, JSON_COMPACT | JSON_SORT_KEYS);
	json_decref(o);
	return text;
}

void throttle_remember(struct throttle *throttle, const char *text) {
	json_t *o = json_loads(text, 0, NULL);
	json_int_t at_us = json_integer_value(json_object_get(o, "at_us"));
	int64_t age_us = clock_wall_us() - at_us;
	double rate = json_number_value(json_object_get(o, "rate_rows_s")), ms = json_number_value(json_object_get(o, "batch_ms"));
	json_t *baselines = json_object_get(o, "p95_ms");
	if (throttle->nusers == 0 && age_us >= 0 && age_us < oldest_memory_us && rate > 0 && ms > 0 && json_is_object(baselines)) {
		latency_sources_remember(throttle->latency, baselines, clock_monotonic_us() - age_us);
		regulator_remember(&throttle->regulator, rate, ms);
	}
	json_decref(o);
}

/* ---- what it says ------------------------------------------------------------------------------------------------ */

/* Three digits behind the point: more is noise. */
static json_t *number_or_null(bool known, double value) {
	return known ? json_real(round(value * 1000) / 1000) : json_null();
}

static json_t *reading_to_json(const struct reading *reading, int64_t now_us) {
	bool known = reading->state == READING_KNOWN;
	double pressure = known ? reading_pressure(reading, now_us) : 0;
	json_t *json = json_pack(
		"{s:s, s:o, s:s, s:o, s:o, s:o, s:I, s:o, s:s, s:s, s:b}", "probe", reading->probe, "value",
		number_or_null(known, reading_value(reading, now_us)), "unit", reading_unit_name(reading->unit), "limit",
		number_or_null(reading->limit > 0, reading->limit), "baseline", number_or_null(reading->baseline > 0, reading->baseline),
		"age_ms", number_or_null(reading->at_us > 0, (double)(now_us - reading->at_us) / 1000), "samples",
		(json_int_t)reading->samples, "pressure", number_or_null(known && reading->limit > 0, pressure), "state",
		!known          ? "unknown"
		: pressure >= 1 ? "high"
						: "ok",
		"source", reading->source, "counts", reading->counts);
	if (!known && json != NULL)
		json_object_set_new(json, "reason", json_string(reading->why));
	if (known && reading->detail[0] != '\0' && json != NULL)
		json_object_set_new(json, "detail", json_string(reading->detail));
	return json;
}

/* What is made of them all: the one row that is no probe's. */
static json_t *rate_to_json(const struct throttle *throttle, const struct throttle_user *user) {
	const struct throttle_answer *answer = user != NULL ? &user->answer : NULL;
	bool held = answer != NULL ? answer->verdict.held : throttle->regulator.resting;
	double rate = answer != NULL ? answer->rate_rows_s : throttle->regulator.control.rate_rows_s;
	double pressure = answer != NULL ? answer->verdict.pressure : 0;
	return json_pack("{s:s, s:o, s:s, s:n, s:n, s:n, s:n, s:o, s:s, s:s, s:b, s:s}", "probe", "rate", "value",
	                 number_or_null(throttle->regulator.controlled && isfinite(rate), held ? 0 : rate), "unit", "rows/s", "limit",
	                 "baseline", "age_ms", "samples", "pressure", number_or_null(answer != NULL, pressure), "state",
	                 held ? "high" : "ok", "source", "control", "counts", 0, "reason",
	                 answer != NULL ? answer->doing : control_move_text(throttle->regulator.control.move));
}

static void collect_all(const struct throttle *throttle, int64_t now_us, struct readings *readings) {
	const struct throttle_settings *settings = &throttle->host.target->throttle;
	throttle->lag->class->read(throttle->lag, settings, now_us, readings);
	latency_sources_read(throttle->latency, settings, now_us, readings);
	const struct level_want want = {.throttle = settings, .guards = &throttle->host.target->guards};
	probe_level_read(throttle->levels, &want, now_us, readings);
}

json_t *throttle_readings(const struct throttle *throttle, const struct throttle_user *user) {
	int64_t now_us = clock_monotonic_us();
	struct readings readings = {0};
	if (user != NULL && user->settings != NULL) {
		collect(user, now_us, &readings);
	} else {
		collect_all(throttle, now_us, &readings);
	}
	json_t *array = json_array();
	for (size_t i = 0; i < readings.count; i++)
		json_array_append_new(array, reading_to_json(&readings.list[i], now_us));
	readings_free(&readings);
	if (throttle->regulator.controlled)
		json_array_append_new(array, rate_to_json(throttle, user));
	return array;
}
