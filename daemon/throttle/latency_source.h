/*
 * latency_source.h: where each job of a target reads the site's latency. Jobs that read the same share one probe, with its
 * baseline; what nobody reads rests; what baselines a daemon before us has found, they begin with.
 */
#ifndef BACKFILLD_LATENCY_SOURCE_H
#define BACKFILLD_LATENCY_SOURCE_H

#include "daemon/throttle/probe.h"

#include <jansson.h>

struct latency_sources; /* a target's */
struct latency_reader;  /* a job */

struct latency_sources *latency_sources_new(const struct probe_host *host);
/* Its readers have left. */
void latency_sources_free(struct latency_sources *sources);
void latency_sources_retarget(struct latency_sources *sources);
/* Each reader takes the best there is by now: to be called again and again. */
void latency_sources_choose(struct latency_sources *sources);
/* Adds all that is read, as these settings limit it. */
void latency_sources_read(const struct latency_sources *sources, const struct throttle_settings *settings, int64_t now_us,
                          struct readings *readings);

/* Baselines in ms by their source's name: a new reference. And those that somebody before us noted, at a time of the monotonic
 * clock: for sources that are new from now on. */
json_t *latency_sources_baselines(const struct latency_sources *sources);
void latency_sources_remember(struct latency_sources *sources, json_t *baselines, int64_t at_us);

struct latency_reader *latency_join(struct latency_sources *sources);
void latency_leave(struct latency_reader *reader);
/* Settings are borrowed. NULL: it works just now by none, but keeps what it reads: it may be back soon. */
void latency_configure(struct latency_reader *reader, const struct throttle_settings *settings, const struct canary *canary);
/* Adds what it reads; it has settings. */
void latency_read(const struct latency_reader *reader, int64_t now_us, struct readings *readings);

#endif
