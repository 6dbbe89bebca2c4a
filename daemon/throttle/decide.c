#include "daemon/throttle/decide.h"

#include "common/text.h"

#include <math.h>
#include <string.h>

/* A held job is released below this share of the limit. */
static const double release_pressure = 0.8;
static const double coming_counts_from = 0.25;
/* Readings that are late, other than lag, whose silence is lag: */
static const int late_periods = 2; /* not faster; */
static const int64_t halve_after_us = 15000000, blind_after_us = 30000000;
/* Who was blind believes the first readings only when others agree. */
static const int64_t good_readings = 3;
/* What only slows leaves so much of the rate at its limit, and beyond: it may be there for days. */
static const double slowed_share = 0.25;

static void set_probe(struct throttle_verdict *verdict, const struct reading *reading) {
	text_format(verdict->probe, sizeof verdict->probe, "%s", reading->probe);
}

/* "r1" of "lag:r1", for the end of a sentence; NULL when the probe is about nobody in particular. */
static const char *subject(const struct reading *reading) {
	const char *colon = strchr(reading->probe, ':');
	return reading->nature == READING_LAG && colon != NULL ? colon + 1 : NULL;
}

static void set_reason(struct throttle_verdict *verdict, const struct reading *reading, const char *text) {
	const char *who = subject(reading);
	if (who == NULL && reading->detail[0] != '\0')
		who = reading->detail;
	verdict->held = true;
	set_probe(verdict, reading);
	text_format(verdict->reason, sizeof verdict->reason, "%s%s%s%s", text, who != NULL ? " (" : "", who != NULL ? who : "",
	            who != NULL ? ")" : "");
}

static void format_limit(const struct reading *reading, double share, char *out, size_t size) {
	double limit = reading->ok + (reading->limit - reading->ok) * share;
	if (reading->unit == UNIT_SECONDS)
		text_format(out, size, "%g s", limit);
	else
		reading_format(reading->unit, limit, out, size);
}

static void slow_down(struct throttle_verdict *verdict, const struct reading *reading, int64_t now_us) {
	double pressure = reading_pressure(reading, now_us);
	double slowdown = (pressure < 1 ? pressure : 1) * (1 - slowed_share);
	if (reading->state == READING_UNKNOWN || now_us - reading->at_us > blind_after_us || slowdown <= verdict->slowdown)
		return;
	char value[40], limit[40];
	verdict->slowdown = slowdown;
	reading_format(reading->unit, reading_value(reading, now_us), value, sizeof value);
	format_limit(reading, 1, limit, sizeof limit);
	text_format(verdict->slowed, sizeof verdict->slowed, "slowed to %.0f %%: %s %s, limit %s%s%s%s", (1 - slowdown) * 100,
	            reading->what, value, limit, reading->detail[0] != '\0' ? " (" : "", reading->detail,
	            reading->detail[0] != '\0' ? ")" : "");
}

static void hold_unknown(struct throttle_verdict *verdict, const struct reading *reading, int64_t now_us) {
	const char *who = subject(reading);
	char why[300];
	if (reading->state == READING_UNKNOWN)
		text_format(why, sizeof why, "%s", reading->why);
	else if (now_us - reading->at_us > blind_after_us)
		text_format(why, sizeof why, "no reading for %.0f s", (double)(now_us - reading->at_us) / 1e6);
	else
		text_format(why, sizeof why, "it was unknown; %d good readings in a row are wanted", (int)good_readings);
	verdict->held = true;
	set_probe(verdict, reading);
	text_format(verdict->reason, sizeof verdict->reason, "%s unknown%s%s%s: %s", reading->what, who != NULL ? " (" : "",
	            who != NULL ? who : "", who != NULL ? ")" : "", why);
}

/* Of a value that stops. What is to come counts from a quarter of the limit on: below it is jitter. */
static double stopping_pressure_of(const struct reading *reading, int64_t now_us) {
	double pressure = reading_pressure(reading, now_us);
	return pressure >= coming_counts_from ? fmax(pressure, reading->coming / reading->limit) : pressure;
}

