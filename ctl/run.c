#include "ctl/run.h"

#include "common/jobfile.h"
#include "common/mem.h"
#include "common/sqlcheck.h"
#include "common/strbuf.h"
#include "common/version.h"
#include "ctl/connect.h"
#include "ctl/progress.h"
#include "ctl/render_json.h"
#include "ctl/views.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_FILE_BYTES = 512 * 1024, VERSION_TIMEOUT_MS = 3000 };

struct run {
	const struct arguments *arguments;
	struct view view;
	bool json;
};

typedef bool special_fn(const struct run *run, int *exit_code, struct error *err);

/* A terminal that can, and nobody who asked for none (no-color.org). */
static bool use_color(int fd) {
	const char *no_color = getenv("NO_COLOR");
	const char *term = getenv("TERM");
	if (no_color != NULL && no_color[0] != '\0')
		return false;
	return isatty(fd) == 1 && term != NULL && strcmp(term, "dumb") != 0;
}

static void print(const struct strbuf *text) {
	if (text->length > 0)
		fwrite(text->data, 1, text->length, stdout);
}

static bool read_file(const char *path, char **text, struct error *err) {
	bool standard_input = strcmp(path, "-") == 0;
	FILE *file = standard_input ? stdin : fopen(path, "re");
	if (file == NULL)
		return error_set(err, ERROR_DATA, "cannot read %s: %s", path, strerror(errno));
	autostrbuf content = {0};
	char buffer[16384];
	size_t n = 0;
	while (content.length <= MAX_FILE_BYTES && (n = fread(buffer, 1, sizeof buffer, file)) > 0)
		strbuf_add_n(&content, buffer, n);
	int why = ferror(file) != 0 ? errno : 0;
	if (!standard_input)
		fclose(file);
	if (why != 0)
		return error_set(err, ERROR_DATA, "cannot read %s: %s", path, strerror(why));
	if (content.length > MAX_FILE_BYTES)
		return error_set(err, ERROR_DATA, "%s is larger than %d KiB: not a job file", path, MAX_FILE_BYTES / 1024);
	if (content.length > 0 && memchr(content.data, '\0', content.length) != NULL)
		return error_set(err, ERROR_DATA, "%s has a NUL byte: not a job file", path);
	*text = strbuf_take(&content);
	return true;
}

static const char *file_name(const char *path) {
	return strcmp(path, "-") == 0 ? "stdin" : path;
}

/* The grammars to ask: the one of --engine, else all. */
static bool is_asked(const struct run *run, const struct sqlcheck_grammar *grammar) {
	const char *engine = json_string_value(json_object_get(run->arguments->params, "engine"));
	return engine == NULL || strcmp(engine, grammar->name) == 0;
}

/* Which servers' grammar the job is by. Without a daemon nobody knows the target's: one that takes it is enough, and it is said
 * whose doesn't. When none does, the first one's error is shown. */
static bool check_grammars(const struct run *run, const struct jobfile *job, json_t *engines, struct error *err) {
	struct error errors[SQLCHECK_GRAMMARS] = {{0}};
	bool asked = false, refused = false;
	for (size_t i = 0; i < SQLCHECK_GRAMMARS; i++) {
		if (!is_asked(run, sqlcheck_grammars[i]))
			continue;
		if (sqlcheck_job(sqlcheck_grammars[i], job, &errors[i]))
			json_array_append_new(engines, json_string(sqlcheck_grammars[i]->name));
		else if (!refused)
			*err = errors[i];
		refused |= errors[i].code != ERROR_NONE;
		asked = true;
	}
	if (!asked) {
		error_set(err, ERROR_USAGE, "--engine: there is no such engine");
		return error_hint(err, "postgresql or mysql, which is MariaDB's, too");
	}
	const char *name = file_name(run->arguments->file);
	if (json_array_size(engines) == 0)
		return error_prefix(err, "%s", name);
	for (size_t i = 0; i < SQLCHECK_GRAMMARS; i++)
		if (errors[i].code != ERROR_NONE)
			fprintf(stderr, "backfillctl: warning: %s: not for %s: %s\n", name, sqlcheck_grammars[i]->servers, errors[i].message);
	return true;
}

