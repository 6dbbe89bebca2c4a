#include "daemon/job/round.h"

#include "common/mem.h"
#include "common/strbuf.h"
#include "common/text.h"
#include "daemon/base/log.h"
#include "daemon/engine/transaction.h"
#include "daemon/job/boundary.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

/* New rows are counted up to so many a leaf, for the progress. */
enum { ANSWER_TIMEOUT_MS = 15000, MOST_COUNTED = 100000 };

/* What the round does in one leaf. */
struct piece {
	int leaf;
	struct plan_key former;  /* where the last round ended; none: it had no row yet */
	struct plan_key through; /* none: nothing to do */
	char *last_key_sql, *count_sql;
};

struct round {
	struct link *link;
	const struct dialect *dialect;
	struct claimed *claimed;
	round_done_fn *done;
	void *context;
	enum phase phase;
	struct piece *pieces; /* one a leaf */
	size_t npieces;
	size_t next; /* of the steps that there are for each leaf */
	size_t nadded, nsegments;
	int64_t new_rows;
	char *settings_sql, *marker, *writers;
	struct pending_event *event;
	enum round_end declined; /* what it means when a step declines */
	bool nameless;           /* among those that we wait for are prepared transactions, of which `why` has no name */
	char why[sizeof((struct error *)0)->message];
};

static void round_free(struct round *round) {
	for (size_t i = 0; i < round->npieces; i++) {
		plan_key_clear(&round->pieces[i].former);
		plan_key_clear(&round->pieces[i].through);
		free(round->pieces[i].last_key_sql);
		free(round->pieces[i].count_sql);
	}
	free(round->pieces);
	free(round->settings_sql);
	free(round->marker);
	free(round->writers);
	free(round);
}

static bool next_phase(const struct claimed *claimed, enum phase *phase) {
	for (size_t i = 0; i < claimed->nsegments; i++)
		if (!claimed->segments[i].done)
			return false;
	return plan_next_phase(claimed->round, claimed->phase, claimed->segments, claimed->nsegments, claimed->job->settings.follow,
	                       claimed->job->sweep, phase);
}

bool round_due(const struct claimed *claimed) {
	enum phase phase;
	return (claimed->round > 0 && !claimed->open) || next_phase(claimed, &phase);
}

static bool absorb_wait(void *context, const struct engine_result *r) {
	struct round *round = context;
	if (r->nrows == 0)
		return true;
	round->declined = ROUND_WAIT;
	text_format(
		round->why, sizeof round->why,
		"waiting for %s writing transaction(s) that may have written below the last key, the oldest: pid %s, user %s, %s s, "
		"%s",
		engine_value(r, 0, 0), engine_value(r, 0, 1), engine_value(r, 0, 2), engine_value(r, 0, 3), engine_value(r, 0, 4));
	round->nameless = strcmp(engine_value(r, 0, 5), "true") == 0;
	return false;
}

static void add_wait(struct round *round, struct transaction *t) {
	const struct claimed *claimed = round->claimed;
	if (!claimed->job->settings.wait_for_writers || claimed->freeze_marker == NULL)
		return;
	struct statement *s = transaction_add(t, "wait", dialect_sql(round->dialect, "round_wait"), NULL, absorb_wait);
	statement_add_text(s, claimed->freeze_marker);
	statement_add_text(s, claimed->freeze_writers);
}

static void tell(struct round *round, enum round_end end) {
	round->done(round->context, end, round->why);
	round_free(round);
}

static bool absorb_prepared(void *context, const struct engine_result *r) {
	struct round *round = context;
	autostrbuf names = {0};
	for (int row = 0; row < r->nrows; row++)
		strbuf_printf(&names, "%s%s", row > 0 ? ", " : "; prepared: ", engine_value(r, row, r->ncolumns - 1));
	autofree char *why = mem_dup(round->why);
	text_format(round->why, sizeof round->why, "%s%s", why, names.data != NULL ? names.data : "");
	return true;
}

/* Whether or not they could be asked for: we wait. */
static void named(void *context, const struct transaction_result *result) {
	(void)result;
	tell(context, ROUND_WAIT);
}

static void ask_for_prepared(struct round *round) {
	struct transaction *t = transaction_new("prepared", NULL);
	transaction_add(t, "prepared", dialect_sql(round->dialect, "round_prepared"), NULL, absorb_prepared);
	link_run(round->link, t, ANSWER_TIMEOUT_MS, 0, round, named);
}

static void ended(struct round *round, const struct transaction_result *result) {
	enum round_end end = ROUND_DONE;
	if (result->end == TRANSACTION_DECLINED)
		end = round->declined;
	else if (result->end != TRANSACTION_COMMITTED)
		end = result->end == TRANSACTION_REFUSED ? ROUND_REFUSED : ROUND_BROKEN;
	if (result->end != TRANSACTION_DECLINED)
		text_format(round->why, sizeof round->why, "%s", result->message);
	if (end == ROUND_WAIT && round->nameless && !result->broken)
		ask_for_prepared(round);
	else
		tell(round, end);
}

