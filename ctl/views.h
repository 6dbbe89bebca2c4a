/* views.h: the daemon's answers as text for people. JSON goes by render_json, untouched. */
#ifndef BACKFILLCTL_VIEWS_H
#define BACKFILLCTL_VIEWS_H

#include "common/strbuf.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

struct view {
	bool wide;
	bool color;
};

typedef void view_fn(const struct view *view, const json_t *result, struct strbuf *out);

view_fn view_jobs;     /* list */
view_fn view_job;      /* show, set */
view_fn view_submit;   /* submit */
view_fn view_action;   /* start, pause, resume, retry, cancel */
view_fn view_targets;  /* targets */
view_fn view_throttle; /* throttle */
view_fn view_events;   /* events */
view_fn view_init;     /* init */
view_fn view_message;  /* stop, unstop, reload */

/* One event on a line, for events -f. */
void view_event(const struct view *view, const json_t *event, struct strbuf *out);
/* "[########----] 42.0 %"; progress < 0: not known. */
void view_bar(struct strbuf *out, double progress, size_t cells);
/* A number of an object, or `otherwise` if it is null or missing. `path` goes through one object: "rows.scanned". */
double view_number(const json_t *object, const char *path, double otherwise);
/* A string, NULL if it is null or missing. */
const char *view_string(const json_t *object, const char *path);

#endif
