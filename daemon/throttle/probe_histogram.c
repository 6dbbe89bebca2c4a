/*
 * What the server itself counts of its statements' latencies, read once a second: the site's own statements, all of them. Ours
 * are left out where the server can do that (sql/mysql/histogram_leave_out.sql).
 */
#include "common/mem.h"
#include "common/text.h"
#include "daemon/base/clock.h"
#include "daemon/engine/dialect.h"
#include "daemon/engine/link.h"
#include "daemon/throttle/cumulative.h"
#include "daemon/throttle/probe.h"

#include <ev.h>
#include <stdlib.h>
#include <string.h>

static const double ask_every_s = 1;
/* Where the server has refused it, or can't tell. */
static const int64_t refused_pause_us = 10000000;
/* Without ours the number of statements a second says whether P95 can be told, and a baseline between two batches. */
static const double good_per_s = 15, few_per_s = 10;
static const int few_after = 5, rate_over_s = 30;
/* Much fewer than usual came back: those that were slow are still under way. */
static const double stalled_share = 0.05;
/* Counted over longer than that, nobody knows what we did meanwhile. */
static const int64_t longest_look_us = 3000000;
enum { ANSWER_TIMEOUT_MS = 1000 };

struct probe_histogram {
	struct probe probe;
	int64_t learn_us;
	struct link *link;
	char *url;
	ev_timer ask;
	bool lasts; /* `last` is what the server had counted at looked_us */
	struct cumulative last;
	int64_t looked_us;
	int64_t refused_us; /* 0: it is not */
	enum latency_mode mode;
	int looks; /* that gave a rate */
	double per_s;
	bool few;
	char why_not[200]; /* of histogram_state.sql; "" */
	enum histogram_worth worth;
	char lack[300];
	struct latency latency;
	struct reading reading;
};

static void set_unknown(struct probe_histogram *h, const char *why) {
	h->reading.state = READING_UNKNOWN;
	h->reading.good = 0;
	text_format(h->reading.why, sizeof h->reading.why, "%s", why);
}

static void begin_anew(struct probe_histogram *h) {
	h->lasts = false;
}

/* ---- what auto makes of it --------------------------------------------------------------------------------------- */

static void set_lack(struct probe_histogram *h, const char *lack) {
	if (h->worth != HISTOGRAM_USELESS)
		h->worth = HISTOGRAM_LACKS;
	text_format(h->lack, sizeof h->lack, "%s", lack);
}

static void set_refused(struct probe_histogram *h, const char *why, int64_t now_us) {
	set_unknown(h, why);
	set_lack(h, why);
	begin_anew(h);
	h->looks = 0;
	h->few = true;
	h->refused_us = now_us;
}

static void judge(struct probe_histogram *h, double statements, double seconds) {
	double weight = 1. / (h->looks < rate_over_s ? ++h->looks : rate_over_s);
	h->per_s += (statements / seconds - h->per_s) * weight;
	if (h->looks < few_after)
		return;
	h->few = h->per_s < (h->few ? good_per_s : few_per_s);
	if (h->few) {
		char lack[120];
		text_format(lack, sizeof lack, "%.1f statements a second of others tell too little: latency.source = \"canary\"",
		            h->per_s);
		set_lack(h, lack);
	} else if (h->worth != HISTOGRAM_USELESS) {
		h->worth = HISTOGRAM_GOOD;
	}
}

/* ---- a look ------------------------------------------------------------------------------------------------------ */

/* What we did all the time since the last one. */
static enum latency_mode mode_since(struct probe_histogram *h, int64_t now_us) {
	enum latency_mode mode = probe_mode(h->probe.host, now_us), before = h->mode;
	h->mode = mode;
	bool worked = h->probe.host->last_end_us >= h->looked_us;
	if (mode != before || now_us - h->looked_us > longest_look_us || (mode == LATENCY_IDLE && worked))
		return LATENCY_SETTLE;
	return mode;
}

