#include "ctl/views.h"

#include "common/mem.h"
#include "ctl/render_table.h"

#include <stdlib.h>
#include <string.h>

static const json_t *lookup(const json_t *object, const char *path) {
	const char *dot = strchr(path, '.');
	if (dot == NULL)
		return json_object_get(object, path);
	autofree char *group = mem_dup_n(path, (size_t)(dot - path));
	return json_object_get(json_object_get(object, group), dot + 1);
}

double view_number(const json_t *object, const char *path, double otherwise) {
	const json_t *value = lookup(object, path);
	return json_is_number(value) ? json_number_value(value) : otherwise;
}

const char *view_string(const json_t *object, const char *path) {
	return json_string_value(lookup(object, path));
}

static const char *string_or(const json_t *object, const char *path, const char *otherwise) {
	const char *text = view_string(object, path);
	return text != NULL ? text : otherwise;
}

/* "?" if it is not known. */
static char *count_of(const json_t *object, const char *path) {
	const json_t *value = lookup(object, path);
	return json_is_number(value) ? text_count((int64_t)json_number_value(value)) : mem_dup("?");
}

static char *ms_of(const json_t *object, const char *path) {
	const json_t *value = lookup(object, path);
	return json_is_number(value) ? text_milliseconds(json_number_value(value)) : mem_dup("?");
}

static char *seconds_of(const json_t *object, const char *path) {
	const json_t *value = lookup(object, path);
	return json_is_number(value) ? text_seconds(json_number_value(value)) : mem_dup("-");
}

static bool is_held(const json_t *job) {
	const char *state = string_or(job, "state", "");
	return strcmp(state, "running") == 0 && json_is_true(lookup(job, "throttle.held"));
}

static enum paint state_paint(const json_t *job) {
	const char *state = string_or(job, "state", "");
	if (strcmp(state, "failed") == 0)
		return PAINT_BAD;
	if (strcmp(state, "paused") == 0 || is_held(job))
		return PAINT_WARN;
	if (strcmp(state, "completed") == 0 || strcmp(state, "running") == 0)
		return PAINT_GOOD;
	return PAINT_NONE;
}

/* Why it does not move: the hold's reason, else the state's. */
static const char *job_reason(const json_t *job) {
	return is_held(job) ? view_string(job, "throttle.reason") : view_string(job, "reason");
}

static char *state_text(const json_t *job) {
	const char *state = string_or(job, "state", "?");
	return is_held(job) ? mem_printf("%s (held)", state) : mem_dup(state);
}

void view_bar(struct strbuf *out, double progress, size_t cells) {
	if (!(progress >= 0)) {
		strbuf_printf(out, "[%*s]     ?", (int)cells, "");
		return;
	}
	if (progress > 1)
		progress = 1;
	size_t full = (size_t)(progress * (double)cells);
	strbuf_add(out, "[");
	for (size_t i = 0; i < cells; i++)
		strbuf_add(out, i < full ? "#" : "-");
	/* 100.0 only when it is: 99.97 rounds down. */
	double percent = progress < 1 && progress > 0.999 ? 99.9 : progress * 100;
	strbuf_printf(out, "] %5.1f%%", percent);
}

static char *percent_text(const json_t *job) {
	double progress = view_number(job, "progress", -1);
	return progress < 0 ? mem_dup("?") : mem_printf("%.1f%%", progress < 1 && progress > 0.999 ? 99.9 : progress * 100);
}

static char *rate_text(const json_t *job) {
	double rate = view_number(job, "rate_rows_s", -1);
	return rate < 0 ? NULL : text_count((int64_t)(rate + 0.5));
}

