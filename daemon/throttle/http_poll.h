/*
 * http_poll.h: asks one URL again and again for its value, one request at a time. Owns its timer and the request.
 */
#ifndef BACKFILLD_HTTP_POLL_H
#define BACKFILLD_HTTP_POLL_H

#include "daemon/throttle/http_value.h"

#include <stdint.h>

struct ev_loop;
struct http_poll;

/* From the loop. It may free the poll. */
typedef void http_poll_fn(void *context, const struct http_value *value);

/* Begins at once. The texts are copied; `path` may be NULL. */
struct http_poll *http_poll_new(struct ev_loop *loop, struct http_client *client, const char *url, const char *path,
                                int64_t every_us, http_poll_fn *fn, void *context);
void http_poll_free(struct http_poll *poll); /* NULL allowed */

#endif