static void estimate(struct probe_histogram *h, const struct histogram *since, enum latency_mode mode, int64_t now_us) {
	latency_merge(&h->latency, since, mode, now_us);
	if (h->latency.baseline.value <= 0 && latency_idle_us(&h->latency) >= h->learn_us)
		latency_end_phase(&h->latency, now_us);
	struct reading reading = h->reading;
	latency_estimate(&h->latency, now_us, &reading);
	if (reading.samples == 0) /* work has just begun: nothing is not 0 ms */
		return;
	reading_set_known(&reading, now_us);
	h->reading = reading;
}

/* A late estimate is one that nobody goes faster by, and that ages into not being known. */
static void take(struct probe_histogram *h, const struct histogram *since, enum latency_mode mode, int64_t now_us) {
	double seconds = (double)(now_us - h->looked_us) / 1e6;
	judge(h, (double)since->total, seconds);
	if ((double)since->total > h->per_s * seconds * stalled_share)
		estimate(h, since, mode, now_us);
	if (h->few && h->looks >= few_after && h->latency.baseline.value <= 0)
		set_unknown(h, h->lack);
}

static bool absorb_left_out(void *context, const struct engine_result *result) {
	struct probe_histogram *h = context;
	if (result->affected > 0) /* what they did until now was counted */
		begin_anew(h);
	return true;
}

static bool absorb_state(void *context, const struct engine_result *result) {
	struct probe_histogram *h = context;
	const char *source = engine_value(result, 0, 0), *without = engine_value(result, 0, 1), *why_not = engine_value(result, 0, 2);
	text_format(h->reading.source, sizeof h->reading.source, "%s", source != NULL ? source : "");
	if (without == NULL || strcmp(without, "true") != 0)
		h->worth = HISTOGRAM_USELESS;
	text_format(h->why_not, sizeof h->why_not, "%s", why_not != NULL ? why_not : "");
	return why_not == NULL;
}

static double number_at(const struct engine_result *result, int row, int column) {
	const char *text = engine_value(result, row, column);
	return text != NULL ? strtod(text, NULL) : 0;
}

static bool absorb_counts(void *context, const struct engine_result *result) {
	struct probe_histogram *h = context;
	int64_t now_us = clock_monotonic_us();
	autofree struct cumulative *now = mem_alloc(sizeof *now);
	for (int row = 0; row < result->nrows; row++)
		cumulative_set(now, (size_t)number_at(result, row, 0), number_at(result, row, 1), number_at(result, row, 2),
		               (uint64_t)number_at(result, row, 3));
	if (cumulative_is_coarse(now)) {
		text_format(h->why_not, sizeof h->why_not, "its buckets are too wide: query_response_time_range_base = 2, then a flush");
		return false;
	}
	enum latency_mode mode = mode_since(h, now_us);
	struct histogram since = {0};
	if (h->lasts && cumulative_since(&h->last, now, &since))
		take(h, &since, mode, now_us);
	h->last = *now;
	h->lasts = true;
	h->looked_us = now_us;
	return true;
}

static void looked(void *context, const struct transaction_result *result) {
	struct probe_histogram *h = context;
	int64_t now_us = clock_monotonic_us();
	char why[300];
	if (result->end == TRANSACTION_COMMITTED) {
		h->refused_us = 0;
	} else if (result->end == TRANSACTION_DECLINED) {
		set_refused(h, h->why_not, now_us);
	} else if (result->error == ENGINE_ERROR_PRIVILEGE) {
		text_format(why, sizeof why, "%s; it needs %s", result->message, h->probe.host->engine->dialect->histogram_needs);
		set_refused(h, why, now_us);
	} else if (result->end == TRANSACTION_REFUSED) {
		set_refused(h, result->message, now_us);
	} else {
		set_unknown(h, result->message);
	}
}

static void on_ask(struct ev_loop *loop, ev_timer *timer, int events) {
	(void)loop, (void)events;
	struct probe_histogram *h = timer->data;
	if (link_conn(h->link) == NULL || link_busy(h->link))
		return;
	if (h->refused_us > 0 && clock_monotonic_us() - h->refused_us < refused_pause_us)
		return;
	const struct dialect *dialect = h->probe.host->engine->dialect;
	struct transaction *t = transaction_new("histogram", NULL);
	transaction_add(t, "histogram_leave_out", dialect_sql(dialect, "histogram_leave_out"), NULL, absorb_left_out);
	transaction_add(t, "histogram_state", dialect_sql(dialect, "histogram_state"), NULL, absorb_state);
	transaction_add(t, "histogram_read", dialect_sql(dialect, "histogram_read"), NULL, absorb_counts);
	link_run(h->link, t, ANSWER_TIMEOUT_MS, ANSWER_TIMEOUT_MS, h, looked);
}

