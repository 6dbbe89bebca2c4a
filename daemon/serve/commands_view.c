#include "common/mem.h"
#include "daemon/job/job.h"
#include "daemon/job/job_state.h"
#include "daemon/serve/commands_internal.h"

#include <stdlib.h>
#include <string.h>

static void set_default(json_t *object, const char *key, json_t *value) {
	if (json_object_get(object, key) == NULL)
		json_object_set_new(object, key, value);
	else
		json_decref(value);
}

void commands_complete_job(struct commands *commands, json_t *o) {
	const char *id = json_string_value(json_object_get(o, "id"));
	const char *target_name = json_string_value(json_object_get(o, "target"));
	struct target *target = scheduler_find_target(commands->scheduler, target_name);
	struct job *job = target != NULL ? target_find_job(target, id) : NULL;
	json_t *rows = json_object_get(o, "rows");
	json_t *estimated = json_object_get(rows, "estimated");
	int64_t scanned = json_integer_value(json_object_get(rows, "scanned"));
	bool done = strcmp(json_string_value(json_object_get(o, "state")), "completed") == 0;
	double progress = plan_progress(scanned, json_is_integer(estimated) ? json_integer_value(estimated) : -1, done);
	json_object_set_new(o, "progress", progress >= 0 ? json_real(progress) : json_null());
	if (job != NULL)
		job_add_live(job, o);
	set_default(o, "rate_rows_s", json_null());
	set_default(o, "eta_s", json_null());
	set_default(o, "batch", json_pack("{s:n, s:n, s:n}", "rows", "ms", "delay_ms"));
	set_default(o, "throttle", json_pack("{s:b, s:n, s:n, s:n}", "held", 0, "reason", "probe", "pressure"));
	set_default(o, "workers", json_integer(1));
	set_default(o, "windows", json_null());
	set_default(o, "timezone", json_null());
}

/* --- list --- */

struct listing {
	struct commands *commands;
	struct call *call;
};

static void listed(void *context, json_t *rows, json_t *warnings, const struct error *err) {
	struct listing *listing = context;
	(void)err;
	size_t i;
	json_t *job;
	json_array_foreach(rows, i, job) {
		commands_complete_job(listing->commands, job);
	}
	call_reply(listing->call, json_pack("{s:O, s:O}", "jobs", rows, "warnings", warnings));
	free(listing);
}

void command_list(struct commands *commands, struct call *call) {
	const char *target = call_string(call, "target"), *state = call_string(call, "state");
	struct error err;
	enum job_state known;
	if (state != NULL && !job_state_parse(state, &known)) {
		error_set(&err, ERROR_USAGE, "there is no state %s", state);
		error_hint(&err, "pending, running, paused, completed, failed, cancelled, rolled_back");
		call_fail(call, &err);
		return;
	}
	if (target != NULL && scheduler_find_target(commands->scheduler, target) == NULL) {
		error_set(&err, ERROR_USAGE, "there is no target %s", target);
		error_hint(&err, "`backfillctl targets` lists them");
		call_fail(call, &err);
		return;
	}
	struct listing *listing = mem_alloc(sizeof *listing);
	*listing = (struct listing){.commands = commands, .call = call};
	struct gather_question question = {.sql = "job_list", .params = {NULL, state}, .only_target = target};
	gather_start(commands->scheduler, &question, listed, listing);
}

/* --- one job --- */

struct search {
	struct commands *commands;
	struct call *call;
	commands_found_fn *found;
};

static void fail_not_found(struct call *call, json_t *warnings, const struct error *last) {
	struct error err;
	if (json_array_size(warnings) == 0) {
		error_set(&err, ERROR_USAGE, "there is no job %s", call_string(call, "job"));
		error_hint(&err, "`backfillctl list` shows all of them");
	} else {
		error_set(&err, last->code, "job %s was not found: %s", call_string(call, "job"), last->message);
		error_hint(&err, "%s", last->hint);
	}
	call_fail(call, &err);
}

static void searched(void *context, json_t *rows, json_t *warnings, const struct error *err) {
	struct search *search = context;
	json_t *job = json_array_get(rows, 0);
	struct target *target = NULL;
	if (job != NULL)
		target = scheduler_find_target(search->commands->scheduler, json_string_value(json_object_get(job, "target")));
	if (target == NULL)
		fail_not_found(search->call, warnings, err);
	else
		search->found(search->commands, search->call, target, job);
	free(search);
}

