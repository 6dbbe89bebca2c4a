#include "daemon/job/target.h"

#include "common/mem.h"
#include "common/text.h"
#include "daemon/base/clock.h"
#include "daemon/base/log.h"
#include "daemon/engine/transaction.h"
#include "daemon/job/change.h"
#include "daemon/job/job.h"
#include "daemon/job/memory.h"

#include <ev.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ANSWER_TIMEOUT_MS = 15000, PATIENCE_MS = 5000 };
enum { POLLS_ON_A_STRANGER = 5 }; /* before it is left, to look for the right one */
static const double poll_every_s = 1.0;

struct waiter {
	struct waiter *next;
	void (*fn)(void *context);
	void *context;
};

struct target {
	const struct target_host *host;
	const struct config_target *config;
	const struct engine *engine;
	struct link *link;
	struct throttle *throttle;
	struct changes *changes;
	struct memory *memory;
	char object[80];

	/* What the server said of itself. */
	bool up, looked; /* looked: since it came up */
	bool ever_looked, was_up;
	bool foreign_told;
	unsigned connections;
	char *worker, *database, *version, *identity;
	bool replica;
	enum target_tables tables;
	char why[640]; /* why its tables can't be used */
	char *found_identity;
	char *home; /* the server that it worked on before; NULL: none yet */
	int polls;
	int found_version;

	struct job **jobs;
	size_t njobs;
	struct job **over; /* to be freed from the loop */
	size_t nover;
	int slots_taken;
	bool polling;
	ev_timer poll, bury, patience;
	struct waiter *waiters;
};

/* --- looking at the server --- */

static void set_text(char **field, const char *text) {
	free(*field);
	*field = mem_dup(text);
}

static void on_patience(struct ev_loop *loop, ev_timer *timer, int events) {
	(void)loop, (void)events;
	struct target *target = timer->data;
	struct waiter *waiter = target->waiters;
	target->waiters = NULL;
	target->ever_looked = true;
	while (waiter != NULL) {
		struct waiter *next = waiter->next;
		waiter->fn(waiter->context);
		free(waiter);
		waiter = next;
	}
}

static void wake_waiters(struct target *target) {
	ev_timer_stop(target->host->loop, &target->patience);
	ev_timer_set(&target->patience, 0., 0.);
	ev_timer_start(target->host->loop, &target->patience);
}

bool target_starting(const struct target *target) {
	return !target->ever_looked && target->config != NULL;
}

void target_await(struct target *target, void (*fn)(void *context), void *context) {
	struct waiter *waiter = mem_alloc(sizeof *waiter);
	*waiter = (struct waiter){.fn = fn, .context = context};
	struct waiter **last = &target->waiters;
	while (*last != NULL)
		last = &(*last)->next;
	*last = waiter;
	if (target->ever_looked)
		wake_waiters(target);
	else if (!ev_is_active(&target->patience)) {
		ev_timer_set(&target->patience, PATIENCE_MS / 1000.0, 0.);
		ev_timer_start(target->host->loop, &target->patience);
	}
}

static void looked(struct target *target) {
	struct error err;
	target->looked = true;
	target->ever_looked = true;
	if (target->tables == TABLES_FOREIGN && !target->foreign_told && !target_ready(target, &err))
		log_warning(NULL, "%s: nothing is done there; %s", err.message, err.hint);
	target->foreign_told = target->tables == TABLES_FOREIGN;
	if (target->tables == TABLES_OK) {
		if (!target->was_up) {
			target->was_up = true;
			target_event(target, "target.up", NULL, "backfilld", NULL, NULL);
		}
		target_poll(target);
	}
	wake_waiters(target);
}

static bool absorb_meta(void *context, const struct engine_result *r) {
	struct target *target = context;
	target->found_version = 0;
	set_text(&target->found_identity, "not known");
	for (int row = 0; row < r->nrows; row++) {
		const char *name = engine_value(r, row, 0), *value = engine_value(r, row, 1);
		if (strcmp(name, "schema_version") == 0)
			target->found_version = (int)strtol(value, NULL, 10);
		else if (strcmp(name, "identity") == 0)
			set_text(&target->found_identity, value);
		else
			memory_read(target->memory, name, value);
	}
	return true;
}

