#include "daemon/job/claim.h"

#include "common/mem.h"
#include "common/sqlcheck.h"
#include "common/text.h"
#include "daemon/base/log.h"
#include "daemon/engine/transaction.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

enum { ANSWER_TIMEOUT_MS = 15000 };

void claimed_clear(struct claimed *claimed) {
	jobfile_free(claimed->job);
	shape_free(claimed->shape);
	free(claimed->freeze_marker);
	free(claimed->freeze_writers);
	free(claimed->leaves_mark);
	free(claimed->key_mark);
	free(claimed->former_owner);
	for (size_t i = 0; i < claimed->nsegments; i++)
		segment_clear(&claimed->segments[i]);
	free(claimed->segments);
	*claimed = (struct claimed){0};
}

struct claim {
	struct link *link;
	const struct dialect *dialect;
	const char *job_id;
	const struct owner *owner;
	struct claimed *claimed;
	claim_done_fn *done;
	void *context;
	enum claim_end declined; /* what a declined transaction means */
	char why[sizeof((struct error *)0)->message];
};

static bool decline(struct claim *claim, enum claim_end end, const char *why) {
	claim->declined = end;
	text_format(claim->why, sizeof claim->why, "%s", why);
	return false;
}

bool claim_apply_settings(struct jobfile *job, const json_t *settings, struct error *err) {
	struct jobfile_setting *list = mem_alloc((json_object_size(settings) + 1) * sizeof *list);
	size_t count = 0;
	const char *key;
	json_t *value;
	json_object_foreach((json_t *)settings, key, value) {
		list[count++] = (struct jobfile_setting){.key = key, .value = json_string_value(value)};
	}
	bool ok = jobfile_set_many(job, list, count, err);
	free(list);
	return ok;
}

static bool read_definition(struct claim *claim, const struct engine_result *r, struct error *err) {
	struct claimed *claimed = claim->claimed;
	if (!jobfile_parse(engine_value(r, 0, 1), claim->job_id, &claimed->job, err))
		return false;
	json_t *settings = json_loads(engine_value(r, 0, 2), 0, NULL);
	bool applied = claim_apply_settings(claimed->job, settings, err);
	json_decref(settings);
	if (!applied)
		return false;
	claimed->job->old_values_null = sqlcheck_old_values_null(claim->dialect->grammar, claimed->job);
	json_t *shape = json_loads(engine_value(r, 0, 3), 0, NULL);
	bool ok = shape_from_json(shape, &claimed->shape, err);
	json_decref(shape);
	return ok;
}

static bool absorb_lock(void *context, const struct engine_result *r) {
	struct claim *claim = context;
	struct claimed *claimed = claim->claimed;
	if (r->nrows != 1)
		return decline(claim, CLAIM_NOT_OURS, "the job is gone");
	if (engine_value(r, 0, 10) != NULL)
		return decline(claim, CLAIM_REFUSED, engine_value(r, 0, 10));
	const char *former = engine_value(r, 0, 7);
	if (strcmp(engine_value(r, 0, 8), "true") != 0)
		return decline(claim, CLAIM_NOT_OURS,
		               strcmp(engine_value(r, 0, 0), "running") == 0 ? "another owner has it" : "it is not running");
	if (engine_value(r, 0, 9) != NULL)
		return decline(claim, CLAIM_STOPPED, engine_value(r, 0, 9));
	struct error err;
	if (!read_definition(claim, r, &err) || !phase_parse(engine_value(r, 0, 12), &claimed->phase, &err))
		return decline(claim, CLAIM_UNREADABLE, err.message);
	claimed->freeze_marker = mem_dup(engine_value(r, 0, 4));
	claimed->freeze_writers = mem_dup(engine_value(r, 0, 13));
	claimed->open = strcmp(engine_value(r, 0, 5), "true") == 0;
	claimed->estimated_rows = engine_value(r, 0, 6) != NULL ? strtoll(engine_value(r, 0, 6), NULL, 10) : -1;
	claimed->round = (int)strtol(engine_value(r, 0, 11), NULL, 10);
	claimed->former_owner = mem_dup(former);
	claimed->owner_changed = former == NULL || strcmp(former, claim->owner->name) != 0;
	return true;
}

/* Partitions that came after the first round hold only rows that are the application's, so that the site may go on adding them.
 */
static bool absorb_shape(void *context, const struct engine_result *r) {
	struct claim *claim = context;
	struct claimed *claimed = claim->claimed;
	const char *change = engine_value(r, 0, 0), *added = engine_value(r, 0, 1), *advice = engine_value(r, 0, 6);
	if (change != NULL) {
		claim->declined = CLAIM_CHANGED;
		text_format(claim->why, sizeof claim->why, "%s: %s", change,
		            advice != NULL       ? advice
		            : claimed->round > 0 ? "put it back and resume; or cancel the job, and submit what is left under a new id"
		                                 : "nothing was done yet: submit the work again, under a new id");
		return false;
	}
	if (added != NULL)
		log_warning(NULL, "job %s: %s came after its start and is not worked on", claim->job_id, added);
	claimed->leaves_mark = mem_dup(engine_value(r, 0, 2));
	claimed->key_mark = mem_dup(engine_value(r, 0, 3));
	claimed->shape->server_version = (int)strtol(engine_value(r, 0, 4), NULL, 10);
	claimed->shape->time_is_enough = strcmp(engine_value(r, 0, 5), "true") == 0;
	return true;
}

static bool prepare_take(void *context, struct statement *statement) {
	struct claim *claim = context;
	statement_add_text(statement, claim->job_id);
	statement_add_text(statement, claim->owner->name);
	statement_add_int(statement, engine_backend_pid(link_conn(claim->link)));
	return true;
}

