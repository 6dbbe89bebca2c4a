/*
 * Queries of our own, timed as the site would feel them: sent at a fixed rate, whether the one before was fast or slow. Where one
 * is late because the one before it hung, the time that it would have taken counts, too (histogram.h).
 */
#include "common/mem.h"
#include "common/text.h"
#include "daemon/base/clock.h"
#include "daemon/engine/link.h"
#include "daemon/throttle/probe.h"

#include <ev.h>
#include <stdlib.h>
#include <string.h>

static const double estimate_every_s = 1;
enum { ANSWER_TIMEOUT_MS = 1000 };

struct probe_canary {
	struct probe probe;
	char **queries, **params;
	size_t nqueries, nparams;
	double per_second;
	int64_t learn_us;
	struct link *link;
	char *url;
	ev_timer send, estimate;
	size_t next;
	int64_t sent_us;
	int64_t answers; /* since the last estimate */
	struct latency latency;
	struct reading reading;
};

static void set_unknown(struct probe_canary *canary, const char *why) {
	canary->reading.state = READING_UNKNOWN;
	canary->reading.good = 0;
	canary->answers = 0;
	text_format(canary->reading.why, sizeof canary->reading.why, "%s", why);
}

static void answered(void *context, const struct transaction_result *result) {
	struct probe_canary *canary = context;
	int64_t now_us = clock_monotonic_us(), took_us = now_us - canary->sent_us;
	enum latency_mode mode = probe_mode(canary->probe.host, now_us);
	if (result->end != TRANSACTION_COMMITTED) {
		char why[200];
		text_format(why, sizeof why, "canary query: %s", result->message);
		set_unknown(canary, why);
		if (took_us < (int64_t)ANSWER_TIMEOUT_MS * 1000)
			return;
	} else {
		canary->answers++;
	}
	latency_add(&canary->latency, took_us, (int64_t)(1e6 / canary->per_second), mode, now_us);
}

static void on_send(struct ev_loop *loop, ev_timer *timer, int events) {
	(void)loop, (void)events;
	struct probe_canary *canary = timer->data;
	if (link_conn(canary->link) == NULL || link_busy(canary->link))
		return;
	struct transaction *t = transaction_new("canary", NULL);
	struct statement *s = transaction_add(t, "canary", canary->queries[canary->next], NULL, NULL);
	canary->next = (canary->next + 1) % canary->nqueries;
	for (size_t i = 0; i < canary->nparams; i++)
		statement_add_text(s, canary->params[i]);
	canary->sent_us = clock_monotonic_us();
	link_run(canary->link, t, ANSWER_TIMEOUT_MS, ANSWER_TIMEOUT_MS, canary, answered);
}

/* The estimate costs more than a look at it, and says little more often. */
static void on_estimate(struct ev_loop *loop, ev_timer *timer, int events) {
	(void)loop, (void)events;
	struct probe_canary *canary = timer->data;
	if (canary->answers == 0)
		return;
	int64_t now_us = clock_monotonic_us();
	canary->answers = 0;
	reading_set_known(&canary->reading, now_us);
	if (canary->latency.baseline.value <= 0 && latency_idle_us(&canary->latency) >= canary->learn_us)
		latency_end_phase(&canary->latency, now_us);
	latency_estimate(&canary->latency, now_us, &canary->reading);
}

static void link_changed(void *context, bool up, const char *why) {
	struct probe_canary *canary = context;
	if (!up)
		set_unknown(canary, why);
}

static void start(struct probe *probe) {
	struct probe_canary *canary = (struct probe_canary *)probe;
	set_unknown(canary, "waiting for the first reading");
	free(canary->url);
	canary->url = mem_dup(probe->host->target->url);
	canary->link = link_new(probe->host->loop, probe->host->engine, canary->url, "backfilld canary", link_changed, canary);
	ev_timer_again(probe->host->loop, &canary->send);
	ev_timer_again(probe->host->loop, &canary->estimate);
}

static void stop(struct probe *probe) {
	struct probe_canary *canary = (struct probe_canary *)probe;
	ev_timer_stop(probe->host->loop, &canary->send);
	ev_timer_stop(probe->host->loop, &canary->estimate);
	link_free(canary->link);
	canary->link = NULL;
	set_unknown(canary, "not watched: no running job of the target");
}

static void retarget(struct probe *probe) {
	struct probe_canary *canary = (struct probe_canary *)probe;
	if (!probe->watching || strcmp(canary->url, probe->host->target->url) == 0)
		return;
	stop(probe);
	start(probe);
}

static void read_latency(const struct probe *probe, const struct throttle_settings *settings, int64_t now_us,
                         struct readings *readings) {
	(void)now_us;
	const struct probe_canary *canary = (const struct probe_canary *)probe;
	latency_add_reading(&canary->latency, &canary->reading, settings, readings);
}

static void free_probe(struct probe *probe) {
	struct probe_canary *canary = (struct probe_canary *)probe;
	ev_timer_stop(probe->host->loop, &canary->send);
	ev_timer_stop(probe->host->loop, &canary->estimate);
	link_free(canary->link);
	mem_free_strings(canary->queries, canary->nqueries);
	mem_free_strings(canary->params, canary->nparams);
	free(canary->url);
	free(canary);
}

struct probe *probe_canary_new(const struct probe_host *host, const struct canary *what, double per_second, int64_t learn_us) {
	static const struct probe_class class = {
		.start = start, .stop = stop, .retarget = retarget, .read = read_latency, .free = free_probe};
	struct probe_canary *canary = mem_alloc(sizeof *canary);
	canary->probe = (struct probe){.class = &class, .host = host};
	canary->queries = mem_copy_strings(what->queries, what->nqueries);
	canary->nqueries = what->nqueries;
	canary->params = mem_copy_strings(what->params, what->nparams);
	canary->nparams = what->nparams;
	canary->per_second = per_second;
	canary->learn_us = learn_us;
	canary->reading = (struct reading){.probe = "latency",
	                                   .what = "latency P95",
	                                   .nature = READING_LATENCY,
	                                   .unit = UNIT_MILLISECONDS,
	                                   .period_us = (int64_t)(estimate_every_s * 1e6)};
	text_format(canary->reading.source, sizeof canary->reading.source, "canary %s", what->about);
	ev_timer_init(&canary->send, on_send, 0., 1 / per_second);
	ev_timer_init(&canary->estimate, on_estimate, 0., estimate_every_s);
	canary->send.data = canary->estimate.data = canary;
	return &canary->probe;
}

struct baseline *probe_canary_baseline(struct probe *probe) {
	return &((struct probe_canary *)probe)->latency.baseline;
}

const char *probe_canary_source(const struct probe *probe) {
	return ((const struct probe_canary *)probe)->reading.source;
}

bool probe_canary_is(const struct probe *probe, const struct canary *what) {
	const struct probe_canary *canary = (const struct probe_canary *)probe;
	if (canary->nqueries != what->nqueries)
		return false;
	for (size_t i = 0; i < what->nqueries; i++)
		if (strcmp(canary->queries[i], what->queries[i]) != 0)
			return false;
	return true;
}