static void judge_tables(struct target *target) {
	int wanted = target->engine->dialect->schema_version;
	if (target->found_version < wanted)
		target->tables = TABLES_OLD;
	else if (target->found_version > wanted)
		target->tables = TABLES_NEWER;
	else if (strcmp(target->found_identity, target->identity) != 0)
		target->tables = TABLES_FOREIGN;
	else
		target->tables = TABLES_OK;
	if (target->tables == TABLES_OK)
		set_text(&target->home, target->identity);
}

static void meta_ended(void *context, const struct transaction_result *result) {
	struct target *target = context;
	if (result->end == TRANSACTION_COMMITTED) {
		judge_tables(target);
		looked(target);
	} else if (result->end == TRANSACTION_REFUSED) {
		target->tables = TABLES_UNKNOWN;
		text_format(target->why, sizeof target->why, "the control tables can't be read: %s", result->message);
		looked(target);
	}
}

static bool absorb_status(void *context, const struct engine_result *r) {
	struct target *target = context;
	set_text(&target->worker, engine_value(r, 0, 0));
	set_text(&target->database, engine_value(r, 0, 1));
	set_text(&target->version, engine_value(r, 0, 2));
	target->replica = strcmp(engine_value(r, 0, 3), "true") == 0;
	target->tables = strcmp(engine_value(r, 0, 4), "true") == 0 ? TABLES_OK : TABLES_MISSING;
	set_text(&target->identity, engine_value(r, 0, 5));
	return true;
}

static void status_ended(void *context, const struct transaction_result *result) {
	struct target *target = context;
	if (result->end == TRANSACTION_REFUSED) {
		target->tables = TABLES_UNKNOWN;
		text_format(target->why, sizeof target->why, "%s", result->message);
		looked(target);
	} else if (result->end == TRANSACTION_COMMITTED && target->tables == TABLES_MISSING) {
		looked(target);
	} else if (result->end == TRANSACTION_COMMITTED) {
		struct transaction *t = transaction_new("meta", NULL);
		transaction_add(t, "meta", dialect_sql(target->engine->dialect, "meta"), NULL, absorb_meta);
		target_run(target, t, target, meta_ended);
	}
}

void target_refresh(struct target *target) {
	if (!target->up)
		return;
	target->ever_looked = false; /* whoever awaits the target now awaits this look */
	struct transaction *t = transaction_new("status", NULL);
	transaction_add(t, "status", dialect_sql(target->engine->dialect, "status"), NULL, absorb_status);
	target_run(target, t, target, status_ended);
}

static void link_changed(void *context, bool up, const char *why) {
	struct target *target = context;
	target->up = up;
	target->connections += up;
	target->looked = false;
	if (up) {
		log_info(target->object, "connected");
		target->why[0] = '\0';
		target_refresh(target);
		return;
	}
	bool news = strcmp(target->why, why) != 0;
	text_format(target->why, sizeof target->why, "%s", why);
	target->polling = false;
	if (news)
		log_warning(target->object, "no connection: %s", why);
	if (target->was_up) {
		target->was_up = false;
		target->ever_looked = false; /* commands await the first try to connect again */
		target_event(target, "target.down", NULL, "backfilld", why, NULL);
	} else if (!target->ever_looked) {
		target->ever_looked = true;
		wake_waiters(target);
	}
}

