/*
 * preflight.h: everything that must be true before a job is stored: the fragments stay in their place, the table has
 * the shape we can walk, the role may do the work, and the server's plan of boundary and batch reads only its range.
 * Runs over a connection of its own, changes nothing.
 */
#ifndef BACKFILLD_PREFLIGHT_H
#define BACKFILLD_PREFLIGHT_H

#include "common/error.h"
#include "common/jobfile.h"
#include "daemon/engine/engine.h"
#include "daemon/engine/shape.h"

struct preflight;
/* shape is NULL if refused (err: code ERROR_DATA and what to do, or ERROR_TRY_AGAIN if the server is out of reach);
 * otherwise the callee owns it. `warnings` is a JSON array of strings, valid during the callback. */
typedef void preflight_done_fn(void *context, struct table_shape *shape, const json_t *warnings, const struct error *err);

/* Starts; `job` must stay until the callback. */
struct preflight *preflight_start(struct ev_loop *loop, const struct engine *engine, const char *url, const struct jobfile *job,
                                  preflight_done_fn *done, void *context);
/* Gives up without a callback. NULL allowed. Frees itself after the callback otherwise. */
void preflight_abandon(struct preflight *preflight);

#endif