static void add_row(struct table *table, const struct view *view, const json_t *job) {
	table_add(table, view_string(job, "id"), PAINT_NONE);
	table_add(table, view_string(job, "target"), PAINT_NONE);
	table_add(table, view_string(job, "table"), PAINT_NONE);
	autofree char *state = state_text(job);
	table_add(table, state, state_paint(job));
	table_add(table, view_string(job, "phase"), PAINT_NONE);
	table_take(table, percent_text(job));
	table_take(table, count_of(job, "rows.scanned"));
	table_take(table, rate_text(job));
	table_take(table, seconds_of(job, "eta_s"));
	if (view->wide) {
		table_take(table, count_of(job, "rows.changed"));
		table_take(table, count_of(job, "rows.quarantined"));
		table_take(table, count_of(job, "batches.committed"));
		table_add(table, view_string(job, "owner"), PAINT_NONE);
		table_add(table, view_string(job, "submitted_by"), PAINT_NONE);
		table_add(table, view_string(job, "submitted_at"), PAINT_NONE);
	}
	table_add(table, job_reason(job), PAINT_NONE);
}

void view_jobs(const struct view *view, const json_t *result, struct strbuf *out) {
	static const struct table_column narrow[] = {{"JOB", false},   {"TARGET", false}, {"TABLE", false},  {"STATE", false},
	                                             {"PHASE", false}, {"DONE", true},    {"SCANNED", true}, {"ROWS/S", true},
	                                             {"ETA", true},    {"REASON", false}};
	static const struct table_column wide[] = {
		{"JOB", false},   {"TARGET", false},       {"TABLE", false},        {"STATE", false},
		{"PHASE", false}, {"DONE", true},          {"SCANNED", true},       {"ROWS/S", true},
		{"ETA", true},    {"CHANGED", true},       {"QUARANTINED", true},   {"BATCHES", true},
		{"OWNER", false}, {"SUBMITTED BY", false}, {"SUBMITTED AT", false}, {"REASON", false}};
	const json_t *jobs = json_object_get(result, "jobs");
	if (json_array_size(jobs) == 0) {
		strbuf_add(out, "No jobs. `backfillctl submit FILE` makes one.\n");
		return;
	}
	struct table *table = view->wide ? table_new(wide, sizeof wide / sizeof wide[0], view->color)
	                                 : table_new(narrow, sizeof narrow / sizeof narrow[0], view->color);
	size_t i = 0;
	const json_t *job = NULL;
	json_array_foreach(jobs, i, job) {
		add_row(table, view, job);
	}
	table_render(table, out);
	table_free(table);
}

/* "  Label     text\n", cleaned. */
static void add_line(struct strbuf *out, const char *label, const char *text) {
	autofree char *clean = text_clean(text, 0);
	strbuf_printf(out, "  %-11s %s\n", label, clean);
}

static void add_state(const struct view *view, const json_t *job, struct strbuf *out) {
	autofree char *state = state_text(job);
	autofree char *painted = text_paint(state, state_paint(job), view->color);
	const char *phase = view_string(job, "phase");
	strbuf_printf(out, "  %-11s %s", "State", painted);
	if (phase != NULL)
		strbuf_printf(out, ", phase %s", phase);
	double round = view_number(job, "round", 0);
	if (round > 1)
		strbuf_printf(out, ", round %.0f", round);
	strbuf_add(out, "\n");
	const char *reason = view_string(job, "reason");
	if (reason != NULL && reason[0] != '\0')
		add_line(out, "Reason", reason);
}

static void add_progress(const json_t *job, struct strbuf *out) {
	autofree char *scanned = count_of(job, "rows.scanned");
	autofree char *estimated = count_of(job, "rows.estimated");
	autofree char *changed = count_of(job, "rows.changed");
	autofree char *conflicted = count_of(job, "rows.conflicted");
	autofree char *quarantined = count_of(job, "rows.quarantined");
	autofree char *rate = rate_text(job);
	autofree char *eta = seconds_of(job, "eta_s");
	autostrbuf bar = {0};
	view_bar(&bar, view_number(job, "progress", -1), 30);
	strbuf_printf(&bar, " of about %s rows", estimated);
	if (rate != NULL)
		strbuf_printf(&bar, ", %s rows/s", rate);
	if (strcmp(eta, "-") != 0)
		strbuf_printf(&bar, ", %s to go", eta);
	add_line(out, "Progress", bar.data);
	autofree char *rows =
		mem_printf("%s scanned, %s changed, %s conflicted, %s quarantined", scanned, changed, conflicted, quarantined);
	add_line(out, "Rows", rows);
}