bool target_ready(const struct target *target, struct error *err) {
	const char *name = target->config->name;
	if (!target->up || !target->looked) {
		error_set(err, ERROR_TRY_AGAIN, "target %s is out of reach: %s", name,
		          target->why[0] != '\0' ? target->why : "still connecting");
		return error_hint(err, "check its url and the server; the daemon keeps trying");
	}
	if (target->replica && (target->tables == TABLES_OK || target->tables == TABLES_FOREIGN)) {
		error_set(err, ERROR_TRY_AGAIN, "target %s: the server is a replica (read only)", name);
		return error_hint(err, "%s", target->engine->dialect->rules->replica_hint);
	}
	switch (target->tables) {
	case TABLES_OK:
		return true;
	case TABLES_MISSING:
		error_set(err, ERROR_CONFIG, "target %s has no control tables", name);
		return error_hint(err, "run: backfillctl init %s", name);
	case TABLES_OLD:
		error_set(err, ERROR_CONFIG, "target %s: the control tables are of version %d, older than this daemon's %d", name,
		          target->found_version, target->engine->dialect->schema_version);
		return error_hint(err, "run: backfillctl init %s", name);
	case TABLES_NEWER:
		error_set(err, ERROR_CONFIG, "target %s: the control tables are of version %d, newer than this daemon's %d", name,
		          target->found_version, target->engine->dialect->schema_version);
		return error_hint(err, "upgrade backfilld");
	case TABLES_FOREIGN:
		error_set(err, ERROR_CONFIG, "target %s: the control tables were made on another server or database (%s)", name,
		          target->found_identity);
		return error_hint(err, "if its jobs are to go on here, on a copy or after a move: backfillctl adopt %s", name);
	case TABLES_UNKNOWN:
		break;
	}
	error_set(err, ERROR_CONFIG, "target %s: %s", name, target->why);
	return error_hint(err, "grant the worker's role what `backfillctl init %s --print` shows", name);
}

void target_describe_failure(const struct target *target, const struct transaction_result *result, struct error *err) {
	const char *name = target->config->name;
	switch (result->end == TRANSACTION_REFUSED ? result->error : ENGINE_ERROR_NONE) {
	case ENGINE_ERROR_PRIVILEGE:
	case ENGINE_ERROR_SCHEMA:
		error_set(err, ERROR_CONFIG, "target %s: the control tables can't be used: %s", name, result->message);
		error_hint(err, "run: backfillctl init %s", name);
		return;
	case ENGINE_ERROR_DATA:
	case ENGINE_ERROR_DUPLICATE:
	case ENGINE_ERROR_AMBIGUOUS:
		error_set(err, ERROR_INTERNAL, "target %s: %s", name, result->message);
		return;
	default:
		error_set(err, ERROR_TRY_AGAIN, "target %s: %s", name, result->message);
		error_hint(err, "%s",
		           result->end == TRANSACTION_UNKNOWN ? "look with `backfillctl show` whether it was done" : "try again");
	}
}

unsigned target_connections(const struct target *target) {
	return target->connections;
}

/* --- polling --- */

static bool absorb_poll(void *context, const struct engine_result *r) {
	struct target *target = context;
	for (int row = 0; row < r->nrows; row++) {
		const char *id = engine_value(r, row, 0);
		if (target_find_job(target, id) != NULL)
			continue;
		target->jobs = mem_resize(target->jobs, target->njobs + 1, sizeof(struct job *));
		target->jobs[target->njobs++] = job_new(target, id);
	}
	return true;
}

static void poll_ended(void *context, const struct transaction_result *result) {
	struct target *target = context;
	target->polling = false;
	if (result->end == TRANSACTION_REFUSED)
		target_refresh(target); /* the tables have changed under us */
}

void target_poll(struct target *target) {
	if (target->polling || !target_ready(target, NULL))
		return;
	target->polling = true;
	const struct owner *owner = target->host->owner;
	struct transaction *t = transaction_new("poll", NULL);
	struct statement *s = transaction_add(t, "poll", dialect_sql(target->engine->dialect, "poll"), NULL, absorb_poll);
	statement_add_text(s, owner->name);
	statement_add_text(s, owner->prefix);
	statement_add_int(s, target->config->owner_timeout_ms);
	statement_add_text(s, target->config->name);
	target_run(target, t, target, poll_ended);
}

/* Then each poll begins with a look: a server that was demoted keeps its connections, and answers polls as before. */
static bool has_several_hosts(const struct target *target) {
	return strchr(target->config->url, ',') != NULL;
}

/* For a while an operator may adopt it, or let it be written; but a url that leads to several servers may find the right one. */
static bool on_stranger(struct target *target) {
	bool other = target_foreign_identity(target) != NULL && target->home != NULL;
	bool demoted = target->up && target->looked && target->replica && has_several_hosts(target);
	bool strange = (other || demoted) && !link_busy(target->link);
	target->polls = strange ? target->polls + 1 : 0;
	return target->polls >= POLLS_ON_A_STRANGER;
}

