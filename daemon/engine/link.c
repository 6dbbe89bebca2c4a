#include "daemon/engine/link.h"

#include "common/mem.h"
#include "common/text.h"
#include "daemon/base/clock.h"

#include <ev.h>
#include <stdlib.h>
#include <string.h>

static const double first_pause_s = 0.1, longest_pause_s = 5.0;
enum { CONNECT_TIMEOUT_S = 10 };

/* A transaction waiting for its turn, or running. */
struct errand {
	struct errand *next;
	struct link *link;
	struct transaction *transaction; /* ours until it runs; then it frees itself */
	int timeout_ms;
	transaction_done_fn *done;
	void *context;
	int64_t give_up_at_us; /* monotonic */
};

struct link {
	struct ev_loop *loop;
	const struct engine *engine;
	char *url, *application_name;
	link_changed_fn *changed;
	void *context;
	struct engine_connecting *connecting;
	struct engine_conn *conn;
	struct errand *running;
	struct errand *first, **last;
	ev_timer retry;   /* the pause before the next try */
	ev_timer kick;    /* starts a queued errand from the loop, never inside link_run */
	ev_timer give_up; /* the shortest patience of those that wait */
	double pause_s;
	char why[320];
};

static void start_connecting(struct link *link);
static void schedule(struct link *link);

static void end_lost(struct errand *errand, const char *why) {
	struct transaction_result result = {.end = TRANSACTION_LOST, .step = "connect", .broken = true};
	text_format(result.message, sizeof result.message, "%s", why);
	transaction_free(errand->transaction);
	if (errand->done != NULL)
		errand->done(errand->context, &result);
	free(errand);
}

static void drop_conn(struct link *link, const char *why) {
	text_format(link->why, sizeof link->why, "%s", why);
	engine_close(link->conn);
	link->conn = NULL;
	double jitter = 0.8 + 0.4 * drand48();
	ev_timer_stop(link->loop, &link->retry);
	ev_timer_set(&link->retry, link->pause_s * jitter, 0.);
	ev_timer_start(link->loop, &link->retry);
	link->pause_s = link->pause_s * 2 < longest_pause_s ? link->pause_s * 2 : longest_pause_s;
	schedule(link);
	link->changed(link->context, false, link->why);
}

static void lost(void *context, const char *message) {
	struct link *link = context;
	if (link->running == NULL)
		drop_conn(link, message);
}

static void connected(void *context, struct engine_conn *conn, const struct error *err) {
	struct link *link = context;
	link->connecting = NULL;
	if (conn == NULL) {
		drop_conn(link, err->message);
		return;
	}
	link->conn = conn;
	link->why[0] = '\0';
	engine_on_lost(conn, lost, link);
	schedule(link);
	link->changed(link->context, true, "");
}

static void start_connecting(struct link *link) {
	struct engine_connect_options options = {.application_name = link->application_name, .timeout_s = CONNECT_TIMEOUT_S};
	link->connecting = link->engine->connect(link->loop, link->url, &options, connected, link);
}

static void on_retry(struct ev_loop *loop, ev_timer *timer, int events) {
	(void)loop, (void)events;
	start_connecting(timer->data);
}

/* A transaction ended: was it the connection's end, too? */
static void errand_done(void *context, const struct transaction_result *result) {
	struct errand *errand = context;
	struct link *link = errand->link;
	link->running = NULL;
	if (!result->broken)
		link->pause_s = first_pause_s;
	schedule(link);
	transaction_done_fn *done = errand->done;
	void *done_context = errand->context;
	struct transaction_result copy = *result;
	free(errand);
	if (copy.broken)
		drop_conn(link, copy.message);
	if (done != NULL)
		done(done_context, &copy); /* last: the callee may free the link */
}

static void on_kick(struct ev_loop *loop, ev_timer *timer, int events) {
	(void)loop, (void)events;
	struct link *link = timer->data;
	if (link->conn == NULL || link->running != NULL || link->first == NULL)
		return;
	struct errand *errand = link->first;
	link->first = errand->next;
	if (link->first == NULL)
		link->last = &link->first;
	errand->next = NULL;
	link->running = errand;
	transaction_run(errand->transaction, link->conn, errand->timeout_ms, errand->context, errand_done, errand);
}

