#include "common/mem.h"
#include "common/sqlcheck.h"
#include "daemon/base/log.h"
#include "daemon/base/zone.h"
#include "daemon/engine/transaction.h"
#include "daemon/job/change.h"
#include "daemon/job/claim.h"
#include "daemon/job/job.h"
#include "daemon/job/preflight.h"
#include "daemon/serve/commands_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Only this host can tell: neither `validate`, which may run on another one, nor the reading of a stored job. */
static bool check_zone(const struct jobfile *job, struct error *err) {
	if (job->settings.nwindows == 0 && job->settings.timezone[0] == '\0')
		return true;
	struct zone *zone = zone_new(job->settings.timezone, err);
	zone_free(zone);
	return zone != NULL || error_prefix(err, "timezone");
}

/* --- submit --- */

struct submission {
	struct commands *commands;
	struct call *call;
	struct target *target; /* a reload may remove it during the preflight: found anew after that */
	char *url;             /* where the preflight looked */
	struct jobfile *job;
	struct table_shape *shape;
	json_t *warnings;
	char *table; /* as show prints it */
	bool exists, created;
	char *found_sha256;
	struct pending_event *event;
};

static void submission_free(struct submission *s) {
	jobfile_free(s->job);
	shape_free(s->shape);
	json_decref(s->warnings);
	free(s->url);
	free(s->table);
	free(s->found_sha256);
	free(s);
}

static void submission_fail(struct submission *s, const struct error *err) {
	call_fail(s->call, err);
	submission_free(s);
}

static void submission_lost(struct submission *s, const struct transaction_result *result) {
	struct error err;
	target_describe_failure(s->target, result, &err);
	if (err.code == ERROR_TRY_AGAIN)
		error_hint(&err, "submit again: the same content under the same id is the same job");
	submission_fail(s, &err);
}

static void submitted_shown(void *context, json_t *rows, json_t *warnings, const struct error *err) {
	struct submission *s = context;
	json_t *job = json_array_get(rows, 0);
	(void)warnings;
	if (job == NULL) {
		struct error gone;
		error_set(&gone, ERROR_TRY_AGAIN, "job %s is stored but can't be read: %s", s->job->id,
		          err != NULL ? err->message : "it is gone");
		submission_fail(s, &gone);
		return;
	}
	commands_complete_job(s->commands, job);
	json_object_set(job, "warnings", s->warnings);
	json_object_set_new(job, "created", json_boolean(s->created));
	call_reply(s->call, json_incref(job));
	submission_free(s);
}

static void show_submitted(struct submission *s) {
	struct gather_question question = {.sql = "job_list", .params = {s->job->id, NULL}, .only_target = s->job->target};
	gather_start(s->commands->scheduler, &question, submitted_shown, s);
}

static void submitted_started(void *context, const struct change_result *result) {
	struct submission *s = context;
	if (!result->ok) {
		struct error err = result->err;
		error_prefix(&err, "the job is stored but was not started");
		submission_fail(s, &err);
		return;
	}
	show_submitted(s);
}

static void submission_stored(struct submission *s) {
	if (call_bool(s->call, "start"))
		change_state(s->target, s->job->id, JOB_START, call_actor(s->call), NULL, submitted_started, s);
	else
		show_submitted(s);
}

static void inserted(void *context, const struct transaction_result *result) {
	struct submission *s = context;
	if (result->end == TRANSACTION_COMMITTED) {
		log_info(NULL, "job %s submitted by %s", s->job->id, call_actor(s->call));
		target_event_committed(s->event);
		s->created = true;
		submission_stored(s);
		return;
	}
	target_event_dropped(s->event);
	if (result->end == TRANSACTION_DECLINED) {
		struct error err;
		error_set(&err, ERROR_TRY_AGAIN, "job %s was submitted by someone else just now", s->job->id);
		error_hint(&err, "submit again");
		submission_fail(s, &err);
		return;
	}
	submission_lost(s, result);
}

/* What the preflight found is of no use for another server. */
static bool find_again(struct submission *s, struct error *err) {
	s->target = scheduler_find_target(s->commands->scheduler, s->job->target);
	if (s->target != NULL && strcmp(target_config(s->target)->url, s->url) == 0)
		return true;
	error_set(err, ERROR_TRY_AGAIN, "target %s was %s during the preflight: nothing was stored", s->job->target,
	          s->target == NULL ? "removed from the configuration" : "given another url");
	return error_hint(err, "submit again");
}