static bool run_validate(const struct run *run, int *exit_code, struct error *err) {
	const char *path = run->arguments->file;
	autofree char *text = NULL;
	struct jobfile *job = NULL;
	if (!read_file(path, &text, err) || !jobfile_parse(text, file_name(path), &job, err))
		return false;
	json_t *engines = json_array();
	bool ok = check_grammars(run, job, engines, err);
	if (ok && run->json) {
		json_t *json = json_pack("{s:s,s:s,s:s,s:s,s:s,s:O}", "file", file_name(path), "id", job->id, "target", job->target,
		                         "kind", job_kind_name(job->kind), "sha256", job->sha256, "engines", engines);
		render_json(stdout, json);
		json_decref(json);
	} else if (ok) {
		printf("%s: ok (%s)\n", file_name(path), job->id);
	}
	json_decref(engines);
	jobfile_free(job);
	*exit_code = 0;
	return ok;
}

static bool run_wait(const struct run *run, int *exit_code, struct error *err) {
	const json_t *params = run->arguments->params;
	const json_t *timeout = json_object_get(params, "timeout");
	int64_t timeout_ms = timeout != NULL ? json_integer_value(timeout) : -1;
	enum progress_exit end = PROGRESS_DONE;
	json_t *jobs = NULL;
	if (!progress_wait(run->arguments->socket, json_object_get(params, "job"), timeout_ms, use_color(STDERR_FILENO), &end, &jobs,
	                   err))
		return false;
	if (run->json)
		render_json(stdout, jobs);
	json_decref(jobs);
	*exit_code = (int)end;
	return true;
}

/* Works without a daemon: then its version is not known, which is no error. */
static bool run_version(const struct run *run, int *exit_code, struct error *err) {
	struct connection *connection = connect_open(run->arguments->socket, err);
	json_t *result = NULL;
	if (connection != NULL)
		connect_call(connection, "daemon.version", run->arguments->params, VERSION_TIMEOUT_MS, &result, err);
	connect_close(connection);
	const char *daemon = view_string(result, "version");
	if (run->json) {
		json_t *json = json_pack("{s:s,s:s?}", "backfillctl", BACKFILLD_VERSION, "backfilld", daemon);
		render_json(stdout, json);
		json_decref(json);
	} else {
		printf("backfillctl %s\n", BACKFILLD_VERSION);
		if (daemon != NULL)
			printf("backfilld %s\n", daemon);
		else
			fprintf(stderr, "backfilld: not known: %s\n", err->message);
	}
	json_decref(result);
	*exit_code = 0;
	return true;
}

static void print_event(const struct run *run, const json_t *event) {
	if (run->json) {
		render_json_line(stdout, event);
		return;
	}
	autostrbuf line = {0};
	view_event(&run->view, event, &line);
	print(&line);
}

/* Each target numbers its own events. `last`: target → the number of its newest event that was printed. True if this one
 * is newer, or not numbered. */
static bool is_news(json_t *last, const json_t *event) {
	const char *target = view_string(event, "target");
	json_int_t number = json_integer_value(json_object_get(event, "seq"));
	if (target == NULL || number == 0)
		return true;
	if (number <= json_integer_value(json_object_get(last, target)))
		return false;
	json_object_set_new(last, target, json_integer(number));
	return true;
}

/* Listed after following began, on a second connection, so that nothing falls between the two. */
static bool print_past(const struct run *run, json_t *last, struct error *err) {
	struct connection *connection = connect_open(run->arguments->socket, err);
	if (connection == NULL)
		return false;
	json_t *events = NULL;
	bool ok = connect_call(connection, "events.list", run->arguments->params, CONNECT_TIMEOUT_MS, &events, err);
	connect_close(connection);
	size_t i = 0;
	const json_t *event = NULL;
	json_array_foreach(events, i, event) {
		print_event(run, event);
		is_news(last, event);
	}
	json_decref(events);
	return ok;
}

static bool follow(const struct run *run, struct connection *connection, json_t *last, struct error *err) {
	json_t *answer = NULL;
	if (!connect_call(connection, "events.follow", run->arguments->params, CONNECT_TIMEOUT_MS, &answer, err))
		return false;
	json_decref(answer);
	if (!print_past(run, last, err))
		return false;
	for (;;) {
		if (fflush(stdout) != 0)
			return error_set(err, ERROR_INTERNAL, "cannot write: %s", strerror(errno));
		struct rpc_message message;
		if (!connect_receive(connection, -1, &message, err))
			return false;
		bool is_event = message.method != NULL && strcmp(message.method, "event") == 0;
		if (is_event && is_news(last, message.params))
			print_event(run, message.params);
		rpc_message_free(&message);
	}
}

