#include "common/mem.h"
#include "daemon/engine/link.h"
#include "daemon/engine/transaction.h"
#include "daemon/job/change.h"
#include "daemon/serve/commands_internal.h"

#include <ev.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- targets --- */

struct asking {
	struct commands *commands;
	struct call *call;
	size_t pending;
};

static void one_known(void *context) {
	struct asking *asking = context;
	if (--asking->pending > 0)
		return;
	struct commands *commands = asking->commands;
	bool stopped = stop_file_present(commands->host.targets->stop_file, NULL);
	json_t *list = json_array();
	for (size_t i = 0; i < scheduler_target_count(commands->scheduler); i++) {
		json_t *target = target_to_json(scheduler_target_at(commands->scheduler, i));
		json_object_set_new(target, "stopped", json_boolean(stopped));
		json_array_append_new(list, target);
	}
	call_reply(asking->call, list);
	free(asking);
}

void command_targets(struct commands *commands, struct call *call) {
	struct asking *asking = mem_alloc(sizeof *asking);
	*asking = (struct asking){.commands = commands, .call = call, .pending = 1};
	for (size_t i = 0; i < scheduler_target_count(commands->scheduler); i++) {
		asking->pending++;
		target_await(scheduler_target_at(commands->scheduler, i), one_known, asking);
	}
	one_known(asking);
}

/* --- init --- */

enum { INIT_TIMEOUT_MS = 60000, INIT_PATIENCE_MS = 5000 };

struct init {
	struct commands *commands;
	struct call *call;
	char *target; /* its name: a reload may remove the target while the script runs */
	struct link *link;
	char *script;
	ev_timer bury; /* the link can't be freed inside its own callback */
};

static void init_free(struct init *init) {
	link_free(init->link);
	free(init->target);
	free(init->script);
	free(init);
}

static void on_bury(struct ev_loop *loop, ev_timer *timer, int events) {
	(void)loop, (void)events;
	init_free(timer->data);
}

static void init_link_changed(void *context, bool up, const char *why) {
	(void)context, (void)up, (void)why;
}

static void init_bury(struct init *init) {
	ev_timer_init(&init->bury, on_bury, 0., 0.);
	init->bury.data = init;
	ev_timer_start(init->commands->host.targets->loop, &init->bury);
}

/* NULL and err: it is not in the configuration any more. */
static struct target *find_target(const struct init *init, struct error *err) {
	struct target *target = scheduler_find_target(init->commands->scheduler, init->target);
	if (target == NULL)
		error_set(err, ERROR_TRY_AGAIN, "target %s was removed from the configuration", init->target);
	return target;
}

/* The daemon itself has seen the new tables: whoever reads the answer may go on with them. */
static void init_seen(void *context) {
	struct init *init = context;
	struct error err;
	const struct target *target = find_target(init, &err);
	if (target != NULL && target_ready(target, &err)) {
		autofree char *message = mem_printf("target %s: control tables are ready", init->target);
		call_reply(init->call, json_pack("{s:s, s:s}", "target", init->target, "message", message));
	} else {
		error_prefix(&err, "the control tables were made, but");
		call_fail(init->call, &err);
	}
	init_bury(init);
}

static void init_ended(void *context, const struct transaction_result *result) {
	struct init *init = context;
	struct error err;
	if (result->end == TRANSACTION_COMMITTED) {
		struct target *target = find_target(init, &err);
		if (target == NULL) {
			init_seen(init);
			return;
		}
		target_refresh(target);
		target_await(target, init_seen, init);
		return;
	}
	bool away = result->end == TRANSACTION_LOST || result->end == TRANSACTION_UNKNOWN;
	error_set(&err, away ? ERROR_TRY_AGAIN : ERROR_CONFIG, "init of target %s: %s", init->target, result->message);
	if (result->error == ENGINE_ERROR_PRIVILEGE)
		error_hint(&err, "set admin_url to a role that may create the schema, or let one run: backfillctl init %s --print",
		           init->target);
	call_fail(init->call, &err);
	init_bury(init);
}

/* The worker's role is known once the daemon has connected as it. */
static void init_known(void *context) {
	struct init *init = context;
	struct error err;
	const struct target *target = find_target(init, &err);
	const char *worker = target != NULL ? target_worker(target) : NULL;
	if (worker == NULL) {
		if (target != NULL && target_ready(target, &err))
			error_set(&err, ERROR_TRY_AGAIN, "target %s is not connected yet", init->target);
		call_fail(init->call, &err);
		init_free(init);
		return;
	}
	init->script = target_dialect(target)->control_tables(worker);
	if (call_bool(init->call, "print")) {
		call_reply(init->call,
		           json_pack("{s:s, s:s, s:s}", "target", init->target, "sql", init->script, "message", "nothing was changed"));
		init_free(init);
		return;
	}
	init->link = link_new(init->commands->host.targets->loop, target_engine(target), target_config(target)->admin_url,
	                      "backfilld init", init_link_changed, init);
	struct transaction *t = transaction_new("init", NULL); /* the script brings its own BEGIN and COMMIT */
	transaction_add(t, "script", init->script, NULL, NULL);
	link_run(init->link, t, INIT_TIMEOUT_MS, INIT_PATIENCE_MS, init, init_ended);
}

