#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "daemon/job/events.h"

#include <stdio.h>
#include <string.h>

static char heard[200];

static void hear(void *context, const struct event *event) {
	size_t length = strlen(heard);
	snprintf(heard + length, sizeof heard - length, "%s:%s ", (const char *)context, event->event);
}

static void subscribers_hear_in_order(void **state) {
	(void)state;
	heard[0] = '\0';
	struct events *events = events_new();
	events_publish(events, &(struct event){.event = "nobody"});
	int a = events_subscribe(events, hear, (char *)"a");
	int b = events_subscribe(events, hear, (char *)"b");
	assert_int_not_equal(a, b);
	events_publish(events, &(struct event){.event = "one"});
	events_publish(events, &(struct event){.event = "two"});
	assert_string_equal(heard, "a:one b:one a:two b:two ");
	events_free(events);
}

static void unsubscribed_hear_no_more(void **state) {
	(void)state;
	heard[0] = '\0';
	struct events *events = events_new();
	int a = events_subscribe(events, hear, (char *)"a");
	int b = events_subscribe(events, hear, (char *)"b");
	events_unsubscribe(events, a);
	events_unsubscribe(events, 4711); /* there is none */
	events_publish(events, &(struct event){.event = "one"});
	int c = events_subscribe(events, hear, (char *)"c");
	assert_true(c != a && c != b); /* numbers are not used again */
	events_unsubscribe(events, b);
	events_publish(events, &(struct event){.event = "two"});
	assert_string_equal(heard, "b:one c:two ");
	events_free(events);
	events_free(NULL);
}

static void json_has_every_field(void **state) {
	(void)state;
	json_t *data = json_pack("{s:i}", "epoch", 3);
	const struct event event = {.seq = 12,
	                            .at_us = 1000000,
	                            .event = "owner.claimed",
	                            .job = "j",
	                            .target = "t",
	                            .actor = "backfilld",
	                            .reason = "why",
	                            .data = data};
	json_t *json = event_to_json(&event);
	json_t *expected =
		json_pack("{s:i, s:s, s:s, s:s, s:s, s:s, s:s, s:{s:i}}", "seq", 12, "at", "1970-01-01T00:00:01.000Z", "event",
	              "owner.claimed", "job", "j", "target", "t", "actor", "backfilld", "reason", "why", "data", "epoch", 3);
	assert_true(json_equal(json, expected));
	json_object_set_new(json_object_get(json, "data"), "epoch", json_integer(4)); /* a copy: the event's is untouched */
	assert_int_equal(json_integer_value(json_object_get(data, "epoch")), 3);
	json_decref(json);
	json_decref(expected);
	json_decref(data);
}

static void unknown_fields_are_null(void **state) {
	(void)state;
	json_t *json = event_to_json(&(struct event){.event = "target.up", .actor = "backfilld"});
	assert_true(json_is_null(json_object_get(json, "seq"))); /* not stored */
	assert_true(json_is_null(json_object_get(json, "job")));
	assert_true(json_is_null(json_object_get(json, "target")));
	assert_true(json_is_null(json_object_get(json, "reason")));
	assert_true(json_is_object(json_object_get(json, "data")));
	assert_int_equal(json_object_size(json), 8);
	json_decref(json);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(subscribers_hear_in_order),
		cmocka_unit_test(unsubscribed_hear_no_more),
		cmocka_unit_test(json_has_every_field),
		cmocka_unit_test(unknown_fields_are_null),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