static void on_poll(struct ev_loop *loop, ev_timer *timer, int events) {
	(void)loop, (void)events;
	struct target *target = timer->data;
	memory_keep(target->memory);
	if (on_stranger(target))
		link_reset(target->link, target->replica ? "the server is a replica (read only): looking for the primary"
		                                         : "the url has led to another server than before: looking for the former one");
	else if (target->up && target->looked && (target->tables != TABLES_OK || target->replica || has_several_hosts(target)))
		target_refresh(target);
	else
		target_poll(target);
}

/* --- transactions --- */

void target_run(struct target *target, struct transaction *transaction, void *context, transaction_done_fn *done) {
	target_run_within(target, transaction, PATIENCE_MS, context, done);
}

void target_run_within(struct target *target, struct transaction *transaction, int wait_ms, void *context,
                       transaction_done_fn *done) {
	link_run(target->link, transaction, ANSWER_TIMEOUT_MS, wait_ms, context, done);
}

struct transaction *target_transaction(const struct target *target, const char *name) {
	struct transaction *t = transaction_new(name, dialect_sql(target->engine->dialect, "control_begin"));
	transaction_add(t, "identity", dialect_sql(target->engine->dialect, "identity"), NULL, NULL);
	return t;
}

/* --- jobs --- */

struct job *target_find_job(const struct target *target, const char *id) {
	for (size_t i = 0; i < target->njobs; i++)
		if (strcmp(job_id(target->jobs[i]), id) == 0)
			return target->jobs[i];
	return NULL;
}

size_t target_job_count(const struct target *target) {
	return target->njobs;
}

struct job *target_job_at(const struct target *target, size_t index) {
	return target->jobs[index];
}

static bool unlist_job(struct target *target, const struct job *job) {
	for (size_t i = 0; i < target->njobs; i++)
		if (target->jobs[i] == job) {
			memmove(target->jobs + i, target->jobs + i + 1, (target->njobs - i - 1) * sizeof(struct job *));
			target->njobs--;
			return true;
		}
	return false;
}

void target_drop_job(struct target *target, struct job *job) {
	if (unlist_job(target, job))
		job_free(job);
}

void target_job_over(struct target *target, struct job *job) {
	if (!unlist_job(target, job))
		return;
	target->over = mem_resize(target->over, target->nover + 1, sizeof(struct job *));
	target->over[target->nover++] = job;
	ev_timer_stop(target->host->loop, &target->bury);
	ev_timer_set(&target->bury, 0., 0.);
	ev_timer_start(target->host->loop, &target->bury);
}

static void bury(struct target *target) {
	struct job **jobs = target->over;
	size_t count = target->nover;
	target->over = NULL;
	target->nover = 0;
	for (size_t i = 0; i < count; i++)
		job_free(jobs[i]);
	free(jobs);
}

static void on_bury(struct ev_loop *loop, ev_timer *timer, int events) {
	(void)loop, (void)events;
	bury(timer->data);
}

bool target_take_slot(struct target *target) {
	if (target->slots_taken >= target->config->max_workers)
		return false;
	target->slots_taken++;
	return true;
}

void target_give_slot(struct target *target) {
	target->slots_taken--;
	/* Whoever waited longest is first in the list; the one that gave the place goes to its end. */
	for (size_t i = 0; i < target->njobs; i++)
		job_wake(target->jobs[i]);
}

/* --- the outside --- */

struct target *target_new(const struct target_host *host, const struct config_target *config, struct error *err) {
	const struct engine *engine = engine_for_url(config->url, err);
	if (engine == NULL) {
		error_prefix(err, "target %s", config->name);
		return NULL;
	}
	struct target *target = mem_alloc(sizeof *target);
	target->host = host;
	target->config = config;
	target->engine = engine;
	snprintf(target->object, sizeof target->object, "target %s", config->name);
	ev_timer_init(&target->poll, on_poll, poll_every_s, poll_every_s);
	ev_timer_init(&target->bury, on_bury, 0., 0.);
	ev_timer_init(&target->patience, on_patience, 0., 0.);
	target->poll.data = target->bury.data = target->patience.data = target;
	ev_timer_start(host->loop, &target->poll);
	target->changes = changes_new(target);
	target->memory = memory_new(target);
	target->throttle = throttle_new(host->loop, host->http, engine, config, host->owner->prefix);
	target->link = link_new(host->loop, engine, config->url, "backfilld control", link_changed, target);
	return target;
}

