/*
 * link.h: a connection that is kept: made at once, made again with a growing, jittered pause whenever it is lost, and
 * lent to one transaction at a time, in order.
 */
#ifndef BACKFILLD_LINK_H
#define BACKFILLD_LINK_H

#include "daemon/engine/engine.h"
#include "daemon/engine/transaction.h"

struct link;

/* up: the connection stands (and is idle); otherwise `why` says why it does not, once per failed try or loss. */
typedef void link_changed_fn(void *context, bool up, const char *why);

/* Starts connecting. `application_name` and `url` are copied. */
struct link *link_new(struct ev_loop *loop, const struct engine *engine, const char *url, const char *application_name,
                      link_changed_fn *changed, void *context);
/* Drops the connection. Whatever still ran or waited ends as TRANSACTION_LOST before this returns. NULL allowed. */
void link_free(struct link *link);
/* NULL while down. */
struct engine_conn *link_conn(const struct link *link);
bool link_busy(const struct link *link);
/* Closes the connection (a running transaction ends as lost before this returns) and makes a new one. */
void link_reset(struct link *link, const char *why);
/*
 * Runs the transaction when its turn comes; takes it. While the link is down it waits, at most wait_ms from now, after
 * which done is told TRANSACTION_LOST with the reason. done is never called before this returns.
 */
void link_run(struct link *link, struct transaction *transaction, int timeout_ms, int wait_ms, void *context,
              transaction_done_fn *done);
/* Why it is down, "" when up. */
const char *link_why(const struct link *link);

#endif
