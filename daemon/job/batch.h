/*
 * batch.h: one batch: the look-up of its end, the work over (behind, through], and the checkpoint with the fence, as
 * one transaction. Says what came of it; what follows from that is the job's business.
 */
#ifndef BACKFILLD_BATCH_H
#define BACKFILLD_BATCH_H

#include "common/jobfile.h"
#include "daemon/engine/dialect.h"
#include "daemon/engine/link.h"
#include "daemon/engine/shape.h"
#include "daemon/job/plan.h"

enum batch_end {
	BATCH_COMMITTED,
	BATCH_FENCED,  /* the segment's row is no longer ours or not where we thought, or the table another: claim again */
	BATCH_UNKNOWN, /* the connection was lost: read the checkpoint */
	BATCH_RACED,   /* rolled back: other rows were changed than those whose old values had been kept */
	BATCH_REFUSED, /* rolled back; `error` says why */
};

struct batch_result {
	enum batch_end end;
	enum engine_error error;
	const char *step; /* where it was refused */
	const char *message;
	struct window window; /* what was, or would have been, done; owned by the batch */
	int64_t rows_changed, rows_conflicted;
	char place[PLAN_MAX_PLACE]; /* where the segment's row is now, if committed */
	int64_t work_us;            /* our statement alone */
	int64_t reading_us;         /* from the begin to its end: what the server's plans decide, but for what was looked up ahead */
	int64_t batch_us;           /* the whole transaction */
};

/* The statements' texts. They are the same while the same claim works on the same leaf, and kept as long. */
struct batch_texts;
/* NULL allowed. */
void batch_texts_free(struct batch_texts *texts);

/* What a batch is made of; everything is borrowed until done. */
struct batch_request {
	struct batch_texts **texts; /* the caller's: NULL at first, and after each claim */
	const struct dialect *dialect;
	const struct jobfile *job;
	const struct table_shape *shape;
	const char *key_mark; /* what the claim found */
	const struct segment *segment;
	int64_t epoch;
	bool own_session; /* what is the same in each batch may be kept parsed in it */
	int64_t rows;
	int64_t statement_timeout_ms;
	int64_t lock_timeout_ms;
	struct window window; /* what to do, if it is known already: the batch takes it. Of no rows: the batch looks for itself */
};

/* The window is known, and the work about to be sent. */
typedef void batch_bounded_fn(void *context, const struct window *window);

typedef void batch_done_fn(void *context, const struct batch_result *result);

struct batch;
/* Runs on the job's own link, which must be up and idle. The result is valid during the callback; the batch frees itself after
 * it. */
struct batch *batch_start(struct link *link, const struct batch_request *request, batch_bounded_fn *bounded, batch_done_fn *done,
                          void *context);

#endif
