#include "daemon/job/batch.h"

#include "common/mem.h"
#include "common/text.h"
#include "daemon/base/clock.h"
#include "daemon/engine/transaction.h"
#include "daemon/job/boundary.h"

#include <stdlib.h>
#include <string.h>

/* Beyond the server's own statement time-out: then the network is to blame, and the connection is given up. */
enum { ANSWER_GRACE_MS = 2000 };

/* How the checkpoint says that it matched no row (dialect.h): the server itself refuses the COMMIT that flies behind it. */
static const char fenced_sqlstate[] = "22012";

struct batch_texts {
	int leaf;
	bool has_behind;
	char *settings, *boundary, *count, *capture, *work, *checkpoint; /* capture: NULL if there is nothing to */
};

struct batch {
	struct batch_request request;
	batch_bounded_fn *bounded;
	batch_done_fn *done;
	void *context;
	struct batch_result result;
	bool known;   /* the window, from before or by the boundary look-up */
	bool raced;   /* the rows changed are not those captured */
	bool nothing; /* no row was captured: there is nothing to change */
	int64_t started_us, work_started_us;
};

void batch_texts_free(struct batch_texts *texts) {
	if (texts == NULL)
		return;
	free(texts->settings);
	free(texts->boundary);
	free(texts->count);
	free(texts->capture);
	free(texts->work);
	free(texts->checkpoint);
	free(texts);
}

static void batch_free(struct batch *batch) {
	window_clear(&batch->result.window);
	free(batch);
}

static bool prepare_boundary(void *context, struct statement *statement) {
	struct batch *batch = context;
	const struct segment *segment = batch->request.segment;
	if (batch->known)
		return false;
	boundary_add_params(statement, segment_behind(segment), &segment->through, batch->request.rows - 1);
	return true;
}

static const struct shape_leaf *leaf_of(const struct batch_request *request) {
	return &request->shape->leaves[request->segment->leaf];
}

static bool absorb_boundary(void *context, const struct engine_result *result) {
	struct batch *batch = context;
	const struct batch_request *request = &batch->request;
	batch->known = boundary_read(result, &request->segment->through, request->rows, &batch->result.window);
	return true;
}

/* Only when fewer rows than asked for are left. */
static bool prepare_count(void *context, struct statement *statement) {
	struct batch *batch = context;
	const struct segment *segment = batch->request.segment;
	if (batch->known)
		return false;
	boundary_add_params(statement, segment_behind(segment), &segment->through, batch->request.rows);
	return true;
}

static bool absorb_count(void *context, const struct engine_result *result) {
	struct batch *batch = context;
	int64_t left = strtoll(engine_value(result, 0, 0), NULL, 10);
	window_from_rest(&batch->result.window, &batch->request.segment->through, left);
	return true;
}

static void add_range(const struct batch *batch, struct statement *statement) {
	const struct segment *segment = batch->request.segment;
	boundary_add_key(statement, segment_behind(segment));
	boundary_add_key(statement, &batch->result.window.through);
	if (!batch->request.job->keep_old_values)
		return;
	statement_add_text(statement, batch->request.job->id);
	statement_add_int(statement, segment->number);
	statement_add_int(statement, segment->batch_id + 1);
}

static void begin_work(struct batch *batch) {
	batch->work_started_us = clock_monotonic_us();
	batch->bounded(batch->context, &batch->result.window);
}

static void end_work(struct batch *batch) {
	int64_t now = clock_monotonic_us();
	batch->result.work_us = now - batch->work_started_us;
	batch->result.reading_us = now - batch->started_us;
}

static bool prepare_capture(void *context, struct statement *statement) {
	struct batch *batch = context;
	begin_work(batch);
	add_range(batch, statement);
	return true;
}

static bool absorb_capture(void *context, const struct engine_result *result) {
	struct batch *batch = context;
	batch->nothing = result->affected == 0;
	if (batch->nothing)
		end_work(batch);
	return true;
}

static bool prepare_work(void *context, struct statement *statement) {
	struct batch *batch = context;
	if (batch->nothing)
		return false;
	if ((*batch->request.texts)->capture == NULL)
		begin_work(batch);
	add_range(batch, statement);
	return true;
}

static bool absorb_work(void *context, const struct engine_result *result) {
	struct batch *batch = context;
	end_work(batch);
	if (result->nrows == 1 && result->ncolumns >= 2) {
		batch->result.rows_changed = strtoll(engine_value(result, 0, 0), NULL, 10);
		batch->result.rows_conflicted = strtoll(engine_value(result, 0, 1), NULL, 10);
	} else {
		batch->result.rows_changed = result->affected;
	}
	batch->raced = result->ncolumns == 3 && strcmp(engine_value(result, 0, 2), "true") != 0;
	return !batch->raced;
}

static bool prepare_checkpoint(void *context, struct statement *statement) {
	struct batch *batch = context;
	const struct segment *segment = batch->request.segment;
	const struct shape_leaf *leaf = leaf_of(&batch->request);
	autofree char *position = plan_key_to_text(&batch->result.window.through);
	statement_add_text(statement, batch->request.job->id);
	statement_add_int(statement, segment->number);
	statement_add_int(statement, batch->request.epoch);
	statement_add_int(statement, segment->batch_id);
	statement_add_text(statement, position);
	statement_add_int(statement, batch->result.window.rows_scanned);
	statement_add_int(statement, batch->result.rows_changed);
	statement_add_int(statement, batch->result.rows_conflicted);
	statement_add_text(statement, batch->result.window.last ? "true" : "false");
	statement_add_int(statement, leaf->oid);
	statement_add_text(statement, leaf->schema);
	statement_add_text(statement, leaf->name);
	statement_add_text(statement, batch->request.key_mark);
	statement_add_text(statement, segment->place);
	return true;
}

