/* render_json.h: JSON for scripts: indented, keys in the daemon's order, which is the contract's. */
#ifndef BACKFILLCTL_RENDER_JSON_H
#define BACKFILLCTL_RENDER_JSON_H

#include "common/error.h"

#include <jansson.h>
#include <stdio.h>

void render_json(FILE *out, const json_t *json);
/* On one line: a stream of events. */
void render_json_line(FILE *out, const json_t *json);
/* { "error": { "code", "message", "hint" } } */
void render_json_error(FILE *out, const struct error *err);

#endif
