#include "daemon/serve/gather.h"

#include "common/mem.h"
#include "daemon/engine/transaction.h"

#include <stdlib.h>
#include <string.h>

struct gather {
	char *sql;
	char *params[2];
	size_t pending;
	json_t *answers; /* an array of arrays, one a target: their order is the configuration's */
	json_t *warnings;
	struct error err;
	gather_done_fn *done;
	void *context;
};

struct part {
	struct gather *gather;
	struct target *target;
	size_t index;
};

static void part_over(struct gather *gather) {
	if (--gather->pending > 0)
		return;
	json_t *rows = json_array(), *some;
	size_t i;
	json_array_foreach(gather->answers, i, some) {
		json_array_extend(rows, some);
	}
	gather->done(gather->context, rows, gather->warnings, gather->err.code != ERROR_NONE ? &gather->err : NULL);
	json_decref(rows);
	json_decref(gather->answers);
	json_decref(gather->warnings);
	free(gather->sql);
	free(gather->params[0]);
	free(gather->params[1]);
	free(gather);
}

static void part_failed(struct gather *gather, const struct error *err) {
	gather->err = *err;
	json_array_append_new(gather->warnings, json_sprintf("%s%s%s", err->message, err->hint[0] != '\0' ? "; " : "", err->hint));
}

static bool absorb(void *context, const struct engine_result *r) {
	struct part *part = context;
	json_t *rows = json_array_get(part->gather->answers, part->index);
	for (int row = 0; row < r->nrows; row++)
		json_array_append_new(rows, json_loads(engine_value(r, row, 0), 0, NULL));
	return true;
}

static void answered(void *context, const struct transaction_result *result) {
	struct part *part = context;
	if (result->end != TRANSACTION_COMMITTED) {
		struct error err;
		error_set(&err, ERROR_TRY_AGAIN, "target %s: %s", target_config(part->target)->name, result->message);
		part_failed(part->gather, &err);
	}
	struct gather *gather = part->gather;
	free(part);
	part_over(gather);
}

static void ask(void *context) {
	struct part *part = context;
	struct gather *gather = part->gather;
	struct error err;
	if (!target_ready(part->target, &err)) {
		part_failed(gather, &err);
		free(part);
		part_over(gather);
		return;
	}
	struct transaction *t = transaction_new("gather", NULL);
	struct statement *s = transaction_add(t, "gather", dialect_sql(target_dialect(part->target), gather->sql), NULL, absorb);
	statement_add_text(s, gather->params[0]);
	statement_add_text(s, gather->params[1]);
	target_run(part->target, t, part, answered);
}

void gather_start(struct scheduler *scheduler, const struct gather_question *question, gather_done_fn *done, void *context) {
	struct gather *gather = mem_alloc(sizeof *gather);
	gather->sql = mem_dup(question->sql);
	gather->params[0] = mem_dup(question->params[0]);
	gather->params[1] = mem_dup(question->params[1]);
	gather->answers = json_array();
	gather->warnings = json_array();
	gather->done = done;
	gather->context = context;
	gather->pending = 1; /* ourselves */
	for (size_t i = 0; i < scheduler_target_count(scheduler); i++) {
		struct target *target = scheduler_target_at(scheduler, i);
		if (question->only_target != NULL && strcmp(question->only_target, target_config(target)->name) != 0)
			continue;
		struct part *part = mem_alloc(sizeof *part);
		*part = (struct part){.gather = gather, .target = target, .index = json_array_size(gather->answers)};
		json_array_append_new(gather->answers, json_array());
		gather->pending++;
		target_await(target, ask, part);
	}
	part_over(gather);
}
