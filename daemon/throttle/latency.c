#include "daemon/throttle/latency.h"

#include "common/text.h"

#include <math.h>

static const double quantile = 0.95;
static const int64_t second_us = 1000000;
/* The window, which stretches until there are samples enough. */
static const int shortest_window = 15, longest_window = 60, recent_window = 5;
static const uint64_t enough_samples = 400;
/* The standard error of P95, as a share of it, is between 1.5 and 2.1 over the root of the samples for what latencies look like.
 */
static const double error_factor = 1.8;
/* Fewer tell nothing of a phase. */
static const uint64_t fewest_of_phase = 50;
static const int64_t longest_phase_us = 30000000;

int64_t latency_idle_us(const struct latency *latency) {
	return latency->idle.total > 0 ? latency->idle_until_us - latency->idle_since_us : 0;
}

void latency_end_phase(struct latency *latency, int64_t now_us) {
	if (latency->idle.total >= fewest_of_phase)
		baseline_add(&latency->baseline, histogram_quantile_us(&latency->idle, quantile) / 1000, (double)latency->idle.total,
		             now_us);
	latency->idle = (struct histogram){0};
}

static struct histogram *slice_of(struct latency *latency, int64_t now_us) {
	struct latency_slice *slice = &latency->slices[latency->newest];
	if (slice->second == now_us / second_us)
		return &slice->samples;
	latency->newest = (latency->newest + 1) % LATENCY_SLICES;
	slice = &latency->slices[latency->newest];
	*slice = (struct latency_slice){.second = now_us / second_us};
	return &slice->samples;
}

/* Where a sample of now is counted; NULL: nowhere. */
static struct histogram *place_of(struct latency *latency, enum latency_mode mode, int64_t now_us) {
	if (mode == LATENCY_SETTLE)
		return NULL;
	if (mode == LATENCY_WORK) {
		if (latency->idle.total > 0)
			latency_end_phase(latency, now_us);
		return slice_of(latency, now_us);
	}
	if (latency_idle_us(latency) >= longest_phase_us)
		latency_end_phase(latency, now_us);
	if (latency->idle.total == 0)
		latency->idle_since_us = now_us;
	latency->idle_until_us = now_us;
	return &latency->idle;
}

void latency_add(struct latency *latency, int64_t us, int64_t every_us, enum latency_mode mode, int64_t now_us) {
	struct histogram *place = place_of(latency, mode, now_us);
	if (place != NULL)
		histogram_add_expected(place, us, every_us);
}

void latency_merge(struct latency *latency, const struct histogram *samples, enum latency_mode mode, int64_t now_us) {
	struct histogram *place = place_of(latency, mode, now_us);
	if (place != NULL)
		histogram_merge(place, samples);
}

/* The last seconds at work, as many as it takes; phases without work between them don't count. */
static void window(const struct latency *latency, int shortest, int longest, int64_t now_us, struct histogram *out) {
	int64_t oldest = now_us / second_us - LATENCY_SLICES;
	for (int i = 0; i < longest; i++) {
		const struct latency_slice *slice = &latency->slices[(latency->newest + LATENCY_SLICES - i) % LATENCY_SLICES];
		if (slice->samples.total == 0 || slice->second < oldest)
			return;
		if (i >= shortest && out->total >= enough_samples)
			return;
		histogram_merge(out, &slice->samples);
	}
}

void latency_estimate(const struct latency *latency, int64_t now_us, struct reading *reading) {
	struct histogram samples = {0};
	if (latency->idle.total >= fewest_of_phase)
		histogram_merge(&samples, &latency->idle);
	else
		window(latency, shortest_window, longest_window, now_us, &samples);
	struct histogram recent = {0};
	window(latency, recent_window, recent_window, now_us, &recent);
	reading->recent = histogram_quantile_us(&recent, quantile) / 1000;
	reading->value = histogram_quantile_us(&samples, quantile) / 1000;
	reading->samples = (int64_t)samples.total;
	reading->error = samples.total > 0 ? error_factor / sqrt((double)samples.total) : 1;
	reading->sure = samples.total >= enough_samples;
}

bool latency_is_watched(const struct throttle_settings *settings) {
	return settings->latency_source != LATENCY_NONE && (settings->max_p95_increase > 0 || settings->max_p95_ms > 0);
}

static void set_limit(struct reading *reading, const struct throttle_settings *settings) {
	double increase = settings->max_p95_increase, most_ms = (double)settings->max_p95_ms;
	double by_baseline = increase > 0 ? reading->baseline * (1 + increase) : 0;
	reading->ok = increase > 0 ? reading->baseline : 0;
	reading->limit = by_baseline > 0 && most_ms > 0 ? fmin(by_baseline, most_ms) : fmax(by_baseline, most_ms);
}

static void set_learning(struct reading *reading, int64_t left_us) {
	reading->state = READING_UNKNOWN;
	reading->learning = true;
	text_format(reading->why, sizeof reading->why, "learning what it is without us, %.0f s to go",
	            fmax(0, ceil((double)left_us / 1e6)));
}

void latency_add_limited(double baseline_ms, int64_t idle_us, const struct reading *reading,
                         const struct throttle_settings *settings, struct readings *readings) {
	struct reading *added = readings_add(readings, reading);
	added->baseline = baseline_ms;
	added->counts = settings->max_p95_increase > 0 || settings->max_p95_ms > 0;
	set_limit(added, settings);
	if (!added->counts || settings->max_p95_increase <= 0 || added->state != READING_KNOWN)
		return;
	if (baseline_ms <= 0)
		set_learning(added, settings->latency_learn_ms * 1000 - idle_us);
}

void latency_add_reading(const struct latency *latency, const struct reading *reading, const struct throttle_settings *settings,
                         struct readings *readings) {
	latency_add_limited(latency->baseline.value, latency_idle_us(latency), reading, settings, readings);
}