static void preflight_done(void *context, struct table_shape *shape, const json_t *warnings, const struct error *err) {
	struct submission *s = context;
	if (shape == NULL) {
		submission_fail(s, err);
		return;
	}
	s->shape = shape;
	s->warnings = json_deep_copy(warnings);
	s->table = mem_printf("%s.%s", shape->schema, shape->name);
	struct error gone;
	if (!find_again(s, &gone) || !target_ready(s->target, &gone)) {
		submission_fail(s, &gone);
		return;
	}
	json_t *shape_json = shape_to_json(shape);
	char *shape_text = json_dumps(shape_json, JSON_COMPACT);
	struct transaction *t = target_transaction(s->target, "submit");
	struct statement *st =
		transaction_add(t, "insert", dialect_sql(target_dialect(s->target), "job_insert"), NULL, transaction_expect_one);
	statement_add_text(st, s->job->id);
	statement_add_text(st, s->job->target);
	statement_add_text(st, s->table);
	statement_add_text(st, job_kind_name(s->job->kind));
	statement_add_text(st, call_string(s->call, "text"));
	statement_add_text(st, s->job->sha256);
	statement_add_text(st, shape_text);
	if (shape->estimated_rows >= 0)
		statement_add_int(st, shape->estimated_rows);
	else
		statement_add_text(st, NULL);
	statement_add_text(st, call_actor(s->call));
	s->event = target_event_step(s->target, t, "job.submitted", s->job->id, call_actor(s->call), NULL, NULL);
	free(shape_text);
	json_decref(shape_json);
	target_run(s->target, t, s, inserted);
}

static bool absorb_identity(void *context, const struct engine_result *r) {
	struct submission *s = context;
	s->exists = r->nrows == 1;
	if (s->exists)
		s->found_sha256 = mem_dup(engine_value(r, 0, 0));
	return true;
}

static void identified(void *context, const struct transaction_result *result) {
	struct submission *s = context;
	if (result->end != TRANSACTION_COMMITTED) {
		submission_lost(s, result);
		return;
	}
	if (!s->exists) {
		s->url = mem_dup(target_config(s->target)->url);
		preflight_start(s->commands->host.targets->loop, target_engine(s->target), s->url, s->job, preflight_done, s);
		return;
	}
	if (strcmp(s->found_sha256, s->job->sha256) != 0) {
		struct error err;
		error_set(&err, ERROR_DATA, "job %s exists already, with another content", s->job->id);
		error_hint(&err, "give the new work an id of its own; `backfillctl show %s` shows the old one", s->job->id);
		submission_fail(s, &err);
		return;
	}
	s->warnings = json_array();
	submission_stored(s);
}

static void submission_known(void *context) {
	struct submission *s = context;
	struct error err;
	if (!target_ready(s->target, &err) || !commands_check_confirmation(s->target, s->call, &err)) {
		submission_fail(s, &err);
		return;
	}
	struct transaction *t = transaction_new("identity", NULL);
	statement_add_text(
		transaction_add(t, "identity", dialect_sql(target_dialect(s->target), "job_identity"), NULL, absorb_identity),
		s->job->id);
	target_run(s->target, t, s, identified);
}

/* Everything that needs no server. */
static bool check_offline(struct submission *s, struct error *err) {
	const char *text = call_string(s->call, "text"), *name = call_string(s->call, "name");
	if (text == NULL)
		return error_set(err, ERROR_USAGE, "job.submit needs the parameter \"text\", the job file's content");
	if (name == NULL)
		name = "job file";
	if (!jobfile_parse(text, name, &s->job, err))
		return false;
	if (!check_zone(s->job, err))
		return error_prefix(err, "%s:%u", name, s->job->timezone_line);
	s->target = scheduler_find_target(s->commands->scheduler, s->job->target);
	if (s->target == NULL) {
		error_set(err, ERROR_DATA, "%s: target \"%s\" is not in the daemon's configuration", name, s->job->target);
		return error_hint(err, "`backfillctl targets` lists them");
	}
	if (!sqlcheck_job(target_dialect(s->target)->grammar, s->job, err))
		return false;
	const struct config_target *config = target_config(s->target);
	return jobfile_check_limits(s->job, &config->throttle, &config->guards, err);
}

void command_submit(struct commands *commands, struct call *call) {
	struct submission *s = mem_alloc(sizeof *s);
	*s = (struct submission){.commands = commands, .call = call};
	struct error err;
	if (!check_offline(s, &err)) {
		submission_fail(s, &err);
		return;
	}
	if (call_bool(call, "start") && commands_refuse_when_stopped(commands, call)) {
		submission_free(s);
		return;
	}
	target_await(s->target, submission_known, s);
}

/* --- set --- */

