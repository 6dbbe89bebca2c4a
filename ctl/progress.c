#include "ctl/progress.h"

#include "common/mem.h"
#include "common/strbuf.h"
#include "common/text.h"
#include "ctl/connect.h"
#include "ctl/render_table.h"
#include "ctl/views.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

enum { POLL_MS = 250, ANSWER_MS = 10000, FORGOTTEN_MS = 30000, BAR_CELLS = 24 };

struct wait {
	const char *socket;
	struct connection *connection; /* NULL: away */
	const json_t *ids;
	json_t *jobs; /* object: id → its last known job object */
	bool connected_once;
	bool terminal;
	bool color;
	size_t drawn;          /* lines on the terminal, to draw over */
	char away[1024];       /* why we hear nothing; "" while we do */
	int64_t away_since_ms; /* 0: not away */
};

static int64_t now_ms(void) {
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

bool progress_verdict(const char *state, enum progress_exit *exit_code) {
	static const struct {
		const char *state;
		enum progress_exit exit_code;
	} ends[] = {
		{"completed", PROGRESS_DONE},        {"failed", PROGRESS_FAILED}, {"cancelled", PROGRESS_CANCELLED},
		{"rolled_back", PROGRESS_CANCELLED}, {"paused", PROGRESS_PAUSED},
	};
	for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
		if (state != NULL && strcmp(ends[i].state, state) == 0) {
			*exit_code = ends[i].exit_code;
			return true;
		}
	}
	return false;
}

char *progress_line(const json_t *job, size_t columns, bool color) {
	const char *id = view_string(job, "id");
	const char *state = view_string(job, "state");
	autostrbuf line = {0};
	strbuf_printf(&line, "%s ", id != NULL ? id : "?");
	view_bar(&line, view_number(job, "progress", -1), BAR_CELLS);
	autofree char *scanned = text_count((int64_t)view_number(job, "rows.scanned", 0));
	strbuf_printf(&line, "  %s rows", scanned);
	bool running = state != NULL && strcmp(state, "running") == 0;
	bool held = running && json_is_true(json_object_get(json_object_get(job, "throttle"), "held"));
	double rate = view_number(job, "rate_rows_s", -1);
	double eta = view_number(job, "eta_s", -1);
	if (running && rate >= 0) {
		autofree char *text = text_count((int64_t)rate);
		strbuf_printf(&line, "  %s/s", text);
	}
	if (running && eta >= 0) {
		autofree char *text = text_seconds(eta);
		strbuf_printf(&line, "  ETA %s", text);
	}
	const char *reason = held ? view_string(job, "throttle.reason") : view_string(job, "reason");
	if (held)
		strbuf_printf(&line, "  held: %s", reason != NULL ? reason : "throttle");
	else if (!running)
		strbuf_printf(&line, "  %s%s%s", state != NULL ? state : "?", reason != NULL ? ": " : "", reason != NULL ? reason : "");
	autofree char *clean = text_clean(line.data, columns);
	enum progress_exit end = PROGRESS_DONE;
	enum paint paint = held ? PAINT_WARN : PAINT_NONE;
	if (progress_verdict(state, &end))
		paint = end == PROGRESS_DONE ? PAINT_GOOD : end == PROGRESS_PAUSED ? PAINT_WARN : PAINT_BAD;
	return text_paint(clean, paint, color);
}

static size_t terminal_columns(void) {
	struct winsize size = {0};
	if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1)
		return size.ws_col - 1U; /* the last column may wrap */
	return 79;
}

static void draw(struct wait *wait) {
	if (!wait->terminal)
		return;
	size_t columns = terminal_columns();
	autostrbuf screen = {0};
	if (wait->drawn > 0)
		strbuf_printf(&screen, "\033[%zuA", wait->drawn);
	wait->drawn = 0;
	size_t i = 0;
	const json_t *id = NULL;
	json_array_foreach(wait->ids, i, id) {
		const json_t *job = json_object_get(wait->jobs, json_string_value(id));
		if (job == NULL)
			continue;
		autofree char *line = progress_line(job, columns, wait->color);
		strbuf_printf(&screen, "\r%s\033[K\n", line);
		wait->drawn++;
	}
	if (wait->away[0] != '\0') {
		autofree char *line = text_clean(wait->away, columns);
		strbuf_printf(&screen, "\r%s\033[K\n", line);
		wait->drawn++;
	}
	strbuf_add(&screen, "\033[J");
	fputs(screen.data, stderr);
	fflush(stderr);
}

/* Once an outage; on a terminal the line stays until it is over. */
static void set_away(struct wait *wait, const char *why) {
	if (wait->away_since_ms == 0) {
		wait->away_since_ms = now_ms();
		if (!wait->terminal)
			fprintf(stderr, "backfillctl: waiting: %s\n", why);
	}
	text_format(wait->away, sizeof wait->away, "waiting: %s", why);
}

static void set_heard(struct wait *wait) {
	if (wait->away_since_ms != 0 && !wait->terminal)
		fputs("backfillctl: the daemon is back\n", stderr);
	wait->away_since_ms = 0;
	wait->away[0] = '\0';
}

