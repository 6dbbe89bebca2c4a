#include "daemon/throttle/probe.h"

/* So long the server may still feel our last batch. */
static const int64_t settles_us = 1000000;

void probe_watch(struct probe *probe, bool watching) {
	if (probe->watching == watching)
		return;
	probe->watching = watching;
	(watching ? probe->class->start : probe->class->stop)(probe);
}

enum latency_mode probe_mode(const struct probe_host *host, int64_t now_us) {
	if (!host->resting || host->in_flight > 0)
		return LATENCY_WORK;
	return now_us - host->last_end_us >= settles_us ? LATENCY_IDLE : LATENCY_SETTLE;
}
