#include "daemon/job/plan.h"

#include "common/mem.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

void plan_key_clear(struct plan_key *key) {
	for (size_t i = 0; i < key->n; i++)
		free(key->values[i]);
	*key = (struct plan_key){0};
}

void plan_key_copy(struct plan_key *to, const struct plan_key *from) {
	plan_key_clear(to);
	for (size_t i = 0; i < from->n; i++)
		to->values[i] = mem_dup(from->values[i]);
	to->n = from->n;
}

char *plan_key_to_text(const struct plan_key *key) {
	if (key->n == 0)
		return NULL;
	json_t *array = json_array();
	for (size_t i = 0; i < key->n; i++)
		json_array_append_new(array, json_string(key->values[i]));
	char *text = json_dumps(array, JSON_COMPACT);
	json_decref(array);
	return text;
}

bool plan_key_from_text(const char *text, struct plan_key *key, struct error *err) {
	plan_key_clear(key);
	if (text == NULL)
		return true;
	json_t *array = json_loads(text, 0, NULL);
	size_t n = json_array_size(array);
	bool ok = json_is_array(array) && n > 0 && n <= PLAN_MAX_KEY_COLUMNS;
	for (size_t i = 0; ok && i < n; i++)
		ok = json_is_string(json_array_get(array, i));
	for (size_t i = 0; ok && i < n; i++)
		key->values[i] = mem_dup(json_string_value(json_array_get(array, i)));
	if (ok)
		key->n = n;
	json_decref(array);
	return ok || error_set(err, ERROR_INTERNAL, "a key in the control tables is no JSON array of strings: %.200s", text);
}

void segment_clear(struct segment *segment) {
	plan_key_clear(&segment->after);
	plan_key_clear(&segment->through);
	plan_key_clear(&segment->position);
}

const struct plan_key *segment_behind(const struct segment *segment) {
	return segment->position.n > 0 ? &segment->position : &segment->after;
}

void window_clear(struct window *window) {
	plan_key_clear(&window->through);
	*window = (struct window){0};
}

void window_from_boundary(struct window *window, const struct plan_key *boundary, int64_t rows) {
	plan_key_copy(&window->through, boundary);
	window->rows_scanned = rows;
	window->last = false;
}

void window_from_rest(struct window *window, const struct plan_key *through, int64_t left) {
	plan_key_copy(&window->through, through);
	window->rows_scanned = left;
	window->last = true;
}

void segment_advance(struct segment *segment, const struct window *window, int64_t changed, int64_t conflicted) {
	plan_key_copy(&segment->position, &window->through);
	segment->batch_id++;
	segment->rows_scanned += window->rows_scanned;
	segment->rows_changed += changed;
	segment->rows_conflicted += conflicted;
	segment->done = window->last;
}

static const char *const phase_names[] = {[PHASE_FULL] = "full", [PHASE_FOLLOW] = "follow", [PHASE_SWEEP] = "sweep"};

const char *phase_name(enum phase phase) {
	return phase_names[phase];
}

bool phase_parse(const char *name, enum phase *phase, struct error *err) {
	for (size_t i = 0; i < sizeof phase_names / sizeof *phase_names; i++)
		if (strcmp(name, phase_names[i]) == 0) {
			*phase = (enum phase)i;
			return true;
		}
	return error_set(err, ERROR_INTERNAL, "this version knows no phase %.40s", name);
}

static bool caught_up(int round, const struct segment *segments, size_t nsegments) {
	for (size_t i = 0; i < nsegments; i++)
		if (segments[i].round == round && segments[i].batch_id > 1)
			return false;
	return true;
}

bool plan_next_phase(int round, enum phase phase, const struct segment *segments, size_t nsegments, bool follow, bool sweep,
                     enum phase *next) {
	if (round > 0 && phase == PHASE_SWEEP)
		return false;
	if (round == 0)
		*next = PHASE_FULL;
	else if (follow && (phase == PHASE_FULL || !caught_up(round, segments, nsegments)))
		*next = PHASE_FOLLOW;
	else if (sweep)
		*next = PHASE_SWEEP;
	else
		return false;
	return true;
}

double plan_progress(int64_t scanned, int64_t estimated, bool done) {
	if (done)
		return 1.0;
	if (estimated < 0)
		return -1.0;
	/* Statistics may be old: what is scanned already bounds the estimate from below. */
	if (estimated <= scanned)
		return scanned > 0 ? 0.99 : 0.0;
	double progress = (double)scanned / (double)estimated;
	return progress < 0.99 ? progress : 0.99;
}

double plan_eta_s(int64_t scanned, int64_t estimated, double rate_rows_s) {
	if (estimated < 0 || rate_rows_s <= 0)
		return -1.0;
	return estimated > scanned ? (double)(estimated - scanned) / rate_rows_s : 0.0;
}