void target_free(struct target *target) {
	if (target == NULL)
		return;
	/* Whoever still waits for an answer gets one now, and whoever asks from now on is refused. */
	target->up = target->looked = false;
	text_format(target->why, sizeof target->why, "it was removed from the configuration");
	while (target->njobs > 0)
		target_drop_job(target, target->jobs[0]);
	bury(target);
	link_free(target->link);
	changes_free(target->changes);
	memory_free(target->memory);
	throttle_free(target->throttle);
	ev_timer_stop(target->host->loop, &target->poll);
	ev_timer_stop(target->host->loop, &target->bury);
	on_patience(target->host->loop, &target->patience, 0);
	ev_timer_stop(target->host->loop, &target->patience);
	free(target->jobs);
	free(target->worker);
	free(target->database);
	free(target->version);
	free(target->identity);
	free(target->found_identity);
	free(target->home);
	free(target);
}

void target_reconfigure(struct target *target, const struct config_target *config) {
	bool moved = strcmp(target->config->url, config->url) != 0;
	target->config = config;
	throttle_retarget(target->throttle, config);
	if (!moved) {
		for (size_t i = 0; i < target->njobs; i++)
			job_reread(target->jobs[i]);
		return;
	}
	/* Another server, or another way to it: every connection is made anew, and the jobs claim again. */
	while (target->njobs > 0)
		target_drop_job(target, target->jobs[0]);
	target->up = target->looked = false;
	link_free(target->link);
	target->link = link_new(target->host->loop, target->engine, config->url, "backfilld control", link_changed, target);
}

const struct config_target *target_config(const struct target *target) {
	return target->config;
}

const struct target_host *target_host(const struct target *target) {
	return target->host;
}

const struct engine *target_engine(const struct target *target) {
	return target->engine;
}

const struct dialect *target_dialect(const struct target *target) {
	return target->engine->dialect;
}

struct throttle *target_throttle(const struct target *target) {
	return target->throttle;
}

const char *target_worker(const struct target *target) {
	return target->worker;
}

const char *target_identity(const struct target *target) {
	return target->identity;
}

const char *target_foreign_identity(const struct target *target) {
	return target->up && target->looked && target->tables == TABLES_FOREIGN ? target->found_identity : NULL;
}

const char *target_database(const struct target *target) {
	return target->database;
}

struct changes *target_changes(const struct target *target) {
	return target->changes;
}

json_t *target_to_json(const struct target *target) {
	static const char *const tables[] = {"unknown", "ok", "missing", "old", "newer", "foreign"};
	const struct config_target *config = target->config;
	struct error err = {0};
	bool ready = target_ready(target, &err);
	bool known = target->up && target->looked;
	json_t *replicas = json_array();
	for (size_t i = 0; i < config->nreplicas; i++) {
		autofree char *replica_url = config_mask_url(config->replicas[i].url);
		json_array_append_new(replicas, json_pack("{s:s, s:s}", "name", config->replicas[i].name, "url", replica_url));
	}
	autofree char *url = config_mask_url(config->url);
	return json_pack("{s:s, s:s, s:s, s:s, s:s?, s:s, s:s?, s:s?, s:s?, s:s, s:I, s:o, s:I}", "name", config->name, "environment",
	                 config->environment, "url", url, "state", target->up ? "up" : "down", "reason", ready ? NULL : err.message,
	                 "engine", target->engine->name, "version", known ? target->version : NULL, "server",
	                 target->up ? engine_peer(link_conn(target->link)) : NULL, "role",
	                 known ? (target->replica ? "replica" : "primary") : NULL, "control_tables",
	                 known ? tables[target->tables] : "unknown", "max_workers", (json_int_t)config->max_workers, "replicas",
	                 replicas, "jobs", (json_int_t)target->njobs);
}