/* The target that the call names; NULL: the call has been answered. */
static struct target *named_target(struct commands *commands, struct call *call) {
	const char *name = call_string(call, "target");
	struct target *target = name != NULL ? scheduler_find_target(commands->scheduler, name) : NULL;
	if (target == NULL) {
		struct error err;
		error_set(&err, ERROR_USAGE, "there is no target %s", name != NULL ? name : "(none given)");
		error_hint(&err, "`backfillctl targets` lists them");
		call_fail(call, &err);
	}
	return target;
}

void command_init(struct commands *commands, struct call *call) {
	struct target *target = named_target(commands, call);
	if (target == NULL)
		return;
	struct init *init = mem_alloc(sizeof *init);
	*init = (struct init){.commands = commands, .call = call, .target = mem_dup(target_config(target)->name)};
	target_await(target, init_known, init);
}

/* --- adopt --- */

struct adoption {
	struct commands *commands;
	struct call *call;
	json_t *answer;
};

static void adoption_fail(struct adoption *adoption, const struct error *err) {
	call_fail(adoption->call, err);
	json_decref(adoption->answer);
	free(adoption);
}

/* The daemon itself has seen that the tables are ours now: whoever reads the answer may resume. */
static void adoption_seen(void *context) {
	struct adoption *adoption = context;
	call_reply(adoption->call, adoption->answer);
	free(adoption);
}

static void adopted(void *context, const struct change_result *result) {
	struct adoption *adoption = context;
	const char *name = call_string(adoption->call, "target");
	struct target *target = scheduler_find_target(adoption->commands->scheduler, name);
	if (!result->ok) {
		adoption_fail(adoption, &result->err);
		return;
	}
	adoption->answer = json_pack("{s:s, s:b, s:s}", "target", name, "changed", result->changed, "message", result->message);
	if (target != NULL)
		target_await(target, adoption_seen, adoption);
	else
		adoption_seen(adoption);
}

/* On a target that is out of reach the change itself says so. */
static void adoption_known(void *context) {
	struct adoption *adoption = context;
	struct target *target = scheduler_find_target(adoption->commands->scheduler, call_string(adoption->call, "target"));
	struct error err;
	if (target == NULL)
		error_set(&err, ERROR_TRY_AGAIN, "target %s was removed from the configuration", call_string(adoption->call, "target"));
	if (target == NULL ||
	    (target_foreign_identity(target) != NULL && !commands_check_confirmation(target, adoption->call, &err))) {
		adoption_fail(adoption, &err);
		return;
	}
	change_adopt(target, call_actor(adoption->call), adopted, adoption);
}

void command_adopt(struct commands *commands, struct call *call) {
	struct target *target = named_target(commands, call);
	if (target == NULL)
		return;
	struct adoption *adoption = mem_alloc(sizeof *adoption);
	*adoption = (struct adoption){.commands = commands, .call = call};
	target_await(target, adoption_known, adoption);
}

/* --- stop and unstop --- */

void command_stop(struct commands *commands, struct call *call) {
	struct error err;
	if (!stop_file_create(commands->host.targets->stop_file, call_actor(call), &err)) {
		call_fail(call, &err);
		return;
	}
	const char *path = NULL;
	stop_file_present(commands->host.targets->stop_file, &path);
	commands->host.stop_changed(commands->host.context, call_actor(call));
	call_reply(call, json_pack("{s:b, s:[s], s:s}", "stopped", 1, "files", path != NULL ? path : "", "message",
	                           "no further batch starts; every running job is being paused"));
}

struct unstopping {
	struct call *call;
	size_t pending;
	struct error err;
};

static void one_cleared(void *context, const struct transaction_result *result) {
	struct unstopping *unstopping = context;
	if (result != NULL && result->end != TRANSACTION_COMMITTED) {
		error_set(&unstopping->err, ERROR_TRY_AGAIN, "the files are gone, but a target's stop flag is still set: %s",
		          result->message);
		error_hint(&unstopping->err, "say `backfillctl unstop` again");
	}
	if (--unstopping->pending > 0)
		return;
	if (unstopping->err.code != ERROR_NONE)
		call_fail(unstopping->call, &unstopping->err);
	else
		call_reply(unstopping->call, json_pack("{s:b, s:[], s:s}", "stopped", 0, "files", "message",
		                                       "the stop is over; paused jobs stay paused until you resume them"));
	free(unstopping);
}

void command_unstop(struct commands *commands, struct call *call) {
	struct error err;
	if (!stop_file_remove(commands->host.targets->stop_file, &err)) {
		call_fail(call, &err);
		return;
	}
	commands->host.stop_changed(commands->host.context, call_actor(call));
	struct unstopping *unstopping = mem_alloc(sizeof *unstopping);
	*unstopping = (struct unstopping){.call = call, .pending = 1};
	for (size_t i = 0; i < scheduler_target_count(commands->scheduler); i++) {
		struct target *target = scheduler_target_at(commands->scheduler, i);
		if (!target_ready(target, NULL))
			continue; /* it is cleared when it comes back */
		struct transaction *t = target_transaction(target, "unstop");
		statement_add_text(transaction_add(t, "clear", dialect_sql(target_dialect(target), "stop_clear"), NULL, NULL), "stop:%");
		unstopping->pending++;
		target_run(target, t, unstopping, one_cleared);
	}
	one_cleared(unstopping, NULL);
}