static void add_batches(const json_t *job, struct strbuf *out) {
	autofree char *rows = count_of(job, "batch.rows");
	autofree char *ms = ms_of(job, "batch.ms");
	autofree char *delay = ms_of(job, "batch.delay_ms");
	autofree char *committed = count_of(job, "batches.committed");
	autofree char *failed = count_of(job, "batches.failed");
	autofree char *retried = count_of(job, "batches.retried");
	autofree char *split = count_of(job, "batches.split");
	autofree char *last = count_of(job, "batches.last_id");
	autofree char *size = mem_printf("%s rows, took %s, then %s pause", rows, ms, delay);
	if (json_is_number(lookup(job, "batch.rows"))) /* only the owner knows */
		add_line(out, "Batch", size);
	autofree char *text =
		mem_printf("%s committed (last id %s), %s failed, %s retried, %s split", committed, last, failed, retried, split);
	add_line(out, "Batches", text);
}

static void add_throttle(const json_t *job, struct strbuf *out) {
	if (json_is_true(lookup(job, "throttle.held")))
		add_line(out, "Throttle", string_or(job, "throttle.reason", "held"));
	else {
		const char *probe = view_string(job, "throttle.probe");
		double pressure = view_number(job, "throttle.pressure", 0);
		autofree char *text = view_string(job, "throttle.reason") != NULL ? mem_dup(view_string(job, "throttle.reason"))
		                      : probe != NULL && probe[0] != '\0' ? mem_printf("open; pressure %.2f (%s)", pressure, probe)
		                                                          : mem_dup("open");
		add_line(out, "Throttle", text);
	}
}

/* Only the owner knows them. */
static void add_windows(const json_t *job, struct strbuf *out) {
	const json_t *windows = json_object_get(job, "windows"), *window = NULL;
	const char *zone = string_or(job, "timezone", "");
	autostrbuf text = {0};
	size_t i = 0;
	json_array_foreach(windows, i, window) {
		strbuf_printf(&text, "%s%s", i == 0 ? "" : "; ", json_string_value(window));
	}
	if (i == 0)
		return;
	strbuf_printf(&text, " (%s)", zone[0] != '\0' ? zone : "the daemon's local time");
	add_line(out, "Windows", text.data);
}

static void add_people_and_times(const json_t *job, struct strbuf *out) {
	autofree char *table =
		mem_printf("%s on %s, %s", string_or(job, "table", "?"), string_or(job, "target", "?"), string_or(job, "kind", "?"));
	add_line(out, "Table", table);
	autofree char *owner = mem_printf("%.0f; owner %s, epoch %.0f", view_number(job, "workers", 1),
	                                  string_or(job, "owner", "nobody"), view_number(job, "epoch", 0));
	add_line(out, "Workers", owner);
	autofree char *submitted = mem_printf("%s by %s", string_or(job, "submitted_at", "?"), string_or(job, "submitted_by", "?"));
	add_line(out, "Submitted", submitted);
	if (view_string(job, "started_at") != NULL)
		add_line(out, "Started", view_string(job, "started_at"));
	if (view_string(job, "finished_at") != NULL)
		add_line(out, "Finished", view_string(job, "finished_at"));
	autofree char *running = seconds_of(job, "seconds.running");
	autofree char *held = seconds_of(job, "seconds.held");
	autofree char *paused = seconds_of(job, "seconds.paused");
	autofree char *time = mem_printf("running %s, held %s, paused %s", running, held, paused);
	add_line(out, "Time", time);
}

/* A key's text is JSON or a string; both read well as compact JSON without the quotes of a plain string. */
static char *key_text(const json_t *key) {
	if (key == NULL || json_is_null(key))
		return NULL;
	if (json_is_string(key))
		return mem_dup(json_string_value(key));
	return json_dumps(key, JSON_COMPACT | JSON_ENCODE_ANY);
}