/* --- to open --- */

static void opened(void *context, const struct transaction_result *result) {
	struct round *round = context;
	if (result->end == TRANSACTION_COMMITTED)
		round->claimed->open = true;
	ended(round, result);
}

static void start_open(struct round *round) {
	const struct claimed *claimed = round->claimed;
	struct transaction *t = transaction_new("open", dialect_sql(round->dialect, "control_begin"));
	add_wait(round, t);
	struct statement *s = transaction_add(t, "open", dialect_sql(round->dialect, "round_open"), NULL, transaction_expect_one);
	statement_add_text(s, claimed->job->id);
	statement_add_int(s, claimed->epoch);
	statement_add_int(s, claimed->round);
	link_run(round->link, t, ANSWER_TIMEOUT_MS, 0, round, opened);
}

/* --- to begin --- */

static bool is_same(const char *mark, const char *known) {
	return mark != NULL && known != NULL && strcmp(mark, known) == 0;
}

/* We may have waited long for writers. Only the claim says what has changed. */
static bool absorb_marks(void *context, const struct engine_result *r) {
	const struct round *round = context;
	return is_same(engine_value(r, 0, 2), round->claimed->leaves_mark) &&
	       is_same(engine_value(r, 0, 3), round->claimed->key_mark);
}

static bool prepare_last_key(void *context, struct statement *statement) {
	struct round *round = context;
	boundary_add_key(statement, &round->pieces[round->next++].former);
	return true;
}

static bool absorb_last_key(void *context, const struct engine_result *r) {
	struct round *round = context;
	struct plan_key *through = &round->pieces[round->next - 1].through;
	for (int i = 0; r->nrows == 1 && i < r->ncolumns; i++)
		through->values[through->n++] = mem_dup(engine_value(r, 0, i));
	round->nadded += through->n > 0;
	return true;
}

static bool prepare_count(void *context, struct statement *statement) {
	struct round *round = context;
	const struct piece *piece = &round->pieces[round->next - 1];
	if (piece->through.n == 0)
		return false;
	boundary_add_params(statement, &piece->former, &piece->through, MOST_COUNTED);
	return true;
}

static bool absorb_count(void *context, const struct engine_result *r) {
	struct round *round = context;
	round->new_rows += strtoll(engine_value(r, 0, 0), NULL, 10);
	return true;
}

/* The first round has the planner's estimate, others begin where the last one ended. */
static int64_t estimated_rows(const struct round *round) {
	const struct claimed *claimed = round->claimed;
	if (round->phase == PHASE_FULL)
		return claimed->estimated_rows;
	int64_t scanned = 0;
	for (size_t i = 0; i < claimed->nsegments; i++)
		scanned += claimed->segments[i].rows_scanned;
	return round->phase == PHASE_SWEEP ? 2 * scanned : scanned + round->new_rows;
}

static bool prepare_take(void *context, struct statement *statement) {
	struct round *round = context;
	int64_t estimated = estimated_rows(round);
	statement_add_text(statement, round->claimed->job->id);
	statement_add_int(statement, round->claimed->epoch);
	statement_add_int(statement, round->claimed->round);
	statement_add_text(statement, phase_name(round->phase));
	statement_add_text(statement, round->nadded > 0 ? "true" : "false");
	if (estimated >= 0)
		statement_add_int(statement, estimated);
	else
		statement_add_text(statement, NULL);
	round->next = 0;
	return true;
}

static bool absorb_take(void *context, const struct engine_result *r) {
	struct round *round = context;
	if (r->nrows != 1)
		return false;
	round->marker = mem_dup(engine_value(r, 0, 0));
	round->writers = mem_dup(engine_value(r, 0, 1));
	return true;
}

static bool prepare_segment(void *context, struct statement *statement) {
	struct round *round = context;
	const struct claimed *claimed = round->claimed;
	const struct piece *piece = &round->pieces[round->next++];
	if (piece->through.n == 0)
		return false;
	autofree char *after = round->phase == PHASE_FOLLOW ? plan_key_to_text(&piece->former) : NULL;
	autofree char *through = plan_key_to_text(&piece->through);
	statement_add_text(statement, claimed->job->id);
	statement_add_int(statement, claimed->nsegments > 0 ? claimed->segments[claimed->nsegments - 1].number + 1 : 1);
	statement_add_int(statement, piece->leaf);
	statement_add_int(statement, claimed->round + 1);
	statement_add_text(statement, after);
	statement_add_text(statement, through);
	statement_add_int(statement, claimed->epoch);
	return true;
}

static bool absorb_segment(void *context, const struct engine_result *r) {
	struct round *round = context;
	struct error err;
	if (claimed_add_segments(round->claimed, r, &err))
		return true;
	round->declined = ROUND_REFUSED;
	text_format(round->why, sizeof round->why, "%s", err.message);
	return false;
}

