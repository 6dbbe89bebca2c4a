#include "daemon/throttle/phases.h"

static const double every_us = 60e6, jitter = 0.2;
static const int64_t length_us = 6000000;

static void plan(struct phases *phases, int64_t from_us, double random) {
	phases->off_us = from_us + (int64_t)(every_us * (1 + jitter * (2 * random - 1))) - length_us;
	phases->on_us = phases->off_us + length_us;
}

bool phases_off(struct phases *phases, int64_t now_us, double random) {
	if (phases->off_us == 0 || now_us >= phases->on_us)
		plan(phases, now_us, random);
	return now_us >= phases->off_us;
}