static void add_segments(const struct view *view, const json_t *job, struct strbuf *out) {
	static const struct table_column columns[] = {{"SEGMENT", true}, {"AFTER", false},  {"POSITION", false}, {"THROUGH", false},
	                                              {"SCANNED", true}, {"CHANGED", true}, {"DONE", false}};
	const json_t *segments = json_object_get(job, "segments");
	if (json_array_size(segments) == 0)
		return;
	struct table *table = table_new(columns, sizeof columns / sizeof columns[0], view->color);
	size_t i = 0;
	const json_t *segment = NULL;
	json_array_foreach(segments, i, segment) {
		table_take(table, count_of(segment, "number"));
		table_take(table, key_text(json_object_get(segment, "after")));
		table_take(table, key_text(json_object_get(segment, "position")));
		table_take(table, key_text(json_object_get(segment, "through")));
		table_take(table, count_of(segment, "rows_scanned"));
		table_take(table, count_of(segment, "rows_changed"));
		table_add(table, json_is_true(json_object_get(segment, "done")) ? "yes" : "no", PAINT_NONE);
	}
	strbuf_add(out, "\n");
	table_render(table, out);
	table_free(table);
}

void view_job(const struct view *view, const json_t *job, struct strbuf *out) {
	autofree char *id = text_clean(string_or(job, "id", "?"), 0);
	strbuf_printf(out, "Job %s\n", id);
	add_state(view, job, out);
	add_progress(job, out);
	add_batches(job, out);
	add_throttle(job, out);
	add_windows(job, out);
	add_people_and_times(job, out);
	add_segments(view, job, out);
}

static void add_outcome(const struct view *view, const json_t *job, struct strbuf *out) {
	autofree char *id = text_clean(string_or(job, "id", "?"), 0);
	autofree char *state = state_text(job);
	autofree char *painted = text_paint(state, state_paint(job), view->color);
	strbuf_printf(out, "%s: %s\n", id, painted);
}

void view_submit(const struct view *view, const json_t *result, struct strbuf *out) {
	if (json_is_false(json_object_get(result, "created"))) {
		autofree char *id = text_clean(string_or(result, "id", "?"), 0);
		strbuf_printf(out, "%s was there already, with the same content\n", id);
	}
	add_outcome(view, result, out);
}

void view_action(const struct view *view, const json_t *result, struct strbuf *out) {
	const char *message = view_string(result, "message");
	if (message != NULL && message[0] != '\0') {
		view_message(view, result, out);
		return;
	}
	size_t i = 0;
	const json_t *job = NULL;
	json_array_foreach(json_object_get(result, "jobs"), i, job) {
		add_outcome(view, job, out);
	}
	if (json_array_size(json_object_get(result, "jobs")) == 0)
		strbuf_add(out, "No job was running.\n");
}

void view_message(const struct view *view, const json_t *result, struct strbuf *out) {
	(void)view;
	autofree char *message = text_clean(string_or(result, "message", "done"), 0);
	strbuf_printf(out, "%s\n", message);
	size_t i = 0;
	const json_t *file = NULL;
	json_array_foreach(json_object_get(result, "files"), i, file) {
		if (json_is_string(file))
			add_line(out, "File", json_string_value(file));
	}
}

void view_init(const struct view *view, const json_t *result, struct strbuf *out) {
	const char *sql = view_string(result, "sql");
	if (sql == NULL) {
		view_message(view, result, out);
		return;
	}
	strbuf_add(out, sql); /* for psql, not for eyes: unchanged */
	if (sql[0] != '\0' && sql[strlen(sql) - 1] != '\n')
		strbuf_add(out, "\n");
}

