#include "daemon/throttle/probe.h"

/* So long the server may still feel our last batch. */
static const int64_t settles_us = 1000000;

enum latency_mode probe_mode(const struct probe_host *host, int64_t now_us) {
	if (!host->resting || host->in_flight > 0)
		return LATENCY_WORK;
	return now_us - host->last_end_us >= settles_us ? LATENCY_IDLE : LATENCY_SETTLE;
}
