/*
 * connecting.c: the loop and the thread share a struct attempt; whoever drops it last frees it. An abandoned thread finds out
 * when the client library returns, closes what it got and goes. Nobody ever waits for it, not even the end of the process.
 */
#include "daemon/engine/connecting.h"

#include "common/mem.h"
#include "daemon/base/thread.h"

#include <ev.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct attempt {
	pthread_mutex_t mutex;
	int references;
	bool abandoned; /* loop and async are gone */
	struct ev_loop *loop;
	ev_async *async;
	const struct connecting_method *method;
	void *plan;
	void *brought; /* set by the thread, taken by the loop */
};

struct engine_connecting {
	struct ev_loop *loop;
	ev_async async; /* the thread is done */
	ev_timer timer; /* client libraries count anew for each address; this one is for everything */
	struct attempt *attempt;
	engine_connected_fn *fn;
	void *context;
	char place[256];
	struct error err;
};

static void attempt_drop(struct attempt *attempt) {
	pthread_mutex_lock(&attempt->mutex);
	int left = --attempt->references;
	pthread_mutex_unlock(&attempt->mutex);
	if (left > 0)
		return;
	attempt->method->drop(attempt->brought);
	attempt->method->free_plan(attempt->plan);
	pthread_mutex_destroy(&attempt->mutex);
	free(attempt);
}

static void *connect_thread(void *argument) {
	struct attempt *attempt = argument;
	pthread_setname_np(pthread_self(), "connect"); /* for top -H, gdb and the tests */
	void *brought = attempt->method->connect(attempt->plan);
	pthread_mutex_lock(&attempt->mutex);
	attempt->brought = brought;
	if (!attempt->abandoned)
		ev_async_send(attempt->loop, attempt->async);
	pthread_mutex_unlock(&attempt->mutex);
	attempt_drop(attempt);
	return NULL;
}

static bool start_thread(struct attempt *attempt) {
	attempt->references++;
	bool started = thread_start_detached(connect_thread, attempt);
	if (!started)
		attempt->references--;
	return started;
}

/* Frees `connecting`; returns what the thread has brought, if anything. */
static void *connecting_end(struct engine_connecting *connecting) {
	struct attempt *attempt = connecting->attempt;
	void *brought = NULL;
	ev_async_stop(connecting->loop, &connecting->async);
	ev_timer_stop(connecting->loop, &connecting->timer);
	if (attempt != NULL) {
		pthread_mutex_lock(&attempt->mutex);
		attempt->abandoned = true;
		brought = attempt->brought;
		attempt->brought = NULL;
		pthread_mutex_unlock(&attempt->mutex);
		attempt_drop(attempt);
	}
	free(connecting);
	return brought;
}

static void thread_done(struct ev_loop *loop, ev_async *w, int revents) {
	(void)revents;
	struct engine_connecting *connecting = w->data;
	const struct connecting_method *method = connecting->attempt->method;
	engine_connected_fn *fn = connecting->fn;
	void *context = connecting->context;
	char place[sizeof connecting->place];
	memcpy(place, connecting->place, sizeof place);

	struct error err;
	struct engine_conn *conn = method->arrive(loop, connecting_end(connecting), &err);
	if (conn == NULL)
		error_prefix(&err, "cannot connect to %s", place);
	fn(context, conn, conn != NULL ? NULL : &err);
}

/* The time for everything is over, or it could not even begin. */
static void give_up(struct ev_loop *loop, ev_timer *w, int revents) {
	(void)loop, (void)revents;
	struct engine_connecting *connecting = w->data;
	engine_connected_fn *fn = connecting->fn;
	void *context = connecting->context;
	struct error err = connecting->err;
	connecting_abandon(connecting);
	fn(context, NULL, &err);
}

static struct attempt *attempt_new(struct engine_connecting *connecting, const struct connecting_plan *plan) {
	struct attempt *attempt = mem_alloc(sizeof *attempt);
	pthread_mutex_init(&attempt->mutex, NULL);
	attempt->references = 1;
	attempt->loop = connecting->loop;
	attempt->async = &connecting->async;
	attempt->method = plan->method;
	attempt->plan = plan->plan;
	return attempt;
}

struct engine_connecting *connecting_start(struct ev_loop *loop, const struct connecting_plan *plan, engine_connected_fn *fn,
                                           void *context) {
	struct engine_connecting *connecting = mem_alloc(sizeof *connecting);
	connecting->loop = loop;
	connecting->fn = fn;
	connecting->context = context;
	connecting->err = plan->err;
	memcpy(connecting->place, plan->place, sizeof connecting->place);
	ev_async_init(&connecting->async, thread_done);
	connecting->async.data = connecting;
	ev_async_start(loop, &connecting->async);

	double wait_s = 0; /* errors of the start are told from the loop, like all others */
	if (plan->plan != NULL) {
		connecting->attempt = attempt_new(connecting, plan);
		if (start_thread(connecting->attempt)) {
			wait_s = plan->timeout_s;
			error_set(&connecting->err, ERROR_TRY_AGAIN, "cannot connect to %s: no answer within %d s", plan->place,
			          plan->timeout_s);
		} else {
			error_set(&connecting->err, ERROR_TRY_AGAIN, "cannot connect to %s: no thread could be started", plan->place);
		}
	}
	ev_now_update(loop); /* the loop's time may lie behind */
	ev_timer_init(&connecting->timer, give_up, wait_s, 0.);
	connecting->timer.data = connecting;
	ev_timer_start(loop, &connecting->timer);
	return connecting;
}

void connecting_abandon(struct engine_connecting *connecting) {
	if (connecting == NULL)
		return;
	struct attempt *attempt = connecting->attempt;
	const struct connecting_method *method = attempt != NULL ? attempt->method : NULL;
	void *brought = connecting_end(connecting);
	if (method != NULL)
		method->drop(brought);
}