struct setting {
	struct commands *commands;
	struct call *call;
	struct target *target;
	char *id;
	char *settings_text; /* what is to be stored */
	struct pending_event *event;
	struct transaction *transaction;
	struct error err;
};

static void setting_free(struct setting *s) {
	free(s->id);
	free(s->settings_text);
	free(s);
}

/* "batch.rows=5000" */
static bool split(const char *text, char **key, const char **value, struct error *err) {
	const char *equals = text != NULL ? strchr(text, '=') : NULL;
	if (equals == NULL || equals == text) {
		error_set(err, ERROR_USAGE, "\"%s\" is not KEY=VALUE", text != NULL ? text : "");
		return error_hint(err, "e.g. backfillctl set 20261121_x batch.rows=5000");
	}
	*key = mem_dup_n(text, (size_t)(equals - text));
	*value = equals + 1;
	return true;
}

/* Adds the call's settings to what is stored. */
static bool add_wanted(const struct setting *s, json_t *stored, struct error *err) {
	const json_t *wanted = json_object_get(call_params(s->call), "settings");
	size_t i;
	json_t *one;
	if (json_array_size(wanted) == 0)
		return error_set(err, ERROR_USAGE, "set needs at least one KEY=VALUE");
	json_array_foreach(wanted, i, one) {
		autofree char *key = NULL;
		const char *value = NULL;
		if (!split(json_string_value(one), &key, &value, err))
			return false;
		json_object_set_new(stored, key, json_string(value));
	}
	return true;
}

/* The job with all its settings, old and new, must be one that could have been submitted. */
static bool check_settings(const struct setting *s, const char *definition, const json_t *stored, struct error *err) {
	struct jobfile *job = NULL;
	const struct config_target *config = target_config(s->target);
	bool ok = jobfile_parse(definition, s->id, &job, err) && claim_apply_settings(job, stored, err) && check_zone(job, err) &&
	          jobfile_check_limits(job, &config->throttle, &config->guards, err);
	jobfile_free(job);
	return ok;
}

static bool absorb_lock(void *context, const struct engine_result *r) {
	struct setting *s = context;
	if (r->nrows != 1)
		return error_set(&s->err, ERROR_USAGE, "there is no job %s", s->id);
	json_t *stored = json_loads(engine_value(r, 0, 2), 0, NULL);
	bool ok = add_wanted(s, stored, &s->err) && check_settings(s, engine_value(r, 0, 3), stored, &s->err);
	if (ok) {
		s->settings_text = json_dumps(stored, JSON_COMPACT | JSON_SORT_KEYS);
		s->event = target_event_step(s->target, s->transaction, "setting.changed", s->id, call_actor(s->call), NULL,
		                             json_pack("{s:O}", "settings", json_object_get(call_params(s->call), "settings")));
	}
	json_decref(stored);
	return ok;
}

static bool prepare_store(void *context, struct statement *statement) {
	struct setting *s = context;
	statement_add_text(statement, s->id);
	statement_add_text(statement, s->settings_text);
	return true;
}

static void set_shown(struct commands *commands, struct call *call, struct target *target, json_t *job) {
	(void)target;
	commands_complete_job(commands, job);
	call_reply(call, json_incref(job));
}

static void stored(void *context, const struct transaction_result *result) {
	struct setting *s = context;
	if (result->end != TRANSACTION_COMMITTED) {
		target_event_dropped(s->event);
		if (result->end != TRANSACTION_DECLINED)
			target_describe_failure(s->target, result, &s->err);
		call_fail(s->call, &s->err);
		setting_free(s);
		return;
	}
	target_event_committed(s->event);
	struct job *job = target_find_job(s->target, s->id);
	if (job != NULL)
		job_reread(job);
	commands_find_job(s->commands, s->call, set_shown);
	setting_free(s);
}

static void set_found(struct commands *commands, struct call *call, struct target *target, json_t *job) {
	struct setting *s = mem_alloc(sizeof *s);
	*s = (struct setting){.commands = commands, .call = call, .target = target};
	s->id = mem_dup(json_string_value(json_object_get(job, "id")));
	const struct dialect *dialect = target_dialect(target);
	s->transaction = target_transaction(target, "set");
	statement_add_text(transaction_add(s->transaction, "lock", dialect_sql(dialect, "job_lock"), NULL, absorb_lock), s->id);
	transaction_add(s->transaction, "store", dialect_sql(dialect, "job_set_settings"), prepare_store, NULL);
	target_run(target, s->transaction, s, stored);
}

void command_set(struct commands *commands, struct call *call) {
	commands_find_job(commands, call, set_found);
}
