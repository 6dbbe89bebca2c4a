#include "daemon/job/job_internal.h"

#include "common/mem.h"
#include "daemon/base/clock.h"
#include "daemon/base/log.h"
#include "daemon/job/plan_check.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

/* A table that may be read in full for each batch, if the key's index could be used: that takes no longer than a batch may.
 * Behind an ALTER it has no statistics, and the server sorts rather than to go by the index. Preflight refuses that, as somebody
 * is there to ANALYZE it, but it is no reason to stop a job. */
enum { SMALL_TABLE_ROWS = 100000, SMALL_TABLE_BYTES = 16 * 1024 * 1024 };
/* The server may have no answer for a while: what the plan waits for, an ALTER, may make it bad. */
static const int64_t again_us = 10000000;

struct job_check {
	struct plan_check check; /* first: it is what the transaction's steps get */
	struct job *job;
};

static void note_plan(struct job *job, int leaf) {
	job->plan_suspect = false;
	job->planned_leaf = leaf;
	free(job->planned_mark);
	job->planned_mark = mem_dup(job->claimed.key_mark);
}

static void pause_for_plan(struct job *job, const struct plan_check *check) {
	autofree char *reason =
		mem_printf("the plan has changed since the job was submitted: %s; ANALYZE the table, give the key its "
	               "index back, or set a smaller batch.max_rows, and resume",
	               check->err.message);
	job_pause_for(job, reason);
}

static void tell_fine(struct job *job, const struct plan_check *check) {
	size_t i;
	const json_t *warning;
	jump_excuse(&job->jump, clock_monotonic_us());
	log_info(job->object, "batches take much longer than they did; their plan is fine");
	json_array_foreach(check->warnings, i, warning) {
		log_warning(job->object, "%s", json_string_value(warning));
	}
}

static void check_free(struct job_check *made) {
	json_decref(made->check.warnings);
	plan_check_clear(&made->check);
	free(made);
}

/* What the batch meets itself it says better. If that passes by itself the look is owed; and where the connection is lost over
 * it, batches go first, or there would never be one. */
static void note_no_plan(struct job *job, int leaf, const struct plan_check *check) {
	log_debug(job->object, "its plan is not known: %s", check->err.message);
	job->plan_from_us = clock_monotonic_us() + again_us;
	if (check->err.code != ERROR_TRY_AGAIN)
		note_plan(job, leaf);
}

static void checked(void *context, const struct transaction_result *result) {
	struct job_check *made = context;
	struct plan_check *check = &made->check;
	struct job *job = made->job;
	int leaf = (int)(check->leaf - check->shape->leaves);
	bool suspect = job->plan_suspect;
	job->check = NULL;
	target_give_slot(job->target);
	plan_check_ended(check, result);
	switch (check->end) {
	case PLAN_CHECK_FINE:
		note_plan(job, leaf);
		if (suspect)
			tell_fine(job, check);
		break;
	case PLAN_CHECK_BEYOND:
		pause_for_plan(job, check);
		break;
	case PLAN_CHECK_NO_WORK:
	case PLAN_CHECK_UNKNOWN:
		note_no_plan(job, leaf, check);
		break;
	}
	check_free(made);
	job_look(job);
}

bool job_plan_due(const struct job *job, const struct segment *segment) {
	bool old =
		job->planned_mark == NULL || strcmp(job->planned_mark, job->claimed.key_mark) != 0 || job->planned_leaf != segment->leaf;
	return (old || job->plan_suspect) && clock_monotonic_us() >= job->plan_from_us;
}

/* The leaf may have grown since the job was submitted: it has the rows that we have seen. */
static int64_t known_rows(const struct job *job, int leaf) {
	int64_t seen = 0, estimated = job->claimed.shape->leaves[leaf].estimated_rows;
	for (size_t i = 0; i < job->claimed.nsegments; i++)
		if (job->claimed.segments[i].leaf == leaf)
			seen += job->claimed.segments[i].rows_scanned;
	return seen > estimated ? seen : estimated;
}

static int64_t small_rows(const struct shape_leaf *leaf) {
	int64_t rows = SMALL_TABLE_BYTES / (leaf->row_bytes > 0 ? leaf->row_bytes : 1);
	return rows < SMALL_TABLE_ROWS ? rows : SMALL_TABLE_ROWS;
}

void job_check_plan(struct job *job, const struct segment *segment) {
	const struct table_shape *shape = job->claimed.shape;
	const struct shape_leaf *leaf = &shape->leaves[segment->leaf];
	struct job_check *made = mem_alloc(sizeof *made);
	*made = (struct job_check){.job = job,
	                           .check = {.name = "plan_check",
	                                     .dialect = target_dialect(job->target),
	                                     .job = job->claimed.job,
	                                     .shape = shape,
	                                     .leaf = leaf,
	                                     .rows = job_batch_rows(job, segment),
	                                     .table_rows = known_rows(job, segment->leaf),
	                                     .small_rows = small_rows(leaf),
	                                     .warnings = json_array()}};
	plan_key_copy(&made->check.behind, segment_behind(segment));
	plan_key_copy(&made->check.through, &segment->through);
	job->check = made;
	ahead_forget(job->ahead);
	link_run(job->link, plan_check_transaction(&made->check), PLAN_CHECK_ANSWER_MS, 0, made, checked);
}
