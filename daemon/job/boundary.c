#include "daemon/job/boundary.h"

#include "common/mem.h"
#include "daemon/base/clock.h"
#include "daemon/engine/transaction.h"

#include <stdlib.h>

enum {
	KEEPS_US = 1000000, /* then so much may have been inserted that the window is not what it was */
	STATEMENT_MS = 5000,
	ANSWER_MS = STATEMENT_MS + 2000,
};

void boundary_add_key(struct statement *statement, const struct plan_key *key) {
	for (size_t i = 0; i < key->n; i++)
		statement_add_text(statement, key->values[i]);
}

void boundary_add_params(struct statement *statement, const struct plan_key *behind, const struct plan_key *through,
                         int64_t limit) {
	boundary_add_key(statement, behind);
	boundary_add_key(statement, through);
	statement_add_int(statement, limit);
}

bool boundary_read(const struct engine_result *result, const struct plan_key *through, int64_t rows, struct window *window) {
	if (result->nrows == 0)
		return false;
	if (result->nrows == 1) { /* no row behind it: the segment ends with this window */
		window_from_rest(window, through, rows);
		return true;
	}
	struct plan_key key = {0};
	for (int i = 0; i < result->ncolumns; i++)
		key.values[key.n++] = mem_dup(engine_value(result, 0, i));
	window_from_boundary(window, &key, rows);
	plan_key_clear(&key);
	return true;
}

struct ahead {
	struct link *link;
	const struct dialect *dialect;
	bool asking, forgotten; /* forgotten: the answer on its way is not wanted any more */
	char *settings, *sql;
	struct plan_key through;
	int64_t rows;
	struct window window; /* the answer: of no rows, there is none */
	int64_t answered_us;
};

/* It connects again by itself. Meanwhile batches ask for themselves. */
static void link_changed(void *context, bool up, const char *why) {
	(void)context, (void)up, (void)why;
}

struct ahead *ahead_new(struct ev_loop *loop, const struct engine *engine, const char *url, const char *application_name) {
	struct ahead *ahead = mem_alloc(sizeof *ahead);
	ahead->dialect = engine->dialect;
	ahead->link = link_new(loop, engine, url, application_name, link_changed, ahead);
	return ahead;
}

static void clear_question(struct ahead *ahead) {
	free(ahead->settings);
	free(ahead->sql);
	ahead->settings = ahead->sql = NULL;
	plan_key_clear(&ahead->through);
}

void ahead_free(struct ahead *ahead) {
	if (ahead == NULL)
		return;
	link_free(ahead->link);
	clear_question(ahead);
	window_clear(&ahead->window);
	free(ahead);
}

static bool absorb(void *context, const struct engine_result *result) {
	struct ahead *ahead = context;
	if (!ahead->forgotten)
		(void)boundary_read(result, &ahead->through, ahead->rows, &ahead->window);
	ahead->answered_us = clock_monotonic_us();
	return true;
}

static void ended(void *context, const struct transaction_result *result) {
	(void)result; /* what it was not told the batch finds out itself */
	struct ahead *ahead = context;
	ahead->asking = false;
	clear_question(ahead);
}

void ahead_look(struct ahead *ahead, const struct table_shape *shape, const struct shape_leaf *leaf,
                const struct plan_key *behind, const struct plan_key *through, int64_t rows, bool own_session) {
	ahead_forget(ahead);
	if (ahead->asking || link_conn(ahead->link) == NULL)
		return;
	ahead->asking = true;
	ahead->forgotten = false;
	struct dialect_session session = {.statement_timeout_ms = STATEMENT_MS, .lock_timeout_ms = STATEMENT_MS};
	ahead->settings = ahead->dialect->settings(shape, &session);
	ahead->sql = ahead->dialect->boundary(shape, leaf, true);
	ahead->rows = rows;
	plan_key_copy(&ahead->through, through);
	struct transaction *t = transaction_new("ahead", dialect_sql(ahead->dialect, "begin_read"));
	transaction_fly(t, true);
	transaction_add(t, "settings", ahead->settings, NULL, NULL)->repeated = own_session;
	boundary_add_params(transaction_add(t, "boundary", ahead->sql, NULL, absorb), behind, through, rows - 1);
	link_run(ahead->link, t, ANSWER_MS, 0, ahead, ended);
}

void ahead_take(struct ahead *ahead, int64_t rows, struct window *window) {
	if (ahead == NULL)
		return;
	int64_t found = ahead->window.rows_scanned;
	if (found > 0 && found <= rows + rows / 4 && clock_monotonic_us() - ahead->answered_us < KEEPS_US) {
		*window = ahead->window;
		ahead->window = (struct window){0};
	}
	ahead_forget(ahead);
}

void ahead_forget(struct ahead *ahead) {
	if (ahead == NULL)
		return;
	ahead->forgotten = true;
	window_clear(&ahead->window);
}