static void add_target(struct table *table, const struct view *view, const json_t *target) {
	const char *state = string_or(target, "state", "?");
	table_add(table, view_string(target, "name"), PAINT_NONE);
	table_add(table, state, strcmp(state, "up") == 0 ? PAINT_GOOD : PAINT_BAD);
	table_add(table, view_string(target, "role"), PAINT_NONE);
	table_add(table, view_string(target, "engine"), PAINT_NONE);
	table_add(table, view_string(target, "version"), PAINT_NONE);
	const char *control = string_or(target, "control_tables", "?");
	table_add(table, control, strcmp(control, "ok") == 0 ? PAINT_NONE : PAINT_WARN);
	bool stopped = json_is_true(json_object_get(target, "stopped"));
	table_add(table, stopped ? "yes" : "no", stopped ? PAINT_BAD : PAINT_NONE);
	if (view->wide) {
		table_add(table, view_string(target, "environment"), PAINT_NONE);
		table_take(table, count_of(target, "max_workers"));
		table_add(table, view_string(target, "server"), PAINT_NONE);
		table_add(table, view_string(target, "url"), PAINT_NONE);
		table_add(table, NULL, PAINT_NONE);
	}
	table_add(table, view_string(target, "reason"), PAINT_NONE);
}

static void add_replica(struct table *table, const struct view *view, const json_t *replica) {
	const char *state = string_or(replica, "state", "?");
	autofree char *name = mem_printf("└ %s", string_or(replica, "name", "?"));
	autofree char *lag = ms_of(replica, "lag_ms");
	autofree char *lag_text = mem_printf("lag %s", lag);
	table_add(table, name, PAINT_NONE);
	table_add(table, state, strcmp(state, "up") == 0 ? PAINT_GOOD : PAINT_BAD);
	table_add(table, "replica", PAINT_NONE);
	for (int i = 0; i < 4; i++)
		table_add(table, NULL, PAINT_NONE);
	if (view->wide) {
		for (int i = 0; i < 3; i++)
			table_add(table, NULL, PAINT_NONE);
		table_add(table, view_string(replica, "url"), PAINT_NONE);
		table_add(table, lag_text, PAINT_NONE);
	}
	const char *reason = view_string(replica, "reason");
	table_add(table, reason != NULL && reason[0] != '\0' ? reason : lag_text, PAINT_NONE);
}

void view_targets(const struct view *view, const json_t *targets, struct strbuf *out) {
	static const struct table_column narrow[] = {{"TARGET", false},  {"STATE", false},   {"ROLE", false},
	                                             {"ENGINE", false},  {"VERSION", false}, {"CONTROL TABLES", false},
	                                             {"STOPPED", false}, {"REASON", false}};
	static const struct table_column wide[] = {{"TARGET", false},  {"STATE", false},       {"ROLE", false},
	                                           {"ENGINE", false},  {"VERSION", false},     {"CONTROL TABLES", false},
	                                           {"STOPPED", false}, {"ENVIRONMENT", false}, {"WORKERS", true},
	                                           {"SERVER", false},  {"URL", false},         {"LAG", false},
	                                           {"REASON", false}};
	if (json_array_size(targets) == 0) {
		strbuf_add(out, "No targets. The daemon's configuration names them.\n");
		return;
	}
	struct table *table = view->wide ? table_new(wide, sizeof wide / sizeof wide[0], view->color)
	                                 : table_new(narrow, sizeof narrow / sizeof narrow[0], view->color);
	size_t i = 0;
	size_t j = 0;
	const json_t *target = NULL;
	const json_t *replica = NULL;
	json_array_foreach(targets, i, target) {
		add_target(table, view, target);
		json_array_foreach(json_object_get(target, "replicas"), j, replica) {
			add_replica(table, view, replica);
		}
	}
	table_render(table, out);
	table_free(table);
}

static char *reading_text(const json_t *reading, const char *key) {
	const json_t *value = json_object_get(reading, key);
	if (!json_is_number(value))
		return NULL;
	const char *unit = string_or(reading, "unit", "");
	if (strcmp(unit, "ms") == 0)
		return text_milliseconds(json_number_value(value));
	return mem_printf("%.6g%s%s", json_number_value(value), unit[0] != '\0' ? " " : "", unit);
}

static bool is_rate(const json_t *reading) {
	return strcmp(string_or(reading, "probe", ""), "rate") == 0;
}