static bool absorb_checkpoint(void *context, const struct engine_result *result) {
	struct batch *batch = context;
	if (result->nrows == 1)
		text_format(batch->result.place, sizeof batch->result.place, "%s", engine_value(result, 0, 0));
	return transaction_expect_one(context, result);
}

static bool is_fenced(const struct transaction_result *result) {
	return strcmp(result->step, "checkpoint") == 0 &&
	       (result->end == TRANSACTION_DECLINED || strcmp(result->sqlstate, fenced_sqlstate) == 0);
}

/* Somebody inserted a row that the insert was to skip or update, behind its look. */
static bool is_met_late(const struct batch_request *request, const struct transaction_result *result) {
	return request->dialect->looks_first && request->job->kind == JOB_INSERT && request->job->on_conflict != CONFLICT_ERROR &&
	       result->error == ENGINE_ERROR_DUPLICATE && strcmp(result->step, "work") == 0;
}

static void ended(void *context, const struct transaction_result *result) {
	struct batch *batch = context;
	struct batch_result *r = &batch->result;
	r->batch_us = clock_monotonic_us() - batch->started_us;
	r->error = result->error;
	r->step = result->step;
	r->message = result->message;
	switch (result->end) {
	case TRANSACTION_COMMITTED:
		r->end = BATCH_COMMITTED;
		break;
	case TRANSACTION_DECLINED:
		r->end = is_fenced(result) ? BATCH_FENCED : BATCH_RACED;
		break;
	case TRANSACTION_REFUSED:
		r->end = is_fenced(result) ? BATCH_FENCED : is_met_late(&batch->request, result) ? BATCH_RACED : BATCH_REFUSED;
		break;
	case TRANSACTION_LOST:
	case TRANSACTION_UNKNOWN:
		/* Told apart for messages only: either way nothing but the checkpoint is believed. */
		r->end = BATCH_UNKNOWN;
		break;
	}
	batch->done(batch->context, r);
	batch_free(batch);
}

static struct batch_texts *write_texts(const struct batch_request *request) {
	const struct dialect *dialect = request->dialect;
	const struct shape_leaf *leaf = leaf_of(request);
	bool has_behind = segment_behind(request->segment)->n > 0, keep = request->job->keep_old_values;
	struct dialect_session session = {
		.statement_timeout_ms = request->statement_timeout_ms,
		.lock_timeout_ms = request->lock_timeout_ms,
		.wait_for_disk = request->job->durability == DURABILITY_BATCH,
		.row_image = request->job->binlog_row_image,
	};
	struct batch_texts *texts = mem_alloc(sizeof *texts);
	*texts = (struct batch_texts){
		.leaf = request->segment->leaf,
		.has_behind = has_behind,
		.settings = dialect->settings(request->shape, &session),
		.boundary = dialect->boundary(request->shape, leaf, has_behind),
		.count = dialect->count(request->shape, leaf, has_behind),
		.capture = keep ? dialect->capture(request->job, request->shape, leaf, has_behind) : NULL,
		.work = (keep ? dialect->work_kept : dialect->work)(request->job, request->shape, leaf, has_behind),
		.checkpoint = dialect->checkpoint(request->shape),
	};
	return texts;
}

static const struct batch_texts *texts_of(const struct batch_request *request) {
	struct batch_texts *texts = *request->texts;
	if (texts != NULL && texts->leaf == request->segment->leaf && texts->has_behind == (segment_behind(request->segment)->n > 0))
		return texts;
	batch_texts_free(texts);
	*request->texts = write_texts(request);
	return *request->texts;
}

struct batch *batch_start(struct link *link, const struct batch_request *request, batch_bounded_fn *bounded, batch_done_fn *done,
                          void *context) {
	struct batch *batch = mem_alloc(sizeof *batch);
	*batch = (struct batch){
		.request = *request, .bounded = bounded, .done = done, .context = context, .started_us = clock_monotonic_us()};
	batch->result.window = request->window;
	batch->known = request->window.rows_scanned > 0;

	const struct batch_texts *texts = texts_of(request);
	const struct dialect *dialect = request->dialect;
	bool own = request->own_session;
	struct transaction *t = transaction_new("batch", dialect_sql(dialect, "begin"));
	transaction_fly(t, dialect->fence_fails);
	struct statement *settings = transaction_add(t, "settings", texts->settings, NULL, NULL);
	settings->repeated = settings->stands = own;
	transaction_add(t, "constraints", dialect_sql(dialect, "constraints_immediate"), NULL, NULL);
	transaction_add(t, "boundary", texts->boundary, prepare_boundary, absorb_boundary);
	transaction_add(t, "count", texts->count, prepare_count, absorb_count);
	if (texts->capture != NULL)
		transaction_add(t, "capture", texts->capture, prepare_capture, absorb_capture)->strict = true;
	/* Not kept parsed: a literal like 'now'::timestamptz would be, too. */
	transaction_add(t, "work", texts->work, prepare_work, absorb_work)->strict = true;
	transaction_add(t, "by_place", dialect_sql(dialect, "checkpoint_by_place"), NULL, NULL)->repeated = own;
	transaction_add(t, "checkpoint", texts->checkpoint, prepare_checkpoint, absorb_checkpoint)->repeated = own;
	link_run(link, t, (int)request->statement_timeout_ms + ANSWER_GRACE_MS, 0, batch, ended);
	return batch;
}
