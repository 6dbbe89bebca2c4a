/*
 * boundary.h: where a window ends. The batch asks for it itself, in its own transaction; or it has been asked already, on a
 * connection of its own while the batch before ran. That answer is a hint, good for as long as batches follow one another:
 * which rows are done is decided by the range alone, so that a stale one makes a batch larger or smaller and never wrong.
 */
#ifndef BACKFILLD_BOUNDARY_H
#define BACKFILLD_BOUNDARY_H

#include "daemon/engine/dialect.h"
#include "daemon/engine/link.h"
#include "daemon/job/plan.h"

/* A parameter for each of the key's columns. */
void boundary_add_key(struct statement *statement, const struct plan_key *key);
/* Parameters of the dialect's boundary (limit: rows - 1) and count (limit: rows). */
void boundary_add_params(struct statement *statement, const struct plan_key *behind, const struct plan_key *through,
                         int64_t limit);
/* Fills *window from the boundary's answer; false when fewer than `rows` rows are left before `through`. */
bool boundary_read(const struct engine_result *result, const struct plan_key *through, int64_t rows, struct window *window);

struct ahead;

/* Starts connecting. */
struct ahead *ahead_new(struct ev_loop *loop, const struct engine *engine, const char *url, const char *application_name);
/* NULL allowed. */
void ahead_free(struct ahead *ahead);
/* Asks for the window of so many rows in (behind, through]. Copies everything. Does nothing while it can't be asked. own_session:
 * as in struct batch_request. */
void ahead_look(struct ahead *ahead, const struct table_shape *shape, const struct shape_leaf *leaf,
                const struct plan_key *behind, const struct plan_key *through, int64_t rows, bool own_session);
/*
 * Moves the answer to *window, if there is one, fresh, of about that many rows at most. Whatever else was asked is forgotten: it
 * was for the batch that starts now. NULL allowed.
 */
void ahead_take(struct ahead *ahead, int64_t rows, struct window *window);
/* What was asked, or is being asked, is no longer of use. NULL allowed. */
void ahead_forget(struct ahead *ahead);

#endif