/* What is made of the readings, before them: "orders: going faster (latency at 31 % of its room); 8,123 rows/s". */
static void add_rates(const json_t *readings, struct strbuf *out) {
	size_t i = 0;
	const json_t *reading = NULL;
	json_array_foreach(readings, i, reading) {
		if (!is_rate(reading))
			continue;
		const char *target = view_string(reading, "target"), *doing = view_string(reading, "reason");
		autofree char *rate = reading_text(reading, "value");
		strbuf_printf(out, "%s%s%s%s%s%s\n", target != NULL ? target : "", target != NULL ? ": " : "", doing != NULL ? doing : "",
		              rate != NULL ? "; " : "", rate != NULL ? rate : "", rate != NULL ? " are allowed" : "");
	}
	if (out->length > 0)
		strbuf_add(out, "\n");
}

void view_throttle(const struct view *view, const json_t *readings, struct strbuf *out) {
	static const struct table_column columns[] = {{"PROBE", false},  {"VALUE", true},   {"LIMIT", true},    {"BASELINE", true},
	                                              {"AGE", true},     {"SAMPLES", true}, {"PRESSURE", true}, {"STATE", false},
	                                              {"SOURCE", false}, {"REASON", false}};
	if (json_array_size(readings) == 0) {
		strbuf_add(out, "Nothing is watched: no replica is configured.\n");
		return;
	}
	add_rates(readings, out);
	struct table *table = table_new(columns, sizeof columns / sizeof columns[0], view->color);
	size_t i = 0;
	const json_t *reading = NULL;
	json_array_foreach(readings, i, reading) {
		const char *state = string_or(reading, "state", "unknown");
		if (is_rate(reading))
			continue;
		double pressure = view_number(reading, "pressure", -1);
		table_add(table, view_string(reading, "probe"), PAINT_NONE);
		table_take(table, reading_text(reading, "value"));
		table_take(table, reading_text(reading, "limit"));
		table_take(table, reading_text(reading, "baseline"));
		table_take(table, ms_of(reading, "age_ms"));
		table_take(table, count_of(reading, "samples"));
		table_take(table, pressure >= 0 ? mem_printf("%.2f", pressure) : NULL);
		table_add(table, state, strcmp(state, "ok") == 0 ? PAINT_GOOD : strcmp(state, "high") == 0 ? PAINT_BAD : PAINT_WARN);
		table_add(table, view_string(reading, "source"), PAINT_NONE);
		table_add(table, string_or(reading, "reason", view_string(reading, "detail")), PAINT_NONE);
	}
	table_render(table, out);
	table_free(table);
}

void view_event(const struct view *view, const json_t *event, struct strbuf *out) {
	autofree char *at = text_paint(string_or(event, "at", "?"), PAINT_DIM, view->color);
	autostrbuf text = {0};
	const char *target = view_string(event, "target");
	const char *job = view_string(event, "job");
	strbuf_printf(&text, "%-20s  %s", string_or(event, "event", "?"), job != NULL ? job : target != NULL ? target : "-");
	if (view_string(event, "actor") != NULL)
		strbuf_printf(&text, "  by %s", view_string(event, "actor"));
	const char *reason = view_string(event, "reason");
	if (reason != NULL && reason[0] != '\0')
		strbuf_printf(&text, "  %s", reason);
	const json_t *data = json_object_get(event, "data");
	if (view->wide && json_object_size(data) > 0) {
		char *dump = json_dumps(data, JSON_COMPACT | JSON_REAL_PRECISION(15));
		strbuf_printf(&text, "  %s", dump);
		free(dump);
	}
	autofree char *clean = text_clean(text.data, 0);
	strbuf_printf(out, "%s  %s\n", at, clean);
}

void view_events(const struct view *view, const json_t *events, struct strbuf *out) {
	size_t i = 0;
	const json_t *event = NULL;
	json_array_foreach(events, i, event) {
		view_event(view, event, out);
	}
	if (json_array_size(events) == 0)
		strbuf_add(out, "No events.\n");
}
