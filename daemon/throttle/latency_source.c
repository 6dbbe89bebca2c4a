#include "daemon/throttle/latency_source.h"

#include "common/mem.h"
#include "common/text.h"

#include <stdlib.h>
#include <string.h>

/* What "auto" likes best comes first. */
enum kind { HTTP, HISTOGRAM, CANARY, KINDS };

struct source {
	enum kind kind;
	struct probe *probe;
	struct baseline *baseline; /* the probe's */
	char name[80];             /* as its baseline is kept */
	int users;
};

struct latency_reader {
	struct latency_sources *sources;
	const struct throttle_settings *settings; /* NULL: it does not work */
	struct source *has[KINDS];                /* what its settings allow; NULL: not that one */
	struct source *takes;                     /* one of those; NULL: none */
};

struct latency_sources {
	const struct probe_host *host;
	struct source **list;
	size_t count;
	struct latency_reader **readers;
	size_t nreaders;
	json_t *remembered; /* by their names; NULL: none */
	int64_t remembered_us;
};

/* ---- sources ----------------------------------------------------------------------------------------------------- */

static struct source *add_source(struct latency_sources *sources, enum kind kind, struct probe *probe, struct baseline *baseline,
                                 const char *name) {
	struct source *source = mem_alloc(sizeof *source);
	*source = (struct source){.kind = kind, .probe = probe, .baseline = baseline};
	text_format(source->name, sizeof source->name, "%s", name);
	sources->list = mem_resize(sources->list, sources->count + 1, sizeof(struct source *));
	sources->list[sources->count++] = source;
	double p95_ms = json_number_value(json_object_get(sources->remembered, name));
	if (p95_ms > 0)
		baseline_restore(baseline, p95_ms, sources->remembered_us);
	return source;
}

static void release(struct latency_sources *sources, struct source *source) {
	if (source == NULL || --source->users > 0)
		return;
	for (size_t i = 0; i < sources->count; i++)
		if (sources->list[i] == source)
			sources->list[i] = sources->list[--sources->count];
	source->probe->class->free(source->probe);
	free(source);
}

static struct source *http_for(struct latency_sources *sources, const struct throttle_settings *settings) {
	for (size_t i = 0; i < sources->count; i++)
		if (sources->list[i]->kind == HTTP && probe_http_is(sources->list[i]->probe, settings))
			return sources->list[i];
	struct probe *probe = probe_http_new(sources->host, settings);
	char name[80];
	probe_http_name(probe, name, sizeof name);
	return add_source(sources, HTTP, probe, probe_http_baseline(probe), name);
}

static struct source *histogram_for(struct latency_sources *sources, const struct throttle_settings *settings) {
	for (size_t i = 0; i < sources->count; i++)
		if (sources->list[i]->kind == HISTOGRAM)
			return sources->list[i];
	struct probe *probe = probe_histogram_new(sources->host, settings->latency_learn_ms * 1000);
	return add_source(sources, HISTOGRAM, probe, probe_histogram_baseline(probe), "histogram");
}

static struct source *canary_of(struct latency_sources *sources, const struct throttle_settings *settings,
                                const struct canary *canary) {
	for (size_t i = 0; i < sources->count; i++)
		if (sources->list[i]->kind == CANARY && probe_canary_is(sources->list[i]->probe, canary))
			return sources->list[i];
	struct probe *probe = probe_canary_new(sources->host, canary, settings->latency_rate, settings->latency_learn_ms * 1000);
	return add_source(sources, CANARY, probe, probe_canary_baseline(probe), probe_canary_source(probe));
}

static struct source *canary_for(struct latency_sources *sources, const struct throttle_settings *settings,
                                 const struct canary *canary) {
	if (settings->nlatency_queries == 0)
		return canary->nqueries > 0 ? canary_of(sources, settings, canary) : NULL;
	autofree char *about = mem_printf(settings->nlatency_queries == 1 ? "1 query" : "%zu queries", settings->nlatency_queries);
	struct canary own = {.queries = settings->latency_queries, .nqueries = settings->nlatency_queries, .about = about};
	return canary_of(sources, settings, &own);
}

/* ---- which of them a job takes ----------------------------------------------------------------------------------- */

static bool wants(const struct throttle_settings *settings, enum latency_source source) {
	return latency_is_watched(settings) && (settings->latency_source == source || settings->latency_source == LATENCY_AUTO);
}

/* Is it to be asked, since it is taken by now or may be some day? */
static bool may_take(const struct latency_reader *reader, const struct source *source) {
	if (source == reader->takes)
		return true;
	return source->kind == HISTOGRAM && source == reader->has[HISTOGRAM] && reader->settings != NULL &&
	       probe_histogram_worth(source->probe) != HISTOGRAM_USELESS;
}

static bool can_take(const struct latency_reader *reader, const struct source *source) {
	return source->kind != HISTOGRAM || reader->settings->latency_source == LATENCY_HISTOGRAM ||
	       probe_histogram_worth(source->probe) == HISTOGRAM_GOOD;
}