static void begun(void *context, const struct transaction_result *result) {
	struct round *round = context;
	struct claimed *claimed = round->claimed;
	if (result->end == TRANSACTION_COMMITTED) {
		target_event_committed(round->event);
		claimed->round++;
		claimed->phase = round->phase;
		claimed->open = round->nadded == 0;
		claimed->estimated_rows = estimated_rows(round);
		free(claimed->freeze_marker);
		free(claimed->freeze_writers);
		claimed->freeze_marker = round->marker;
		claimed->freeze_writers = round->writers;
		round->marker = round->writers = NULL;
	} else {
		target_event_dropped(round->event);
		while (claimed->nsegments > round->nsegments)
			segment_clear(&claimed->segments[--claimed->nsegments]);
	}
	ended(round, result);
}

/* A partition that has gone since its rows were done is no matter. */
static bool is_there(const struct claimed *claimed, const struct shape_leaf *leaf) {
	autofree char *marks = mem_printf(" %s ", claimed->leaves_mark);
	autofree char *mark = mem_printf(" %lld ", (long long)leaf->oid);
	return strstr(marks, mark) != NULL;
}

static void add_piece(struct round *round, int leaf) {
	const struct claimed *claimed = round->claimed;
	struct piece *piece = &round->pieces[round->npieces];
	if (round->phase != PHASE_FULL && !is_there(claimed, &claimed->shape->leaves[leaf]))
		return;
	round->npieces++;
	piece->leaf = leaf;
	for (size_t i = 0; i < claimed->nsegments; i++)
		if (claimed->segments[i].leaf == leaf)
			plan_key_copy(&piece->former, &claimed->segments[i].through);
	if (round->phase == PHASE_SWEEP) {
		plan_key_copy(&piece->through, &piece->former);
		round->nadded += piece->through.n > 0;
	}
}

static void add_look(const struct round *round, struct transaction *t, struct piece *piece) {
	const struct table_shape *shape = round->claimed->shape;
	const struct shape_leaf *leaf = &shape->leaves[piece->leaf];
	bool has_after = piece->former.n > 0;
	piece->last_key_sql = round->dialect->last_key(shape, leaf, has_after);
	transaction_add(t, "last_key", piece->last_key_sql, prepare_last_key, absorb_last_key);
	if (round->phase != PHASE_FOLLOW)
		return;
	piece->count_sql = round->dialect->count(shape, leaf, has_after);
	transaction_add(t, "count", piece->count_sql, prepare_count, absorb_count);
}

/* The marker must be younger than whatever wrote below the last keys: before `take` nothing may give the transaction an id. */
static void start_begin(struct round *round, struct target *target) {
	struct claimed *claimed = round->claimed;
	const struct table_shape *shape = claimed->shape;
	round->pieces = mem_alloc(shape->nleaves * sizeof *round->pieces);
	round->nsegments = claimed->nsegments;
	for (size_t i = 0; i < shape->nleaves; i++)
		add_piece(round, (int)i);

	/* Keys must be read under the settings that batches write them under. */
	struct dialect_session session = {.statement_timeout_ms = 10000, .lock_timeout_ms = 2000, .wait_for_disk = true};
	round->settings_sql = round->dialect->settings(shape, &session);
	struct transaction *t = transaction_new("round", dialect_sql(round->dialect, "begin"));
	transaction_fly(t, false);
	transaction_add(t, "settings", round->settings_sql, NULL, NULL);
	transaction_add(t, "constraints", dialect_sql(round->dialect, "constraints_immediate"), NULL, NULL);
	add_wait(round, t);
	struct statement *s = transaction_add(t, "shape", dialect_sql(round->dialect, "shape_check"), NULL, absorb_marks);
	statement_add_text(s, claimed->job->id);
	for (size_t i = 0; i < round->npieces && round->phase != PHASE_SWEEP; i++)
		add_look(round, t, &round->pieces[i]);
	transaction_add(t, "take", dialect_sql(round->dialect, "round_take"), prepare_take, absorb_take);
	for (size_t i = 0; i < round->npieces; i++)
		transaction_add(t, "segment", dialect_sql(round->dialect, "round_segment"), prepare_segment, absorb_segment);
	round->event = target_event_step(target, t, "job.round", claimed->job->id, "backfilld", NULL,
	                                 json_pack("{s:i, s:s}", "round", claimed->round + 1, "phase", phase_name(round->phase)));
	link_run(round->link, t, ANSWER_TIMEOUT_MS, 0, round, begun);
}

struct round *round_start(struct link *link, struct target *target, struct claimed *claimed, round_done_fn *done, void *context) {
	struct round *round = mem_alloc(sizeof *round);
	*round = (struct round){.link = link,
	                        .dialect = target_dialect(target),
	                        .claimed = claimed,
	                        .declined = ROUND_FENCED,
	                        .done = done,
	                        .context = context};
	if (next_phase(claimed, &round->phase) && (claimed->round == 0 || claimed->open))
		start_begin(round, target);
	else
		start_open(round);
	return round;
}