/* ---- the class --------------------------------------------------------------------------------------------------- */

static void link_changed(void *context, bool up, const char *why) {
	struct probe_histogram *h = context;
	begin_anew(h);
	h->refused_us = 0;
	if (!up)
		set_unknown(h, why);
}

static void start(struct probe *probe) {
	struct probe_histogram *h = (struct probe_histogram *)probe;
	const struct engine *engine = probe->host->engine;
	free(h->url);
	h->url = mem_dup(probe->host->target->url);
	if (engine->dialect->histogram_needs == NULL) {
		set_unknown(h, "this kind of server counts no latencies in a histogram: latency.source = \"canary\"");
		return;
	}
	set_unknown(h, "waiting for the first reading");
	begin_anew(h);
	h->looks = 0;
	h->few = true;
	h->link = link_new(probe->host->loop, engine, h->url, "backfilld histogram", link_changed, h);
	ev_timer_again(probe->host->loop, &h->ask);
}

static void stop(struct probe *probe) {
	struct probe_histogram *h = (struct probe_histogram *)probe;
	ev_timer_stop(probe->host->loop, &h->ask);
	link_free(h->link);
	h->link = NULL;
	set_unknown(h, "not watched: no running job of the target");
}

static void retarget(struct probe *probe) {
	struct probe_histogram *h = (struct probe_histogram *)probe;
	if (!probe->watching || strcmp(h->url, probe->host->target->url) == 0)
		return;
	stop(probe);
	start(probe);
}

static void read_latency(const struct probe *probe, const struct throttle_settings *settings, int64_t now_us,
                         struct readings *readings) {
	(void)now_us;
	const struct probe_histogram *h = (const struct probe_histogram *)probe;
	latency_add_reading(&h->latency, &h->reading, settings, readings);
}

static void free_probe(struct probe *probe) {
	struct probe_histogram *h = (struct probe_histogram *)probe;
	ev_timer_stop(probe->host->loop, &h->ask);
	link_free(h->link);
	free(h->url);
	free(h);
}

struct probe *probe_histogram_new(const struct probe_host *host, int64_t learn_us) {
	static const struct probe_class class = {
		.start = start, .stop = stop, .retarget = retarget, .read = read_latency, .free = free_probe};
	struct probe_histogram *h = mem_alloc(sizeof *h);
	h->probe = (struct probe){.class = &class, .host = host};
	h->learn_us = learn_us;
	h->worth = host->engine->dialect->histogram_needs != NULL ? HISTOGRAM_ASKED : HISTOGRAM_USELESS;
	h->reading = (struct reading){.probe = "latency",
	                              .what = "latency P95",
	                              .source = "histogram",
	                              .nature = READING_LATENCY,
	                              .unit = UNIT_MILLISECONDS,
	                              .period_us = (int64_t)(ask_every_s * 1e6)};
	ev_timer_init(&h->ask, on_ask, 0., ask_every_s);
	h->ask.data = h;
	return &h->probe;
}

enum histogram_worth probe_histogram_worth(const struct probe *probe) {
	return ((const struct probe_histogram *)probe)->worth;
}

struct baseline *probe_histogram_baseline(struct probe *probe) {
	return &((struct probe_histogram *)probe)->latency.baseline;
}

void probe_histogram_read_lack(const struct probe *probe, struct readings *readings) {
	const struct probe_histogram *h = (const struct probe_histogram *)probe;
	struct reading *reading = readings_add(readings, &h->reading);
	text_format(reading->probe, sizeof reading->probe, "histogram");
	text_format(reading->why, sizeof reading->why, "%s", h->lack);
	reading->state = READING_UNKNOWN;
	reading->counts = false;
}
