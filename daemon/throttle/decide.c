#include "daemon/throttle/decide.h"

#include "common/text.h"

#include <math.h>
#include <string.h>

/* A held job is released below this share of the limit. */
static const double release_pressure = 0.8;

double reading_lag_ms(const struct reading *reading, int64_t now_us) {
	int64_t age_us = now_us - reading->at_us - reading->period_us;
	return fmax(reading->lag_ms, (double)age_us / 1000.0);
}

static void set_probe(struct throttle_verdict *verdict, const struct reading *reading) {
	text_format(verdict->probe, sizeof verdict->probe, "%s", reading->probe);
}

/* "r1" of "lag:r1"; NULL when the probe is about no replica in particular. */
static const char *replica_name(const struct reading *reading) {
	const char *colon = strchr(reading->probe, ':');
	return colon != NULL ? colon + 1 : NULL;
}

static void hold_unknown(struct throttle_verdict *verdict, const struct reading *reading) {
	const char *name = replica_name(reading);
	verdict->held = true;
	set_probe(verdict, reading);
	if (name != NULL)
		text_format(verdict->reason, sizeof verdict->reason, "replica lag unknown (%s): %s", name, reading->why);
	else
		text_format(verdict->reason, sizeof verdict->reason, "replica lag unknown: %s", reading->why);
}

static void hold_lag(struct throttle_verdict *verdict, const struct reading *reading, double limit_ms) {
	verdict->held = true;
	set_probe(verdict, reading);
	double lag_s = verdict->lag_ms / 1000, limit_s = limit_ms / 1000;
	const char *name = replica_name(reading) != NULL ? replica_name(reading) : reading->probe;
	if (verdict->pressure >= 1)
		text_format(verdict->reason, sizeof verdict->reason, "replica lag %.1f s %s %g s (%s)", lag_s,
		            lag_s > limit_s ? ">" : "=", limit_s, name);
	else
		text_format(verdict->reason, sizeof verdict->reason, "replica lag %.1f s, going on below %g s (%s)", lag_s,
		            limit_s * release_pressure, name);
}

void decide(const struct reading *readings, size_t count, const struct throttle_settings *settings, int64_t now_us,
            struct throttle_verdict *verdict) {
	const struct reading *worst = NULL, *unknown = NULL;
	const double limit_ms = settings->max_lag_ms > 0 ? (double)settings->max_lag_ms : 1;
	const bool was_held = verdict->held;
	*verdict = (struct throttle_verdict){0};

	for (size_t i = 0; i < count; i++) {
		const struct reading *r = &readings[i];
		if (!r->counts)
			continue;
		if (r->state == READING_UNKNOWN) {
			if (unknown == NULL)
				unknown = r;
			continue;
		}
		double lag_ms = reading_lag_ms(r, now_us);
		if (worst == NULL || lag_ms > verdict->lag_ms) {
			worst = r;
			verdict->lag_ms = lag_ms;
		}
	}
	if (worst != NULL) {
		verdict->pressure = verdict->lag_ms / limit_ms;
		set_probe(verdict, worst);
	}
	/* A measured excess says more than "unknown", so it names the reason when there are both. */
	if (worst != NULL && verdict->pressure >= 1)
		hold_lag(verdict, worst, limit_ms);
	else if (unknown != NULL)
		hold_unknown(verdict, unknown);
	else if (worst != NULL && was_held && verdict->pressure >= release_pressure)
		hold_lag(verdict, worst, limit_ms);
}
