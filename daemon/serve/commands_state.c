#include "common/mem.h"
#include "common/text.h"
#include "daemon/job/change.h"
#include "daemon/serve/commands_internal.h"

#include <stdlib.h>
#include <string.h>

/* One call that changes one or more jobs, and then shows them. */
struct asked {
	struct commands *commands;
	struct call *call;
	size_t pending;
	bool changed;
	struct error err; /* the last one */
	json_t *ids;      /* of the jobs concerned */
	char message[500];
};

static void asked_free(struct asked *asked) {
	json_decref(asked->ids);
	free(asked);
}

static bool is_concerned(const struct asked *asked, const json_t *job) {
	size_t i;
	json_t *id;
	json_array_foreach(asked->ids, i, id) {
		if (json_equal(id, json_object_get(job, "id")))
			return true;
	}
	return false;
}

static void show_changed(void *context, json_t *rows, json_t *warnings, const struct error *err) {
	struct asked *asked = context;
	(void)warnings, (void)err;
	json_t *jobs = json_array(), *job;
	size_t i;
	json_array_foreach(rows, i, job) {
		if (!is_concerned(asked, job))
			continue;
		commands_complete_job(asked->commands, job);
		json_array_append(jobs, job);
	}
	call_reply(asked->call, json_pack("{s:o, s:b, s:s}", "jobs", jobs, "changed", asked->changed, "message", asked->message));
	asked_free(asked);
}

static void one_over(struct asked *asked) {
	if (--asked->pending > 0)
		return;
	if (asked->err.code != ERROR_NONE) {
		call_fail(asked->call, &asked->err);
		asked_free(asked);
		return;
	}
	struct gather_question question = {.sql = "job_list"};
	if (json_array_size(asked->ids) == 1)
		question.params[0] = json_string_value(json_array_get(asked->ids, 0));
	gather_start(asked->commands->scheduler, &question, show_changed, asked);
}

static void one_changed(void *context, const struct change_result *result) {
	struct asked *asked = context;
	if (!result->ok)
		asked->err = result->err;
	else if (json_array_size(asked->ids) == 1)
		text_format(asked->message, sizeof asked->message, "%s", result->message);
	asked->changed |= result->changed;
	one_over(asked);
}

static struct asked *ask(struct commands *commands, struct call *call) {
	struct asked *asked = mem_alloc(sizeof *asked);
	*asked = (struct asked){.commands = commands, .call = call, .pending = 1, .ids = json_array()};
	return asked;
}

static void change_found(struct commands *commands, struct call *call, struct target *target, json_t *job,
                         enum job_request request) {
	struct asked *asked = ask(commands, call);
	json_array_append(asked->ids, json_object_get(job, "id"));
	change_state(target, json_string_value(json_object_get(job, "id")), request, call_actor(call), call_string(call, "reason"),
	             one_changed, asked);
}

static void start_found(struct commands *commands, struct call *call, struct target *target, json_t *job) {
	change_found(commands, call, target, job, JOB_START);
}

static void pause_found(struct commands *commands, struct call *call, struct target *target, json_t *job) {
	change_found(commands, call, target, job, JOB_PAUSE);
}

static void resume_found(struct commands *commands, struct call *call, struct target *target, json_t *job) {
	change_found(commands, call, target, job, JOB_RESUME);
}

static void retry_found(struct commands *commands, struct call *call, struct target *target, json_t *job) {
	change_found(commands, call, target, job, JOB_RETRY);
}

static void cancel_found(struct commands *commands, struct call *call, struct target *target, json_t *job) {
	change_found(commands, call, target, job, JOB_CANCEL);
}

void command_start(struct commands *commands, struct call *call) {
	if (!commands_refuse_when_stopped(commands, call))
		commands_find_job(commands, call, start_found);
}

void command_resume(struct commands *commands, struct call *call) {
	if (!commands_refuse_when_stopped(commands, call))
		commands_find_job(commands, call, resume_found);
}

void command_retry(struct commands *commands, struct call *call) {
	if (!commands_refuse_when_stopped(commands, call))
		commands_find_job(commands, call, retry_found);
}

void command_cancel(struct commands *commands, struct call *call) {
	commands_find_job(commands, call, cancel_found);
}

static void pause_all(void *context, json_t *rows, json_t *warnings, const struct error *err) {
	struct asked *asked = context;
	size_t i;
	json_t *job;
	json_array_foreach(rows, i, job) {
		const char *target_name = json_string_value(json_object_get(job, "target"));
		struct target *target = scheduler_find_target(asked->commands->scheduler, target_name);
		if (target == NULL)
			continue;
		json_array_append(asked->ids, json_object_get(job, "id"));
		asked->pending++;
		change_state(target, json_string_value(json_object_get(job, "id")), JOB_PAUSE, call_actor(asked->call), "pause --all",
		             one_changed, asked);
	}
	/* A target that can't be asked may have running jobs: that must not look like success. */
	if (json_array_size(warnings) > 0)
		asked->err = *err;
	text_format(asked->message, sizeof asked->message, "%zu running job(s) paused", json_array_size(asked->ids));
	one_over(asked);
}

void command_pause(struct commands *commands, struct call *call) {
	if (!call_bool(call, "all")) {
		commands_find_job(commands, call, pause_found);
		return;
	}
	struct gather_question question = {.sql = "job_list", .params = {NULL, "running"}};
	gather_start(commands->scheduler, &question, pause_all, ask(commands, call));
}