static bool run_follow(const struct run *run, struct error *err) {
	struct connection *connection = connect_open(run->arguments->socket, err);
	if (connection == NULL)
		return false;
	json_object_del(run->arguments->params, "follow");
	json_t *last = json_object();
	bool ok = follow(run, connection, last, err);
	json_decref(last);
	connect_close(connection);
	return ok;
}

/* How an answer is shown; `part`: with -o json only this of it. */
static const struct {
	const char *command;
	view_fn *view;
	const char *part;
	special_fn *special; /* does everything itself */
} shows[] = {
	{.command = "validate", .special = run_validate},
	{.command = "wait", .special = run_wait},
	{.command = "version", .special = run_version},
	{.command = "init", .view = view_init},
	{.command = "adopt", .view = view_message},
	{.command = "targets", .view = view_targets},
	{.command = "submit", .view = view_submit},
	{.command = "start", .view = view_action},
	{.command = "pause", .view = view_action},
	{.command = "resume", .view = view_action},
	{.command = "retry", .view = view_action},
	{.command = "cancel", .view = view_action},
	{.command = "set", .view = view_job},
	{.command = "list", .view = view_jobs, .part = "jobs"},
	{.command = "show", .view = view_job},
	{.command = "events", .view = view_events},
	{.command = "throttle", .view = view_throttle},
	{.command = "stop", .view = view_message},
	{.command = "unstop", .view = view_message},
	{.command = "reload", .view = view_message},
};

static void print_warnings(const json_t *result) {
	size_t i = 0;
	const json_t *warning = NULL;
	json_array_foreach(json_object_get(result, "warnings"), i, warning) {
		if (json_is_string(warning))
			fprintf(stderr, "backfillctl: warning: %s\n", json_string_value(warning));
	}
}

static bool add_file(const struct arguments *arguments, struct error *err) {
	if (arguments->file == NULL)
		return true;
	autofree char *text = NULL;
	if (!read_file(arguments->file, &text, err))
		return false;
	json_t *json = json_string(text);
	if (json == NULL)
		return error_set(err, ERROR_DATA, "%s is not valid UTF-8", arguments->file);
	json_object_set_new(arguments->params, "text", json);
	json_object_set_new(arguments->params, "name", rpc_string(file_name(arguments->file)));
	return true;
}

static bool run_remote(const struct run *run, view_fn *view, const char *part, struct error *err) {
	const struct arguments *arguments = run->arguments;
	if (!add_file(arguments, err))
		return false;
	struct connection *connection = connect_open(arguments->socket, err);
	if (connection == NULL)
		return false;
	json_t *result = NULL;
	bool ok = connect_call(connection, arguments->command->method, arguments->params, CONNECT_TIMEOUT_MS, &result, err);
	connect_close(connection);
	if (!ok)
		return false;
	print_warnings(result);
	if (run->json) {
		const json_t *shown = part != NULL ? json_object_get(result, part) : result;
		render_json(stdout, shown);
	} else {
		autostrbuf text = {0};
		view(&run->view, result, &text);
		print(&text);
	}
	json_decref(result);
	return true;
}

bool run_command(const struct arguments *arguments, int *exit_code, struct error *err) {
	struct run run = {
		.arguments = arguments,
		.view = {.wide = arguments->output == OUTPUT_WIDE, .color = use_color(STDOUT_FILENO)},
		.json = arguments->output == OUTPUT_JSON,
	};
	*exit_code = 0;
	if (json_object_get(arguments->params, "follow") != NULL)
		return run_follow(&run, err);
	for (size_t i = 0; i < sizeof shows / sizeof shows[0]; i++) {
		if (strcmp(shows[i].command, arguments->command->name) != 0)
			continue;
		if (shows[i].special != NULL)
			return shows[i].special(&run, exit_code, err);
		return run_remote(&run, shows[i].view, shows[i].part, err);
	}
	return error_set(err, ERROR_INTERNAL, "%s: in the catalogue, but nothing shows it", arguments->command->name);
}