static void choose(struct latency_reader *reader) {
	if (reader->settings == NULL)
		return;
	reader->takes = NULL;
	for (int kind = 0; kind < KINDS && reader->takes == NULL; kind++)
		if (reader->has[kind] != NULL && can_take(reader, reader->has[kind]))
			reader->takes = reader->has[kind];
}

void latency_sources_choose(struct latency_sources *sources) {
	for (size_t i = 0; i < sources->nreaders; i++)
		choose(sources->readers[i]);
	for (size_t i = 0; i < sources->count; i++) {
		bool asked = false;
		for (size_t r = 0; r < sources->nreaders; r++)
			asked |= may_take(sources->readers[r], sources->list[i]);
		probe_watch(sources->list[i]->probe, asked);
	}
}

/* ---- what is read ------------------------------------------------------------------------------------------------ */

void latency_read(const struct latency_reader *reader, int64_t now_us, struct readings *readings) {
	const struct source *histogram = reader->has[HISTOGRAM], *takes = reader->takes;
	if (histogram != NULL && histogram != takes && probe_histogram_worth(histogram->probe) == HISTOGRAM_LACKS)
		probe_histogram_read_lack(histogram->probe, readings);
	if (takes != NULL)
		takes->probe->class->read(takes->probe, reader->settings, now_us, readings);
}

void latency_sources_read(const struct latency_sources *sources, const struct throttle_settings *settings, int64_t now_us,
                          struct readings *readings) {
	for (size_t i = 0; i < sources->count; i++) {
		const struct source *source = sources->list[i];
		if (source->kind == HISTOGRAM && probe_histogram_worth(source->probe) == HISTOGRAM_LACKS)
			probe_histogram_read_lack(source->probe, readings);
		else if (source->probe->watching)
			source->probe->class->read(source->probe, settings, now_us, readings);
	}
}

/* ---- what is kept ------------------------------------------------------------------------------------------------ */

json_t *latency_sources_baselines(const struct latency_sources *sources) {
	json_t *baselines = json_object();
	for (size_t i = 0; i < sources->count; i++)
		if (sources->list[i]->baseline->value > 0)
			json_object_set_new(baselines, sources->list[i]->name, json_real(sources->list[i]->baseline->value));
	return baselines;
}

void latency_sources_remember(struct latency_sources *sources, json_t *baselines, int64_t at_us) {
	json_decref(sources->remembered);
	sources->remembered = json_incref(baselines);
	sources->remembered_us = at_us;
}

/* ---- readers ----------------------------------------------------------------------------------------------------- */

struct latency_reader *latency_join(struct latency_sources *sources) {
	struct latency_reader *reader = mem_alloc(sizeof *reader);
	*reader = (struct latency_reader){.sources = sources};
	sources->readers = mem_resize(sources->readers, sources->nreaders + 1, sizeof(struct latency_reader *));
	sources->readers[sources->nreaders++] = reader;
	return reader;
}

void latency_leave(struct latency_reader *reader) {
	struct latency_sources *sources = reader->sources;
	for (size_t i = 0; i < sources->nreaders; i++)
		if (sources->readers[i] == reader)
			sources->readers[i] = sources->readers[--sources->nreaders];
	for (int kind = 0; kind < KINDS; kind++)
		release(sources, reader->has[kind]);
	free(reader);
}

/* The new ones before the old ones go: those that stay keep their baseline. */
void latency_configure(struct latency_reader *reader, const struct throttle_settings *settings, const struct canary *canary) {
	reader->settings = settings;
	if (settings == NULL)
		return;
	struct latency_sources *sources = reader->sources;
	/* Without a URL it is unknown, for whoever insists on it. */
	bool told = wants(settings, LATENCY_HTTP) && (settings->latency_url != NULL || settings->latency_source == LATENCY_HTTP);
	struct source *now[KINDS] = {
		[HTTP] = told ? http_for(sources, settings) : NULL,
		[HISTOGRAM] = !told && wants(settings, LATENCY_HISTOGRAM) ? histogram_for(sources, settings) : NULL,
		[CANARY] = !told && wants(settings, LATENCY_CANARY) ? canary_for(sources, settings, canary) : NULL,
	};
	for (int kind = 0; kind < KINDS; kind++) {
		if (now[kind] != NULL)
			now[kind]->users++;
		release(sources, reader->has[kind]);
		reader->has[kind] = now[kind];
	}
	choose(reader);
}

/* ---- from begin to end ------------------------------------------------------------------------------------------- */

struct latency_sources *latency_sources_new(const struct probe_host *host) {
	struct latency_sources *sources = mem_alloc(sizeof *sources);
	sources->host = host;
	return sources;
}

void latency_sources_free(struct latency_sources *sources) {
	json_decref(sources->remembered);
	free(sources->list);
	free(sources->readers);
	free(sources);
}

void latency_sources_retarget(struct latency_sources *sources) {
	for (size_t i = 0; i < sources->count; i++)
		sources->list[i]->probe->class->retarget(sources->list[i]->probe);
}
