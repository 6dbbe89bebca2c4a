#include "common/catalogue.h"

#include "common/edit_distance.h"
#include "common/mem.h"
#include "common/strbuf.h"

#include <stdlib.h>
#include <string.h>

#define END                                                                                                                      \
	{ .name = NULL }
#define ONE_JOB                                                                                                                  \
	{ .name = "JOB", .param = "job", .required = true, .help = "the job's id" }
#define FILTER_JOB(text)                                                                                                         \
	{ .name = "JOB", .param = "job", .help = text }

static const struct catalogue_argument one_job[] = {ONE_JOB, END};

static const struct catalogue_argument validate_arguments[] = {
	{.name = "FILE", .param = "text", .required = true, .type = ARGUMENT_FILE, .help = "the job file; - reads standard input"},
	{.name = "--engine",
     .param = "engine",
     .metavar = "ENGINE",
     .help = "postgresql or mysql (MariaDB too): whose grammar its SQL must be by; default: either"},
	END,
};

static const struct catalogue_argument init_arguments[] = {
	{.name = "TARGET", .param = "target", .required = true, .help = "a target of the daemon's configuration"},
	{.name = "--print", .param = "print", .help = "print the SQL for a role that may run DDL; change nothing"},
	END,
};

#define CONFIRM                                                                                                                  \
	{                                                                                                                            \
		.name = "--confirm", .param = "confirm", .metavar = "DATABASE",                                                          \
		.help = "the database's name; a production target asks for it"                                                           \
	}

static const struct catalogue_argument adopt_arguments[] = {
	{.name = "TARGET", .param = "target", .required = true, .help = "a target of the daemon's configuration"},
	CONFIRM,
	END,
};

static const struct catalogue_argument submit_arguments[] = {
	{.name = "FILE", .param = "text", .required = true, .type = ARGUMENT_FILE, .help = "the job file; - reads standard input"},
	{.name = "--start", .param = "start", .help = "start it too"},
	CONFIRM,
	END,
};

static const struct catalogue_argument pause_arguments[] = {
	{.name = "--all", .param = "all", .help = "every running job, on every target"},
	FILTER_JOB("the job's id"),
	END,
};

static const struct catalogue_argument set_arguments[] = {
	ONE_JOB,
	{.name = "KEY=VALUE",
     .param = "settings",
     .required = true,
     .repeated = true,
     .help = "batch.*, throttle.*, guards.* or workers, with the job file's names and values"},
	END,
};

static const struct catalogue_argument list_arguments[] = {
	{.name = "--state", .param = "state", .metavar = "STATE", .help = "only jobs in this state: running, paused, …"},
	{.name = "--target", .param = "target", .metavar = "TARGET", .help = "only jobs of this target"},
	END,
};

static const struct catalogue_argument wait_arguments[] = {
	{.name = "JOB", .param = "job", .required = true, .repeated = true, .help = "the jobs' ids"},
	{.name = "--timeout",
     .param = "timeout",
     .metavar = "DURATION",
     .type = ARGUMENT_DURATION,
     .help = "give up after this time (90s, 2h) with exit code 124; default: never"},
	END,
};

static const struct catalogue_argument events_arguments[] = {
	{.name = "--follow", .letter = 'f', .param = "follow", .help = "go on with new events as they happen"},
	{.name = "--limit", .param = "limit", .metavar = "N", .type = ARGUMENT_INTEGER, .help = "only the last N events"},
	FILTER_JOB("only events of this job"),
	END,
};

static const struct catalogue_argument throttle_arguments[] = {
	FILTER_JOB("with this job's limits instead of its target's"),
	END,
};