/* An error that passes by itself once we have known the job: the daemon restarts, its target is down, and after a restart
 * it may not have read its jobs yet. */
static bool passes(const struct wait *wait, bool known, const struct error *err) {
	if (!known)
		return false;
	switch (err->code) {
	case ERROR_UNAVAILABLE:
	case ERROR_TRY_AGAIN:
		return true;
	case ERROR_USAGE:
	case ERROR_CONFIG:
		return wait->away_since_ms == 0 || now_ms() - wait->away_since_ms < FORGOTTEN_MS;
	default:
		return false;
	}
}

/* One job's news. False: `err` ends the waiting. *heard: there was an answer. */
static bool ask_one(struct wait *wait, const char *id, bool *heard, struct error *err) {
	json_t *params = json_pack("{s:s}", "job", id);
	json_t *job = NULL;
	bool ok = connect_call(wait->connection, "job.show", params, ANSWER_MS, &job, err);
	json_decref(params);
	*heard = ok;
	if (ok) {
		json_object_set_new(wait->jobs, id, job);
		return true;
	}
	if (!passes(wait, json_object_get(wait->jobs, id) != NULL, err))
		return false;
	if (err->code == ERROR_UNAVAILABLE || err->code == ERROR_TRY_AGAIN) {
		connect_close(wait->connection);
		wait->connection = NULL;
	}
	set_away(wait, err->message);
	return true;
}

static bool has_ended(const struct wait *wait, const char *id, enum progress_exit *exit_code) {
	const json_t *job = json_object_get(wait->jobs, id);
	return job != NULL && progress_verdict(view_string(job, "state"), exit_code);
}

/* Asks for every job that goes on. */
static bool ask_all(struct wait *wait, struct error *err) {
	if (wait->connection == NULL)
		wait->connection = connect_open(wait->socket, err);
	if (wait->connection == NULL) {
		if (!wait->connected_once)
			return false;
		set_away(wait, err->message);
		return true;
	}
	wait->connected_once = true;
	bool all_heard = true;
	size_t i = 0;
	const json_t *id = NULL;
	json_array_foreach(wait->ids, i, id) {
		enum progress_exit ignored = PROGRESS_DONE;
		const char *name = json_string_value(id);
		bool heard = true;
		if (has_ended(wait, name, &ignored) && ignored != PROGRESS_PAUSED)
			continue;
		if (!ask_one(wait, name, &heard, err))
			return false;
		all_heard = all_heard && heard;
		if (wait->connection == NULL)
			return true;
	}
	if (all_heard)
		set_heard(wait);
	return true;
}

/* Whether the waiting is over: all have ended, or one is paused, which only a person ends. A failure is worse than a
 * cancellation, that is worse than a pause: the smaller number, but 0. */
static bool is_over(const struct wait *wait, enum progress_exit *exit_code) {
	bool all = true;
	bool paused = false;
	*exit_code = PROGRESS_DONE;
	size_t i = 0;
	const json_t *id = NULL;
	json_array_foreach(wait->ids, i, id) {
		enum progress_exit one = PROGRESS_DONE;
		if (!has_ended(wait, json_string_value(id), &one)) {
			all = false;
			continue;
		}
		paused = paused || one == PROGRESS_PAUSED;
		if (one != PROGRESS_DONE && (*exit_code == PROGRESS_DONE || one < *exit_code))
			*exit_code = one;
	}
	return all || paused;
}

static bool wait_loop(struct wait *wait, int64_t timeout_ms, enum progress_exit *exit_code, struct error *err) {
	int64_t deadline_ms = now_ms() + timeout_ms;
	for (;;) {
		if (!ask_all(wait, err))
			return false;
		draw(wait);
		if (is_over(wait, exit_code))
			return true;
		int64_t pause_ms = POLL_MS;
		if (timeout_ms >= 0) {
			int64_t left = deadline_ms - now_ms();
			if (left <= 0) {
				*exit_code = PROGRESS_TIMEOUT;
				return true;
			}
			if (left < pause_ms)
				pause_ms = left;
		}
		poll(NULL, 0, (int)pause_ms);
	}
}

bool progress_wait(const char *socket, const json_t *ids, int64_t timeout_ms, bool color, enum progress_exit *exit_code,
                   json_t **jobs, struct error *err) {
	struct wait wait = {
		.socket = socket, .ids = ids, .jobs = json_object(), .terminal = isatty(STDERR_FILENO) == 1, .color = color};
	bool ok = wait_loop(&wait, timeout_ms, exit_code, err);
	connect_close(wait.connection);
	if (ok) {
		*jobs = json_array();
		size_t i = 0;
		const json_t *id = NULL;
		json_array_foreach(ids, i, id) {
			json_t *job = json_object_get(wait.jobs, json_string_value(id));
			if (job != NULL)
				json_array_append(*jobs, job);
		}
	}
	json_decref(wait.jobs);
	return ok;
}
