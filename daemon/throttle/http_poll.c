#include "daemon/throttle/http_poll.h"

#include "common/mem.h"

#include <ev.h>
#include <stdlib.h>

enum { ANSWER_TIMEOUT_MS = 1000, ANSWER_BYTES = 256 * 1024 };

struct http_poll {
	struct ev_loop *loop;
	struct http_client *client;
	char *url, *path;
	http_poll_fn *fn;
	void *context;
	struct http_request *request; /* NULL: none is under way */
	ev_timer ask;
};

static void answered(void *context, const struct http_response *response) {
	struct http_poll *poll = context;
	poll->request = NULL;
	struct http_value value = http_value_of(response, poll->path);
	poll->fn(poll->context, &value);
}

static void on_ask(struct ev_loop *loop, ev_timer *timer, int events) {
	(void)loop, (void)events;
	struct http_poll *poll = timer->data;
	if (poll->request != NULL)
		return;
	struct http_call call = {.url = poll->url, .timeout_ms = ANSWER_TIMEOUT_MS, .max_bytes = ANSWER_BYTES};
	poll->request = http_get(poll->client, &call, answered, poll);
}

struct http_poll *http_poll_new(struct ev_loop *loop, struct http_client *client, const char *url, const char *path,
                                int64_t every_us, http_poll_fn *fn, void *context) {
	struct http_poll *poll = mem_alloc(sizeof *poll);
	*poll = (struct http_poll){
		.loop = loop, .client = client, .url = mem_dup(url), .path = mem_dup(path), .fn = fn, .context = context};
	ev_timer_init(&poll->ask, on_ask, 0., (double)every_us / 1e6);
	poll->ask.data = poll;
	ev_timer_start(loop, &poll->ask);
	return poll;
}

void http_poll_free(struct http_poll *poll) {
	if (poll == NULL)
		return;
	ev_timer_stop(poll->loop, &poll->ask);
	http_cancel(poll->request);
	free(poll->url);
	free(poll->path);
	free(poll);
}
