/*
 * target.h: one database as the daemon sees it: a connection to its control tables, its throttle, and the jobs of it
 * that this daemon owns. Looks once a second for jobs that need an owner.
 */
#ifndef BACKFILLD_TARGET_H
#define BACKFILLD_TARGET_H

#include "daemon/base/config.h"
#include "daemon/engine/dialect.h"
#include "daemon/engine/link.h"
#include "daemon/job/claim.h"
#include "daemon/job/events.h"
#include "daemon/throttle/stop_file.h"
#include "daemon/throttle/throttle.h"

#include <jansson.h>

struct http_client;
struct job;
struct target;

/* What all targets of a daemon share; outlives them. */
struct target_host {
	struct ev_loop *loop;
	struct http_client *http;
	struct events *events;
	struct stop_file *stop_file;
	const struct owner *owner;
};

enum target_tables { TABLES_UNKNOWN, TABLES_OK, TABLES_MISSING, TABLES_OLD, TABLES_NEWER, TABLES_FOREIGN };

/* `config` must outlive the target, or be replaced with target_reconfigure first. NULL and err: no such engine. */
struct target *target_new(const struct target_host *host, const struct config_target *config, struct error *err);
/* Drops its jobs and connections without a word to the database. NULL allowed. */
void target_free(struct target *target);
void target_reconfigure(struct target *target, const struct config_target *config);

const struct config_target *target_config(const struct target *target);
const struct target_host *target_host(const struct target *target);
const struct engine *target_engine(const struct target *target);
const struct dialect *target_dialect(const struct target *target);
struct throttle *target_throttle(const struct target *target);
/* The role that the daemon works as; NULL before the first connection. */
const char *target_worker(const struct target *target);

/* The database's name, as the server says it; NULL before the first connection. */
const char *target_database(const struct target *target);

/* Which server and database it leads to, as control tables are bound to it; NULL before the first connection. */
const char *target_identity(const struct target *target);
/* Which one the control tables were made on, if that is another one: `adopt` binds them to this one. NULL: they are ours. */
const char *target_foreign_identity(const struct target *target);

/* Can the control tables be used? Otherwise err says what to do (ERROR_TRY_AGAIN, ERROR_CONFIG). */
bool target_ready(const struct target *target, struct error *err);
/* Why a transaction on the control tables came to nothing: what someone must mend, what passes, or a defect of ours. */
void target_describe_failure(const struct target *target, const struct transaction_result *result, struct error *err);
/* How often its control connection was made: after a fail-over the server may have forgotten what it was told before. */
unsigned target_connections(const struct target *target);
/* Not known yet: the first connection is still being made. */
bool target_starting(const struct target *target);
/* Looks at the server and its control tables again, e.g. after init. */
void target_refresh(struct target *target);
/* Looks for jobs that need an owner, now. */
void target_poll(struct target *target);

/* Runs on the control connection, in order; waits up to 5 s for it. Takes the transaction. */
void target_run(struct target *target, struct transaction *transaction, void *context, transaction_done_fn *done);
/* The same with another patience. */
void target_run_within(struct target *target, struct transaction *transaction, int wait_ms, void *context,
                       transaction_done_fn *done);
/* A new transaction on the control tables, which commits durably. */
struct transaction *target_transaction(const struct target *target, const char *name);

/* Stores the event and then publishes it; when it can't be stored it is published without a number. `data` is stolen. */
void target_event(struct target *target, const char *event, const char *job, const char *actor, const char *reason, json_t *data);
/* The same as a step of a transaction: target_event_committed publishes it after the commit. */
struct pending_event;
struct pending_event *target_event_step(struct target *target, struct transaction *transaction, const char *event,
                                        const char *job, const char *actor, const char *reason, json_t *data);
void target_event_committed(struct pending_event *event);
void target_event_dropped(struct pending_event *event); /* NULL allowed */

/* NULL if this daemon does not own the job. */
struct job *target_find_job(const struct target *target, const char *id);
size_t target_job_count(const struct target *target);
struct job *target_job_at(const struct target *target, size_t index);
/* A job of this target says that it is over here (let go, completed): it is freed from the loop, soon. */
void target_job_over(struct target *target, struct job *job);
/* Frees it now. Not from inside one of its own callbacks. */
void target_drop_job(struct target *target, struct job *job);

/* At most max_workers batches are in flight. A job that got false is woken when a place is free. */
bool target_take_slot(struct target *target);
void target_give_slot(struct target *target);

/* The queue of changes to this target's jobs (change.h). */
struct changes *target_changes(const struct target *target);

/* Calls fn from the loop as soon as the target's first look at its server has ended, at the latest after 5 s. */
void target_await(struct target *target, void (*fn)(void *context), void *context);

/* For `targets`: a new reference. */
json_t *target_to_json(const struct target *target);

#endif
