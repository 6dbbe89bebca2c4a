/*
 * transaction.h: a list of statements that commit together or not at all, run one after the other on one connection.
 * A batch, a claim, a change of state: all are lists of steps, which later features extend.
 *
 * The end tells apart what callers must tell apart: committed, surely not committed, and not known (the connection was
 * lost after COMMIT was sent); only the checkpoint in the database knows then.
 */
#ifndef BACKFILLD_TRANSACTION_H
#define BACKFILLD_TRANSACTION_H

#include "daemon/engine/engine.h"

enum transaction_end {
	TRANSACTION_COMMITTED,
	TRANSACTION_DECLINED, /* a step said no (a fence matched no row): rolled back */
	TRANSACTION_REFUSED,  /* the server said no: rolled back */
	TRANSACTION_LOST,     /* the connection was lost before COMMIT was sent: nothing is committed */
	TRANSACTION_UNKNOWN,  /* the connection was lost after COMMIT was sent */
};

struct transaction_result {
	enum transaction_end end;
	const char *step;        /* the step that decided; "commit" for the last */
	enum engine_error error; /* of TRANSACTION_REFUSED */
	bool broken;             /* the connection is gone, whatever the end */
	char sqlstate[6];
	char message[640]; /* "" when committed */
};

/* What a step sends: the text is borrowed until the transaction ends, the parameters are copied. */
struct statement {
	const char *name; /* "checkpoint": for messages and failpoints */
	const char *sql;
	char **params;
	size_t nparams;
	bool repeated; /* for one that flies: as in struct engine_statement. False unless set */
	bool stands;   /* the same */
	bool strict;   /* as in struct engine_statement. False unless set */
};

void statement_add_text(struct statement *statement, const char *value); /* NULL = SQL NULL */
void statement_add_int(struct statement *statement, int64_t value);
void statement_clear_params(struct statement *statement);

/* Called just before the statement is sent; may set sql and params. False leaves the step out. */
typedef bool statement_prepare_fn(void *context, struct statement *statement);
/* Called with the statement's rows. False rolls the transaction back (TRANSACTION_DECLINED). */
typedef bool statement_absorb_fn(void *context, const struct engine_result *result);
/* The transaction is freed when this returns. */
typedef void transaction_done_fn(void *context, const struct transaction_result *result);

struct transaction;

/*
 * `name` is for failpoints ("batch"); `begin` is the text that opens it (copied), or NULL: then each step commits by
 * itself.
 */
struct transaction *transaction_new(const char *name, const char *begin);
/* Frees one that never ran. NULL allowed. */
void transaction_free(struct transaction *transaction);
/* Adds a step; prepare and absorb may be NULL. The statement is for adding parameters, valid until the next call here. A step
 * without a text is left out: the dialect has nothing to say there. */
struct statement *transaction_add(struct transaction *transaction, const char *name, const char *sql,
                                  statement_prepare_fn *prepare, statement_absorb_fn *absorb);
/* An absorb function that wants exactly one row matched: the fence. */
bool transaction_expect_one(void *context, const struct engine_result *result);
/*
 * Steps are sent together with those behind them, up to the first that has an absorb function: one round trip instead of one
 * each. `begin` and each step are one statement then, and a prepare function must not depend on an answer before it in the
 * flight, which is none that is absorbed. commits_along: COMMIT flies with the last step, whatever that absorbs: where the
 * transaction must not be committed that step has to fail on the server.
 */
void transaction_fly(struct transaction *transaction, bool commits_along);
/* Runs on an idle connection; `context` goes to every hook, `done_context` to done. timeout_ms bounds each statement. */
void transaction_run(struct transaction *transaction, struct engine_conn *conn, int timeout_ms, void *context,
                     transaction_done_fn *done, void *done_context);
/* For an owner that goes away: no hook and no done any more. The caller closes the connection, which rolls back. */
void transaction_abandon(struct transaction *transaction);

#endif
