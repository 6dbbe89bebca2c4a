#include "daemon/job/job_internal.h"

#include "common/mem.h"
#include "daemon/base/clock.h"
#include "daemon/base/log.h"
#include "daemon/job/plan_check.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

/* To read so many takes no longer than a batch may. Behind an ALTER a table has no statistics, and if it is small the server
 * sorts rather than to go by the index: preflight refuses that, as somebody is there to ANALYZE it, but it is no reason to stop a
 * job. */
enum { SMALL_TABLE_ROWS = 100000 };

struct job_check {
	struct plan_check check; /* first: it is what the transaction's steps get */
	struct job *job;
};

static void plan_is_known(struct job *job) {
	job->plan_suspect = false;
	free(job->planned_mark);
	job->planned_mark = mem_dup(job->claimed.key_mark);
}

static void pause_for_plan(struct job *job, const struct plan_check *check) {
	autofree char *reason =
		mem_printf("the plan has changed since the job was submitted: %s; ANALYZE the table, or give the key its "
	               "index back, and resume",
	               check->err.message);
	job_pause_for(job, reason);
}

static void tell_fine(struct job *job, const struct plan_check *check) {
	size_t i;
	const json_t *warning;
	jump_is_no_plan(&job->jump, clock_monotonic_us());
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

static void checked(void *context, const struct transaction_result *result) {
	struct job_check *made = context;
	struct plan_check *check = &made->check;
	struct job *job = made->job;
	bool suspect = job->plan_suspect;
	job->check = NULL;
	if (result->end != TRANSACTION_LOST && result->end != TRANSACTION_UNKNOWN)
		plan_is_known(job);
	plan_check_ended(check, result);
	if (check->end == PLAN_CHECK_BEYOND)
		pause_for_plan(job, check);
	else if (check->end != PLAN_CHECK_FINE) /* the batch meets the same, and says so better; or it has passed by then */
		log_debug(job->object, "its plan is not known: %s", check->err.message);
	else if (suspect)
		tell_fine(job, check);
	check_free(made);
	job_look(job);
}

bool job_plan_due(const struct job *job) {
	return job->plan_suspect || job->planned_mark == NULL || strcmp(job->planned_mark, job->claimed.key_mark) != 0;
}

void job_check_plan(struct job *job, const struct segment *segment) {
	const struct table_shape *shape = job->claimed.shape;
	struct job_check *made = mem_alloc(sizeof *made);
	*made = (struct job_check){.job = job,
	                           .check = {.name = "plan_check",
	                                     .dialect = target_dialect(job->target),
	                                     .job = job->claimed.job,
	                                     .shape = shape,
	                                     .leaf = &shape->leaves[segment->leaf],
	                                     .rows = job_batch_rows(job, segment),
	                                     .small_rows = SMALL_TABLE_ROWS,
	                                     .warnings = json_array()}};
	plan_key_copy(&made->check.behind, segment_behind(segment));
	plan_key_copy(&made->check.through, &segment->through);
	job->check = made;
	link_run(job->link, plan_check_transaction(&made->check), PLAN_CHECK_ANSWER_MS, 0, made, checked);
}
