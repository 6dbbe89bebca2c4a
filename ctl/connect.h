/* connect.h: backfillctl's side of the control socket: one blocking connection, each wait with a time limit. */
#ifndef BACKFILLCTL_CONNECT_H
#define BACKFILLCTL_CONNECT_H

#include "common/error.h"
#include "common/rpc.h"

#include <jansson.h>
#include <stdbool.h>

enum { CONNECT_TIMEOUT_MS = 120000 }; /* a preflight or init asks the database a lot */

struct connection;

/* NULL: err says ERROR_UNAVAILABLE, or ERROR_NOT_PERMITTED. */
struct connection *connect_open(const char *path, struct error *err);
void connect_close(struct connection *connection);
/*
 * Sends a request and waits for its answer; notifications that come meanwhile are dropped. `params` is borrowed. *result
 * is the caller's. The daemon's own refusal is err with its exit code; a lost connection is ERROR_UNAVAILABLE.
 */
bool connect_call(struct connection *connection, const char *method, json_t *params, int timeout_ms, json_t **result,
                  struct error *err);
/* The next message, whatever it is; timeout_ms < 0 waits for ever. The caller calls rpc_message_free. */
bool connect_receive(struct connection *connection, int timeout_ms, struct rpc_message *message, struct error *err);

#endif
