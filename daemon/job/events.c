#include "daemon/job/events.h"

#include "common/mem.h"
#include "daemon/base/clock.h"

#include <stdlib.h>

struct subscription {
	int number;
	event_fn *fn;
	void *context;
};

struct events {
	struct subscription *subscriptions;
	size_t count;
	int last_number;
};

struct events *events_new(void) {
	return mem_alloc(sizeof(struct events));
}

void events_free(struct events *events) {
	if (events == NULL)
		return;
	free(events->subscriptions);
	free(events);
}

int events_subscribe(struct events *events, event_fn *fn, void *context) {
	events->subscriptions = mem_resize(events->subscriptions, events->count + 1, sizeof *events->subscriptions);
	events->subscriptions[events->count++] = (struct subscription){++events->last_number, fn, context};
	return events->last_number;
}

void events_unsubscribe(struct events *events, int number) {
	for (size_t i = 0; i < events->count; i++)
		if (events->subscriptions[i].number == number) {
			events->subscriptions[i] = events->subscriptions[--events->count];
			return;
		}
}

void events_publish(struct events *events, const struct event *event) {
	for (size_t i = 0; i < events->count; i++)
		events->subscriptions[i].fn(events->subscriptions[i].context, event);
}

static json_t *string_or_null(const char *text) {
	return text != NULL ? json_string(text) : json_null();
}

json_t *event_to_json(const struct event *event) {
	char at[40];
	clock_format(event->at_us, at, sizeof at);
	json_t *json = json_object();
	json_object_set_new(json, "seq", event->seq > 0 ? json_integer(event->seq) : json_null());
	json_object_set_new(json, "at", json_string(at));
	json_object_set_new(json, "event", json_string(event->event));
	json_object_set_new(json, "job", string_or_null(event->job));
	json_object_set_new(json, "target", string_or_null(event->target));
	json_object_set_new(json, "actor", string_or_null(event->actor));
	json_object_set_new(json, "reason", string_or_null(event->reason));
	json_object_set_new(json, "data", event->data != NULL ? json_deep_copy(event->data) : json_object());
	return json;
}