static void hold_high(struct throttle_verdict *verdict, const struct reading *reading, int64_t now_us) {
	char value[40], limit[40], coming[40], text[200];
	double now = reading_value(reading, now_us);
	bool over = reading_pressure(reading, now_us) >= 1, rising = !over && stopping_pressure_of(reading, now_us) >= 1;
	verdict->excess = true;
	verdict->guarded = over && reading->guards;
	reading_format(reading->unit, now, value, sizeof value);
	reading_format(reading->unit, reading->coming, coming, sizeof coming);
	format_limit(reading, over || rising ? 1 : release_pressure, limit, sizeof limit);
	if (over)
		text_format(text, sizeof text, "%s %s %s %s", reading->what, value, now > reading->limit ? ">" : "=", limit);
	else if (rising)
		text_format(text, sizeof text, "%s %s and rising, %s to come > %s", reading->what, value, coming, limit);
	else
		text_format(text, sizeof text, "%s %s, going on below %s", reading->what, value, limit);
	set_reason(verdict, reading, text);
}

/* Lag has its own way to be silent: reading_value. */
static bool is_unknown(const struct reading *reading, int64_t now_us, const struct throttle_verdict *before) {
	if (reading->state == READING_UNKNOWN)
		return true;
	if (reading->nature == READING_LAG)
		return false;
	bool again = reading->good < good_readings && reading->samples > reading->good; /* it was known before it was not */
	if (before->held && !before->excess && again && strcmp(before->probe, reading->probe) == 0)
		return true;
	return now_us - reading->at_us > blind_after_us;
}

static enum throttle_growth growth_by(const struct reading *reading, int64_t now_us) {
	if (reading->nature == READING_LAG)
		return GROWTH_FREE;
	int64_t age_us = now_us - reading->at_us;
	if (age_us > halve_after_us && reading_overdue_us(reading, now_us) > 0)
		return GROWTH_HALVE;
	return age_us > late_periods * reading->period_us || !reading->sure ? GROWTH_NONE : GROWTH_FREE;
}

static bool stops(const struct reading *reading) {
	return reading->nature != READING_LATENCY;
}

void decide(const struct reading *readings, size_t count, int64_t now_us, struct throttle_verdict *verdict) {
	const struct reading *worst = NULL, *unknown = NULL, *stopping = NULL;
	double stopping_pressure = 0;
	const struct throttle_verdict before = *verdict;
	*verdict = (struct throttle_verdict){0};

	for (size_t i = 0; i < count; i++) {
		const struct reading *r = &readings[i];
		if (!r->counts)
			continue;
		if (r->nature == READING_SLOWING) {
			slow_down(verdict, r, now_us);
			continue;
		}
		if (is_unknown(r, now_us, &before)) {
			if (unknown == NULL)
				unknown = r;
			continue;
		}
		if (growth_by(r, now_us) > verdict->growth)
			verdict->growth = growth_by(r, now_us);
		if (r->nature == READING_LAG && reading_value(r, now_us) > verdict->lag_s)
			verdict->lag_s = reading_value(r, now_us);
		double stops_at = stopping_pressure_of(r, now_us);
		if (stops(r) && (stopping == NULL || stops_at > stopping_pressure)) {
			stopping = r;
			stopping_pressure = stops_at;
		}
		double pressure = reading_control_pressure(r, now_us);
		if (worst == NULL || pressure > verdict->pressure) {
			worst = r;
			verdict->pressure = pressure;
		}
	}
	if (worst != NULL) {
		set_probe(verdict, worst);
		verdict->latency_binds = worst->nature == READING_LATENCY;
		verdict->uncertainty = reading_uncertainty(worst);
	}
	/* A measured excess says more than "unknown", so it names the reason when there are both. */
	if (stopping != NULL && stopping_pressure >= 1)
		hold_high(verdict, stopping, now_us);
	else if (unknown != NULL)
		hold_unknown(verdict, unknown, now_us);
	else if (stopping != NULL && before.held && stopping_pressure >= release_pressure)
		hold_high(verdict, stopping, now_us);
}