const struct catalogue_command catalogue[] = {
	{.name = "validate",
     .permission = PERMIT_LOCAL,
     .summary = "Check a job file: syntax, ranges, and that its SQL stays in its place. Needs no daemon.",
     .example = "backfillctl validate risk_score.job",
     .arguments = validate_arguments},
	{.name = "init",
     .method = "target.init",
     .permission = PERMIT_OPERATOR,
     .summary = "Create or upgrade the control tables of a target.",
     .example = "backfillctl init orders --print | psql orders",
     .arguments = init_arguments},
	{.name = "adopt",
     .method = "target.adopt",
     .permission = PERMIT_OPERATOR,
     .summary =
         "Bind control tables that were made on another server or database (a restore, a clone, an upgrade) to the one that "
         "the target leads to. Until then nothing is done there; then its running jobs are paused, to be resumed.",
     .example = "backfillctl adopt orders --confirm orders",
     .arguments = adopt_arguments},
	{.name = "targets",
     .method = "target.list",
     .permission = PERMIT_VIEWER,
     .summary = "Show each target: whether it is up, its role, version, replicas and control tables.",
     .example = "backfillctl targets"},
	{.name = "submit",
     .method = "job.submit",
     .permission = PERMIT_OPERATOR,
     .summary = "Run the preflight on a job file and store the job if nothing is refused. The same file twice is the same job.",
     .example = "backfillctl submit risk_score.job --confirm orders --start",
     .arguments = submit_arguments},
	{.name = "start",
     .method = "job.start",
     .permission = PERMIT_OPERATOR,
     .summary = "Start a pending job.",
     .example = "backfillctl start 20261121_risk_score",
     .arguments = one_job},
	{.name = "pause",
     .method = "job.pause",
     .permission = PERMIT_OPERATOR,
     .summary = "Pause a job, or all of them, after the batch in flight.",
     .example = "backfillctl pause 20261121_risk_score",
     .arguments = pause_arguments},
	{.name = "resume",
     .method = "job.resume",
     .permission = PERMIT_OPERATOR,
     .summary = "Let a paused job go on from its checkpoint.",
     .example = "backfillctl resume 20261121_risk_score",
     .arguments = one_job},
	{.name = "retry",
     .method = "job.retry",
     .permission = PERMIT_OPERATOR,
     .summary = "Let a failed job go on from its checkpoint.",
     .example = "backfillctl retry 20261121_risk_score",
     .arguments = one_job},
	{.name = "cancel",
     .method = "job.cancel",
     .permission = PERMIT_OPERATOR,
     .summary = "End a job for good. What it has committed stays.",
     .example = "backfillctl cancel 20261121_risk_score",
     .arguments = one_job},
	{.name = "stop",
     .method = "daemon.stop",
     .permission = PERMIT_OPERATOR,
     .summary = "Emergency stop: create the stop file. No batch starts any more, on any target, and running jobs become paused.",
     .example = "backfillctl stop"},
	{.name = "unstop",
     .method = "daemon.unstop",
     .permission = PERMIT_OPERATOR,
     .summary = "Remove the emergency-stop files. Jobs stay paused until someone resumes them.",
     .example = "backfillctl unstop"},
	{.name = "set",
     .method = "job.set",
     .permission = PERMIT_OPERATOR,
     .summary = "Change settings of a job while it runs.",
     .example = "backfillctl set 20261121_risk_score batch.max_rate=2000 batch.rows=500",
     .arguments = set_arguments},
	{.name = "list",
     .method = "job.list",
     .permission = PERMIT_VIEWER,
     .summary = "List the jobs.",
     .example = "backfillctl list --state running",
     .arguments = list_arguments},
	{.name = "show",
     .method = "job.show",
     .permission = PERMIT_VIEWER,
     .summary = "Show all there is to know of a job; with follow and sweep also which round it is in.",
     .example = "backfillctl show 20261121_risk_score -o json",
     .arguments = one_job},
	{.name = "wait",
     .permission = PERMIT_LOCAL,
     .summary = "Wait until the jobs are done, with a progress bar on a terminal. "
                "Exit code: 0 done, 3 failed, 4 cancelled or rolled back, 5 paused, 124 time is up.",
     .example = "backfillctl wait 20261121_risk_score --timeout 2h && deploy",
     .arguments = wait_arguments},
	{.name = "events",
     .method = "events.list",
     .other_method = "events.follow",
     .permission = PERMIT_VIEWER,
     .summary = "Show the audit trail, oldest first.",
     .example = "backfillctl events -f 20261121_risk_score",
     .arguments = events_arguments},
	{.name = "throttle",
     .method = "throttle.show",
     .permission = PERMIT_VIEWER,
     .summary = "Show what the throttle looks at: every probe's reading, limit, age and pressure.",
     .example = "backfillctl throttle 20261121_risk_score",
     .arguments = throttle_arguments},
	{.name = "reload",
     .method = "daemon.reload",
     .permission = PERMIT_OPERATOR,
     .summary = "Read the configuration again. A bad one changes nothing.",
     .example = "backfillctl reload"},
	{.name = "version",
     .method = "daemon.version",
     .permission = PERMIT_VIEWER,
     .summary = "Print the versions of backfillctl and of the daemon.",
     .example = "backfillctl version"},
	END,
};

const struct catalogue_command *catalogue_find(const char *name) {
	for (const struct catalogue_command *c = catalogue; c->name != NULL; c++) {
		if (strcmp(c->name, name) == 0)
			return c;
	}
	return NULL;
}

const struct catalogue_command *catalogue_find_method(const char *method) {
	for (const struct catalogue_command *c = catalogue; c->name != NULL; c++) {
		if (c->method != NULL && strcmp(c->method, method) == 0)
			return c;
		if (c->other_method != NULL && strcmp(c->other_method, method) == 0)
			return c;
	}
	return NULL;
}

enum { NEAREST_MAX_DISTANCE = 2 };

const struct catalogue_command *catalogue_nearest(const char *name) {
	size_t length = strlen(name);
	if (length < 2)
		return NULL;
	const struct catalogue_command *nearest = NULL;
	size_t best = (length / 2 < NEAREST_MAX_DISTANCE ? length / 2 : NEAREST_MAX_DISTANCE) + 1;
	for (const struct catalogue_command *c = catalogue; c->name != NULL; c++) {
		size_t distance = edit_distance(name, c->name);
		if (strncmp(name, c->name, length) == 0)
			distance = 1; /* "thr" means throttle */
		if (distance < best) {
			best = distance;
			nearest = c;
		}
	}
	return nearest;
}

bool catalogue_is_option(const struct catalogue_argument *argument) {
	return argument->name[0] == '-';
}

static void add_argument(struct strbuf *text, const struct catalogue_argument *a) {
	strbuf_add(text, a->required ? " " : " [");
	if (a->letter != 0)
		strbuf_printf(text, "-%c", a->letter);
	else
		strbuf_add(text, a->name);
	if (a->metavar != NULL)
		strbuf_printf(text, " %s", a->metavar);
	if (a->repeated)
		strbuf_add(text, "…");
	if (!a->required)
		strbuf_add(text, "]");
}

char *catalogue_usage(const struct catalogue_command *command) {
	autostrbuf text = {0};
	strbuf_add(&text, command->name);
	for (const struct catalogue_argument *a = command->arguments; a != NULL && a->name != NULL; a++)
		add_argument(&text, a);
	return strbuf_take(&text);
}