void commands_find_job(struct commands *commands, struct call *call, commands_found_fn *found) {
	struct error err;
	const char *id = call_string(call, "job");
	if (id == NULL) {
		error_set(&err, ERROR_USAGE, "%s needs the parameter \"job\", a string", call_method(call));
		call_fail(call, &err);
		return;
	}
	struct search *search = mem_alloc(sizeof *search);
	*search = (struct search){.commands = commands, .call = call, .found = found};
	struct gather_question question = {.sql = "job_list", .params = {id, NULL}};
	gather_start(commands->scheduler, &question, searched, search);
}

static void show_found(struct commands *commands, struct call *call, struct target *target, json_t *job) {
	(void)target;
	commands_complete_job(commands, job);
	call_reply(call, json_incref(job));
}

void command_show(struct commands *commands, struct call *call) {
	commands_find_job(commands, call, show_found);
}

/* --- throttle --- */

static void throttle_found(struct commands *commands, struct call *call, struct target *target, json_t *o) {
	(void)commands;
	struct job *job = target_find_job(target, json_string_value(json_object_get(o, "id")));
	call_reply(call, throttle_readings(target_throttle(target), job != NULL ? job_throttle_user(job) : NULL));
}

void command_throttle(struct commands *commands, struct call *call) {
	if (call_string(call, "job") != NULL) {
		commands_find_job(commands, call, throttle_found);
		return;
	}
	json_t *all = json_array();
	for (size_t i = 0; i < scheduler_target_count(commands->scheduler); i++) {
		struct target *target = scheduler_target_at(commands->scheduler, i);
		json_t *readings = throttle_readings(target_throttle(target), NULL), *reading;
		size_t j;
		json_array_foreach(readings, j, reading) {
			json_object_set_new(reading, "target", json_string(target_config(target)->name));
		}
		json_array_extend(all, readings);
		json_decref(readings);
	}
	call_reply(call, all);
}

/* --- events --- */

enum { EVENTS_DEFAULT_LIMIT = 1000, EVENTS_MAX_LIMIT = 10000 };

static int by_time(const void *a, const void *b) {
	const json_t *const *left = a, *const *right = b;
	int order = strcmp(json_string_value(json_object_get(*left, "at")), json_string_value(json_object_get(*right, "at")));
	if (order != 0)
		return order;
	json_int_t l = json_integer_value(json_object_get(*left, "seq")), r = json_integer_value(json_object_get(*right, "seq"));
	return (l > r) - (l < r);
}

static void events_gathered(void *context, json_t *rows, json_t *warnings, const struct error *err) {
	struct call *call = context;
	if (json_array_size(rows) == 0 && json_array_size(warnings) > 0) {
		call_fail(call, err);
		return;
	}
	size_t count = json_array_size(rows);
	json_t **sorted = mem_alloc((count + 1) * sizeof *sorted);
	for (size_t i = 0; i < count; i++)
		sorted[i] = json_array_get(rows, i);
	qsort(sorted, count, sizeof *sorted, by_time);
	json_t *result = json_array();
	for (size_t i = 0; i < count; i++)
		json_array_append(result, sorted[i]);
	free(sorted);
	call_reply(call, result);
}

void command_events(struct commands *commands, struct call *call) {
	const json_t *limit = json_object_get(call_params(call), "limit");
	json_int_t wanted = json_is_integer(limit) ? json_integer_value(limit) : EVENTS_DEFAULT_LIMIT;
	if (wanted < 1 || wanted > EVENTS_MAX_LIMIT)
		wanted = EVENTS_MAX_LIMIT;
	autofree char *text = mem_printf("%lld", (long long)wanted);
	struct gather_question question = {.sql = "event_list", .params = {call_string(call, "job"), text}};
	gather_start(commands->scheduler, &question, events_gathered, call);
}

void command_follow(struct commands *commands, struct call *call) {
	(void)commands;
	call_follow(call, call_string(call, "job"));
	call_reply(call, json_pack("{s:b}", "following", 1));
}