static bool absorb_take(void *context, const struct engine_result *r) {
	struct claim *claim = context;
	if (r->nrows != 1)
		return decline(claim, CLAIM_REFUSED, "the session of the job's former owner has not ended yet");
	claim->claimed->epoch = strtoll(engine_value(r, 0, 0), NULL, 10);
	claim->claimed->own_session = strcmp(engine_value(r, 0, 1), "true") == 0;
	return true;
}

static bool prepare_segments(void *context, struct statement *statement) {
	struct claim *claim = context;
	statement_add_text(statement, claim->job_id);
	statement_add_int(statement, claim->claimed->epoch);
	return true;
}

/* Columns: number, leaf, after_key, through_key, position_key, batch_id, done, rows_scanned, rows_changed, rows_conflicted,
 * round, place. */
static bool read_segment(const struct engine_result *r, int row, struct segment *s, struct error *err) {
	s->number = (int)strtol(engine_value(r, row, 0), NULL, 10);
	s->leaf = (int)strtol(engine_value(r, row, 1), NULL, 10);
	s->batch_id = strtoll(engine_value(r, row, 5), NULL, 10);
	s->done = strcmp(engine_value(r, row, 6), "true") == 0;
	s->rows_scanned = strtoll(engine_value(r, row, 7), NULL, 10);
	s->rows_changed = strtoll(engine_value(r, row, 8), NULL, 10);
	s->rows_conflicted = strtoll(engine_value(r, row, 9), NULL, 10);
	s->round = (int)strtol(engine_value(r, row, 10), NULL, 10);
	text_format(s->place, sizeof s->place, "%s", engine_value(r, row, 11));
	return plan_key_from_text(engine_value(r, row, 2), &s->after, err) &&
	       plan_key_from_text(engine_value(r, row, 3), &s->through, err) &&
	       plan_key_from_text(engine_value(r, row, 4), &s->position, err);
}

bool claimed_add_segments(struct claimed *claimed, const struct engine_result *r, struct error *err) {
	size_t before = claimed->nsegments, added = (size_t)r->nrows;
	claimed->segments = mem_resize(claimed->segments, before + added, sizeof *claimed->segments);
	memset(claimed->segments + before, 0, added * sizeof *claimed->segments);
	claimed->nsegments += added;
	for (size_t i = 0; i < added; i++) {
		struct segment *s = &claimed->segments[before + i];
		if (!read_segment(r, (int)i, s, err))
			return false;
		if (s->leaf < 0 || (size_t)s->leaf >= claimed->shape->nleaves)
			return error_set(err, ERROR_INTERNAL, "segment %d names leaf %d, which the job's table does not have", s->number,
			                 s->leaf);
	}
	return true;
}

static int by_number(const void *a, const void *b) {
	const struct segment *left = a, *right = b;
	return (left->number > right->number) - (left->number < right->number);
}

static bool absorb_segments(void *context, const struct engine_result *r) {
	struct claim *claim = context;
	struct error err;
	if (!claimed_add_segments(claim->claimed, r, &err))
		return decline(claim, CLAIM_UNREADABLE, err.message);
	if (claim->claimed->nsegments > 0)
		qsort(claim->claimed->segments, claim->claimed->nsegments, sizeof *claim->claimed->segments, by_number);
	return true;
}

static void claim_ended(void *context, const struct transaction_result *result) {
	struct claim *claim = context;
	enum claim_end end = CLAIM_TAKEN;
	switch (result->end) {
	case TRANSACTION_COMMITTED:
		break;
	case TRANSACTION_DECLINED:
		end = claim->declined;
		break;
	case TRANSACTION_REFUSED:
		end = CLAIM_REFUSED;
		text_format(claim->why, sizeof claim->why, "%s", result->message);
		break;
	case TRANSACTION_LOST:
	case TRANSACTION_UNKNOWN:
		end = CLAIM_BROKEN;
		text_format(claim->why, sizeof claim->why, "%s", result->message);
		break;
	}
	if (end != CLAIM_TAKEN)
		claimed_clear(claim->claimed);
	claim->done(claim->context, end, claim->why);
	free(claim);
}

struct claim *claim_start(struct link *link, const struct dialect *dialect, const char *job_id, const struct owner *owner,
                          int64_t owner_timeout_ms, const char *server, struct claimed *claimed, claim_done_fn *done,
                          void *context) {
	struct claim *claim = mem_alloc(sizeof *claim);
	*claim = (struct claim){
		.link = link, .dialect = dialect, .job_id = job_id, .owner = owner, .claimed = claimed, .done = done, .context = context};
	claimed_clear(claimed);

	struct transaction *t = transaction_new("claim", dialect_sql(dialect, "control_begin"));
	struct statement *s = transaction_add(t, "lock", dialect_sql(dialect, "claim_lock"), NULL, absorb_lock);
	statement_add_text(s, job_id);
	statement_add_text(s, owner->name);
	statement_add_text(s, owner->prefix);
	statement_add_int(s, owner_timeout_ms);
	statement_add_text(s, server);
	s = transaction_add(t, "shape", dialect_sql(dialect, "shape_check"), NULL, absorb_shape);
	statement_add_text(s, job_id);
	s = transaction_add(t, "end_backend", dialect_sql(dialect, "claim_end_backend"), NULL, NULL);
	statement_add_text(s, job_id);
	transaction_add(t, "take", dialect_sql(dialect, "claim_take"), prepare_take, absorb_take);
	transaction_add(t, "segments", dialect_sql(dialect, "claim_segments"), prepare_segments, absorb_segments);
	link_run(link, t, ANSWER_TIMEOUT_MS, 0, claim, claim_ended);
	return claim;
}