static void on_give_up(struct ev_loop *loop, ev_timer *timer, int events) {
	(void)loop, (void)events;
	struct link *link = timer->data;
	int64_t now_us = clock_monotonic_us();
	struct errand *expired = NULL, **last_expired = &expired;
	struct errand **at = &link->first;
	while (link->conn == NULL && *at != NULL) {
		struct errand *errand = *at;
		if (errand->give_up_at_us > now_us) {
			at = &errand->next;
			continue;
		}
		*at = errand->next;
		errand->next = NULL;
		*last_expired = errand;
		last_expired = &errand->next;
	}
	if (link->conn == NULL)
		link->last = at;
	schedule(link);
	autofree char *why = mem_dup(link->why[0] != '\0' ? link->why : "not connected yet");
	while (expired != NULL) { /* last: what they call may free the link */
		struct errand *errand = expired;
		expired = errand->next;
		end_lost(errand, why);
	}
}

static int64_t first_give_up_us(const struct link *link) {
	int64_t first = link->first->give_up_at_us;
	for (const struct errand *errand = link->first->next; errand != NULL; errand = errand->next)
		if (errand->give_up_at_us < first)
			first = errand->give_up_at_us;
	return first;
}

static void schedule(struct link *link) {
	ev_timer_stop(link->loop, &link->kick);
	ev_timer_stop(link->loop, &link->give_up);
	if (link->first == NULL)
		return;
	if (link->conn != NULL && link->running == NULL) {
		ev_timer_set(&link->kick, 0., 0.);
		ev_timer_start(link->loop, &link->kick);
	} else if (link->conn == NULL) {
		int64_t left_us = first_give_up_us(link) - clock_monotonic_us();
		ev_timer_set(&link->give_up, left_us > 0 ? (double)left_us / 1e6 : 0., 0.);
		ev_timer_start(link->loop, &link->give_up);
	}
}

struct link *link_new(struct ev_loop *loop, const struct engine *engine, const char *url, const char *application_name,
                      link_changed_fn *changed, void *context) {
	struct link *link = mem_alloc(sizeof *link);
	*link = (struct link){.loop = loop, .engine = engine, .changed = changed, .context = context, .pause_s = first_pause_s};
	link->url = mem_dup(url);
	link->application_name = mem_dup(application_name);
	link->last = &link->first;
	text_format(link->why, sizeof link->why, "connecting");
	ev_timer_init(&link->retry, on_retry, 0., 0.);
	ev_timer_init(&link->kick, on_kick, 0., 0.);
	ev_timer_init(&link->give_up, on_give_up, 0., 0.);
	link->retry.data = link->kick.data = link->give_up.data = link;
	start_connecting(link);
	return link;
}

void link_free(struct link *link) {
	if (link == NULL)
		return;
	ev_timer_stop(link->loop, &link->retry);
	ev_timer_stop(link->loop, &link->kick);
	ev_timer_stop(link->loop, &link->give_up);
	if (link->connecting != NULL)
		link->engine->connect_abandon(link->connecting);
	engine_close(link->conn);
	if (link->running != NULL) {
		transaction_abandon(link->running->transaction);
		link->running->transaction = NULL;
		end_lost(link->running, "closing");
	}
	while (link->first != NULL) {
		struct errand *errand = link->first;
		link->first = errand->next;
		end_lost(errand, "closing");
	}
	free(link->url);
	free(link->application_name);
	free(link);
}

struct engine_conn *link_conn(const struct link *link) {
	return link->conn;
}

bool link_busy(const struct link *link) {
	return link->running != NULL || link->first != NULL;
}

const char *link_why(const struct link *link) {
	return link->why;
}

void link_reset(struct link *link, const char *why) {
	if (link->conn == NULL)
		return;
	struct errand *running = link->running;
	if (running != NULL) {
		transaction_abandon(running->transaction);
		running->transaction = NULL;
		link->running = NULL;
	}
	drop_conn(link, why);
	if (running != NULL)
		end_lost(running, why);
}

void link_run(struct link *link, struct transaction *transaction, int timeout_ms, int wait_ms, void *context,
              transaction_done_fn *done) {
	struct errand *errand = mem_alloc(sizeof *errand);
	*errand = (struct errand){.link = link,
	                          .transaction = transaction,
	                          .timeout_ms = timeout_ms,
	                          .done = done,
	                          .context = context,
	                          .give_up_at_us = clock_monotonic_us() + (int64_t)wait_ms * 1000};
	*link->last = errand;
	link->last = &errand->next;
	schedule(link);
}
