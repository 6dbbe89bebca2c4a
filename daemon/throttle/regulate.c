#include "daemon/throttle/regulate.h"

#include <math.h>

void outlook_add(struct outlook *outlook, const struct readings *readings, const struct throttle_verdict *verdict) {
	for (size_t i = 0; i < readings->count; i++) {
		const struct reading *r = &readings->list[i];
		outlook->counts |= r->counts;
		outlook->latency |= r->counts && r->nature == READING_LATENCY;
		outlook->learning |= r->counts && r->learning;
	}
	outlook->jobs++;
	outlook->all_held &= verdict->held;
	if (verdict->pressure > outlook->pressure || (verdict->pressure == outlook->pressure && verdict->latency_binds)) {
		outlook->pressure = verdict->pressure;
		outlook->latency_binds = verdict->latency_binds;
		outlook->uncertainty = verdict->uncertainty;
	}
	if (verdict->growth > outlook->growth)
		outlook->growth = verdict->growth;
}

/* The rate that was right then may not be now. */
static const int64_t forgotten_us = 600000000;

static void start_counting(struct regulator *regulator) {
	regulator->worked_us = regulator->rows = regulator->batches = regulator->by_rate = 0;
}

/* Who begins to work under something that is watched begins slowly. */
static void set_controlled(struct regulator *regulator, const struct outlook *outlook) {
	if (outlook->counts && !regulator->controlled) {
		control_init(&regulator->control, outlook->initial_rate_rows_s, outlook->batch_ms);
		if (regulator->remembered_rows_s > 0) {
			regulator->control.rate_rows_s = regulator->remembered_rows_s;
			regulator->control.batch_ms = regulator->remembered_ms;
			regulator->control.slow_start = false;
			regulator->remembered_rows_s = 0;
		}
		regulator->phases = (struct phases){0};
		start_counting(regulator);
	}
	regulator->controlled = outlook->counts;
}

static void step(struct regulator *regulator, const struct outlook *outlook, int64_t now_us) {
	struct control_input input = {.pressure = outlook->pressure,
	                              .latency_binds = outlook->latency_binds,
	                              .uncertainty = outlook->uncertainty,
	                              .growth = outlook->growth,
	                              .used_rows_s = (double)regulator->rows * 1e6 / (double)regulator->worked_us,
	                              .duty_bound = regulator->by_rate * 2 < regulator->batches,
	                              .batch_ms = outlook->batch_ms,
	                              .latency_watched = outlook->latency};
	control_tick(&regulator->control, &input, now_us);
	start_counting(regulator);
}

void regulate(struct regulator *regulator, const struct outlook *outlook, int64_t now_us, double random) {
	bool was_resting = regulator->resting;
	if (outlook->jobs == 0) { /* between two claims of a job there is none: what was found out holds for a while */
		regulator->off = false;
		regulator->resting = true;
		return;
	}
	if (now_us - regulator->busy_us > forgotten_us)
		regulator->controlled = false;
	regulator->busy_us = now_us;
	set_controlled(regulator, outlook);
	regulator->off = outlook->learning || (outlook->latency && phases_off(&regulator->phases, now_us, random));
	regulator->resting = regulator->off || outlook->all_held;
	if (!was_resting && !regulator->resting)
		regulator->worked_us += now_us - regulator->looked_us;
	regulator->looked_us = now_us;
	if (regulator->controlled && regulator->worked_us >= control_tick_us)
		step(regulator, outlook, now_us);
}

void regulator_remember(struct regulator *regulator, double rate_rows_s, double batch_ms) {
	regulator->remembered_rows_s = rate_rows_s;
	regulator->remembered_ms = batch_ms;
}

void regulator_count(struct regulator *regulator, int64_t rows, bool by_rate) {
	regulator->rows += rows;
	regulator->batches++;
	regulator->by_rate += by_rate;
}
