/*
 * phases.h: when nothing is to be done, so that the site's latency without us can be learned: again and again a short while, at
 * moments that don't keep step with anything. Pure.
 */
#ifndef BACKFILLD_PHASES_H
#define BACKFILLD_PHASES_H

#include <stdbool.h>
#include <stdint.h>

/* Zeroed: it begins anew. */
struct phases {
	int64_t off_us; /* when the next one begins, or the present one began; 0: none is planned */
	int64_t on_us;  /* when that one ends */
};

/* Is this such a moment? `random` within 0…1, for the next one if this one is over. */
bool phases_off(struct phases *phases, int64_t now_us, double random);

#endif
