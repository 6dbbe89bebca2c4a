/*
 * fake_ev.c: the few functions of libev that the job layer uses, over a virtual clock: nothing waits, and a seed gives
 * the same order of callbacks every time. #include it in a test; the program's own symbols win over those of libev.so.
 *
 * One `struct ev_loop` is one process: fake_ev_stall() stops it (SIGSTOP, a paused VM) while the others go on. Timers
 * that are due at the same moment fire in random order, as libev's heap promises none. Nothing else ever happens in a
 * loop: sockets, signals and files are not there.
 */
#include "common/mem.h"
#include "daemon/base/clock.h"

#include <assert.h>
#include <ev.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

struct fake_timer {
	ev_timer *watcher;
	double at;
};

struct ev_loop {
	struct ev_loop *next;
	struct fake_timer *timers;
	int count, capacity;
	double stalled_until;
};

static struct ev_loop *fake_loops;
static double fake_now_s;
static int64_t fake_now_us;
static double fake_wall_offset_s; /* the wall clock may be set; timers don't care */
static uint64_t fake_random_state;

static uint64_t random_next(void) { /* splitmix64 */
	uint64_t z = fake_random_state += 0x9e3779b97f4a7c15u;
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

/* 0 … n - 1 */
static int random_below(int n) {
	return (int)(random_next() % (uint64_t)n);
}

__attribute__((unused)) static double random_between(double low, double high) {
	return low + (high - low) * (double)(random_next() >> 11) / 9007199254740992.0;
}

/* True once in so many times. */
static bool once_in(int n) {
	return n > 0 && random_below(n) == 0;
}

static void fake_ev_set_now(double now_s) {
	fake_now_s = now_s;
	fake_now_us = (int64_t)(now_s * 1e6);
}

/* Seeds everything that is random, and sets the clocks (also clock.h's) to a fixed start. */
static void fake_ev_start(uint64_t seed) {
	fake_random_state = seed;
	srand48((long)(seed & 0x7fffffff));
	fake_ev_set_now(1000);
	clock_fake(&fake_now_us);
}

struct ev_loop *ev_loop_new(unsigned int flags) {
	(void)flags;
	struct ev_loop *loop = mem_alloc(sizeof *loop);
	loop->next = fake_loops;
	fake_loops = loop;
	return loop;
}

void ev_loop_destroy(struct ev_loop *loop) {
	/* A process that ends forgets its timers; one that is still there when its owner has freed everything is a leak. */
	struct ev_loop **at = &fake_loops;
	while (*at != loop)
		at = &(*at)->next;
	*at = loop->next;
	for (int i = 0; i < loop->count; i++)
		loop->timers[i].watcher->active = 0;
	free(loop->timers);
	free(loop);
}

ev_tstamp ev_now(struct ev_loop *loop) {
	(void)loop;
	return fake_now_s + fake_wall_offset_s;
}

void ev_timer_stop(struct ev_loop *loop, ev_timer *w) {
	w->pending = 0;
	if (w->active == 0)
		return;
	int i = w->active - 1;
	assert(i < loop->count && loop->timers[i].watcher == w);
	loop->timers[i] = loop->timers[--loop->count];
	loop->timers[i].watcher->active = i + 1;
	w->active = 0;
}

void ev_timer_start(struct ev_loop *loop, ev_timer *w) {
	if (w->active != 0)
		return;
	if (loop->count == loop->capacity) {
		loop->capacity = loop->capacity * 2 + 16;
		loop->timers = mem_resize(loop->timers, (size_t)loop->capacity, sizeof *loop->timers);
	}
	loop->timers[loop->count++] = (struct fake_timer){.watcher = w, .at = fake_now_s + (w->at > 0 ? w->at : 0)};
	w->active = loop->count;
}

void ev_timer_again(struct ev_loop *loop, ev_timer *w) {
	ev_timer_stop(loop, w);
	if (w->repeat <= 0)
		return;
	w->at = w->repeat;
	ev_timer_start(loop, w);
}

void ev_io_start(struct ev_loop *loop, ev_io *w) {
	(void)loop, (void)w;
}

void ev_io_stop(struct ev_loop *loop, ev_io *w) {
	(void)loop, (void)w;
}

__attribute__((unused)) static void fake_ev_stall(struct ev_loop *loop, double seconds) {
	loop->stalled_until = fake_now_s + seconds;
}

/* Goes to the next timer of any loop and fires it; false when there is none. */
static bool fake_ev_step(void) {
	struct ev_loop *from = NULL;
	ev_timer *next = NULL;
	double at = 0;
	int equals = 0;
	for (struct ev_loop *loop = fake_loops; loop != NULL; loop = loop->next)
		for (int i = 0; i < loop->count; i++) {
			double due = loop->timers[i].at > loop->stalled_until ? loop->timers[i].at : loop->stalled_until;
			if (due < fake_now_s)
				due = fake_now_s;
			if (next != NULL && due > at)
				continue;
			equals = next != NULL && due == at ? equals + 1 : 1;
			if (equals > 1 && !once_in(equals))
				continue;
			from = loop;
			next = loop->timers[i].watcher;
			at = due;
		}
	if (next == NULL)
		return false;
	fake_ev_set_now(at);
	ev_timer_stop(from, next);
	if (next->repeat > 0) {
		next->at = next->repeat;
		ev_timer_start(from, next);
	}
	next->cb(from, next, EV_TIMER);
	return true;
}
