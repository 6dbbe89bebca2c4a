/*
 * plan_check.h: how the server would find a batch's rows: asks for its plans of the look-up of the batch's end and of the work,
 * and judges whether they read more than their range. One transaction, which is rolled back.
 */
#ifndef BACKFILLD_PLAN_CHECK_H
#define BACKFILLD_PLAN_CHECK_H

#include "common/error.h"
#include "common/jobfile.h"
#include "daemon/engine/dialect.h"
#include "daemon/engine/transaction.h"
#include "daemon/job/plan.h"

#include <jansson.h>

enum { PLAN_CHECK_STATEMENT_MS = 5000, PLAN_CHECK_ANSWER_MS = PLAN_CHECK_STATEMENT_MS + 2000 };

enum plan_check_end {
	PLAN_CHECK_FINE,
	PLAN_CHECK_BEYOND,  /* reads beyond its range; or its result would depend on which rows share a batch */
	PLAN_CHECK_NO_WORK, /* the server refuses the work itself: what its fragments say, or a privilege */
	PLAN_CHECK_UNKNOWN, /* no plan, or none that can be read: nothing was judged */
};

/* What is asked; borrowed until the end, but for the keys. */
struct plan_check {
	const char *name; /* of the transaction: for failpoints */
	const struct dialect *dialect;
	const struct jobfile *job;
	const struct table_shape *shape;
	const struct shape_leaf *leaf;
	int64_t rows;       /* that the batch takes */
	int64_t table_rows; /* that the leaf has, about */
	int64_t small_rows; /* of a table that may be read in full */
	struct plan_key behind,
		through;      /* the batch begins behind the one, which may be none, and ends at the other at the latest; owned */
	bool empty;       /* the keys are NULLs, for the leaf has no rows: its plans tell nothing */
	json_t *warnings; /* is told what may be meant. NULL: nobody asks */

	/* The check's own. */
	enum plan_check_end end;
	struct error err; /* unless it is fine: why, and what to do */
	bool asks_again;
	char *settings, *explain_boundary, *boundary, *row_check, *explain_work;
	struct window window;
};

/* Frees what is owned, and the texts. */
void plan_check_clear(struct plan_check *check);
/* A new transaction, whose context is the check. Its end says nothing by itself: plan_check_ended does. */
struct transaction *plan_check_transaction(struct plan_check *check);
/* Reads the transaction's end; `end` and `err` are valid from then on. */
void plan_check_ended(struct plan_check *check, const struct transaction_result *result);

/* Whether the server's no is about the job (ERROR_DATA), or may pass by itself (ERROR_TRY_AGAIN). */
enum error_code plan_check_code_of(enum engine_error error);

#endif
