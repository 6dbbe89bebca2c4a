#include "daemon/throttle/baseline.h"

#include <math.h>

/* A site that gets slower by itself is followed slowly: what we do it may answer late, and must not become the measure of it. */
static const double drift_up = 0.10;
static const int64_t drift_us = 600000000;
/* Older phases tell of another hour. */
static const int64_t forgotten_us = 600000000;

static void remember(struct baseline *baseline, double value, double weight, int64_t at_us) {
	baseline->phases[baseline->next].value = value;
	baseline->phases[baseline->next].weight = weight;
	baseline->phases[baseline->next].at_us = at_us;
	baseline->next = (baseline->next + 1) % BASELINE_PHASES;
	if (baseline->count < BASELINE_PHASES)
		baseline->count++;
	baseline->at_us = at_us;
}

void baseline_add(struct baseline *baseline, double value, double weight, int64_t now_us) {
	if (weight <= 0 || value <= 0)
		return;
	double before = baseline->value;
	double most = before * (1 + drift_up * (double)(now_us - baseline->at_us) / (double)drift_us);
	remember(baseline, value, weight, now_us);
	double sum = 0, weights = 0;
	for (int i = 0; i < baseline->count; i++) {
		if (now_us - baseline->phases[i].at_us > forgotten_us)
			continue;
		sum += baseline->phases[i].value * baseline->phases[i].weight;
		weights += baseline->phases[i].weight;
	}
	baseline->value = before > 0 ? fmin(sum / weights, most) : sum / weights;
}

void baseline_restore(struct baseline *baseline, double value, int64_t at_us) {
	*baseline = (struct baseline){.value = value};
	remember(baseline, value, 1, at_us);
}
