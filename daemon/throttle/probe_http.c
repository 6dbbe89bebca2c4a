/*
 * The site's latency as the site itself measures it, at a URL. No number, no answer in time, a refusal: it is unknown at once.
 */
#include "common/mem.h"
#include "common/text.h"
#include "daemon/base/clock.h"
#include "daemon/throttle/http_poll.h"
#include "daemon/throttle/latency_told.h"
#include "daemon/throttle/probe.h"

#include <stdlib.h>
#include <string.h>

static const double longest_ms = 3600e3; /* beyond it the unit is a mistake */

struct probe_http {
	struct probe probe;
	char *url, *path; /* url NULL: somebody took it away */
	enum latency_unit unit;
	int64_t learn_us;
	struct http_poll *poll;
	struct latency_told told;
	struct reading reading;
};

static void set_unknown(struct probe_http *http, const char *why) {
	http->reading.state = READING_UNKNOWN;
	http->reading.good = 0;
	text_format(http->reading.why, sizeof http->reading.why, "%s", why);
}

static void set_no_latency(struct probe_http *http, const struct http_value *value) {
	char why[200];
	if (value->kind == HTTP_VALUE_NUMBER)
		text_format(why, sizeof why, "the answer is %g %s, which is no latency", value->number,
		            http->unit == LATENCY_MS ? "ms" : "s");
	else
		text_format(why, sizeof why, "the answer has no number");
	set_unknown(http, value->why[0] != '\0' ? value->why : why);
}

static void told(void *context, const struct http_value *value) {
	struct probe_http *http = context;
	int64_t now_us = clock_monotonic_us();
	double ms = value->number * (http->unit == LATENCY_MS ? 1 : 1000);
	if (value->kind != HTTP_VALUE_NUMBER || ms <= 0 || ms > longest_ms) {
		set_no_latency(http, value);
		return;
	}
	latency_told_add(&http->told, ms, probe_mode(http->probe.host, now_us), now_us);
	if (http->told.baseline.value <= 0 && latency_told_idle_us(&http->told) >= http->learn_us)
		latency_told_end_phase(&http->told, now_us);
	if (!latency_told_estimate(&http->told, now_us, &http->reading))
		return;
	reading_set_known(&http->reading, now_us);
}

static void start(struct probe *probe) {
	struct probe_http *http = (struct probe_http *)probe;
	set_unknown(http, http->url != NULL ? "waiting for the first reading" : "there is no throttle.latency.url any more");
	if (http->url != NULL)
		http->poll = http_poll_new(probe->host->loop, probe->host->http, http->url, http->path, http->told.every_us, told, http);
}

static void stop(struct probe *probe) {
	struct probe_http *http = (struct probe_http *)probe;
	http_poll_free(http->poll);
	http->poll = NULL;
	set_unknown(http, "not watched: no running job of the target");
}

static void retarget(struct probe *probe) {
	(void)probe; /* its URL is the job's: with another one there is another probe */
}

static void read_latency(const struct probe *probe, const struct throttle_settings *settings, int64_t now_us,
                         struct readings *readings) {
	(void)now_us;
	const struct probe_http *http = (const struct probe_http *)probe;
	latency_add_limited(http->told.baseline.value, latency_told_idle_us(&http->told), &http->reading, settings, readings);
}

static void free_probe(struct probe *probe) {
	struct probe_http *http = (struct probe_http *)probe;
	http_poll_free(http->poll);
	free(http->url);
	free(http->path);
	free(http);
}

struct probe *probe_http_new(const struct probe_host *host, const struct throttle_settings *settings) {
	static const struct probe_class class = {
		.start = start, .stop = stop, .retarget = retarget, .read = read_latency, .free = free_probe};
	struct probe_http *http = mem_alloc(sizeof *http);
	http->probe = (struct probe){.class = &class, .host = host};
	http->url = mem_dup(settings->latency_url);
	http->path = mem_dup(settings->latency_path);
	http->unit = settings->latency_unit;
	http->learn_us = settings->latency_learn_ms * 1000;
	http->told.every_us = settings->latency_every_ms * 1000;
	http->told.window_us = settings->latency_window_ms * 1000;
	http->reading = (struct reading){.probe = "latency",
	                                 .what = "latency P95",
	                                 .nature = READING_LATENCY,
	                                 .unit = UNIT_MILLISECONDS,
	                                 .period_us = http->told.every_us};
	char place[HTTP_PLACE_BYTES] = "";
	if (http->url != NULL)
		http_place(http->url, place, sizeof place);
	text_format(http->reading.source, sizeof http->reading.source, "http %s", place);
	set_unknown(http, "not watched: no running job of the target");
	return &http->probe;
}

struct baseline *probe_http_baseline(struct probe *probe) {
	return &((struct probe_http *)probe)->told.baseline;
}

static uint32_t mix(uint32_t sum, const char *text) {
	for (; text != NULL && *text != '\0'; text++)
		sum = (sum ^ (unsigned char)*text) * 16777619U;
	return sum * 16777619U;
}

void probe_http_name(const struct probe *probe, char *out, size_t size) {
	const struct probe_http *http = (const struct probe_http *)probe;
	text_format(out, size, "%s %08x", http->reading.source, mix(mix(2166136261U, http->url), http->path));
}

static bool same_text(const char *a, const char *b) {
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

bool probe_http_is(const struct probe *probe, const struct throttle_settings *settings) {
	const struct probe_http *http = (const struct probe_http *)probe;
	return same_text(http->url, settings->latency_url) && same_text(http->path, settings->latency_path) &&
	       http->unit == settings->latency_unit && http->told.every_us == settings->latency_every_ms * 1000 &&
	       http->told.window_us == settings->latency_window_ms * 1000;
}
