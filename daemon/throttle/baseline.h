/*
 * baseline.h: the site's latency without us, learned from phases in which we do nothing. One that was learned under our own load
 * would be worth nothing, so nothing else is ever taken for it. Pure.
 */
#ifndef BACKFILLD_BASELINE_H
#define BACKFILLD_BASELINE_H

#include <stdint.h>

enum { BASELINE_PHASES = 6 };

/* Zeroed: not known. */
struct baseline {
	double value;  /* in the unit of what was added; 0: not known */
	int64_t at_us; /* of the newest phase */
	struct {
		double value, weight;
		int64_t at_us;
	} phases[BASELINE_PHASES];
	int count, next;
};

/* A phase has ended: its estimate, and how much it weighs (its samples). */
void baseline_add(struct baseline *baseline, double value, double weight, int64_t now_us);
/* As it was when the daemon before us noted it: the only thing known until the next phase. */
void baseline_restore(struct baseline *baseline, double value, int64_t at_us);

#endif
