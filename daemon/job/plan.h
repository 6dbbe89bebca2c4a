/*
 * plan.h: keys, segments and windows: where a job is and where its next batch ends. Pure. Keys are the database's own
 * texts and are never compared here.
 */
#ifndef BACKFILLD_PLAN_H
#define BACKFILLD_PLAN_H

#include "common/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PLAN_MAX_KEY_COLUMNS = 8, PLAN_MAX_PLACE = 24 };

/* One key: a text for each of its columns. n = 0: none (the start). */
struct plan_key {
	char *values[PLAN_MAX_KEY_COLUMNS];
	size_t n;
};

void plan_key_clear(struct plan_key *key);
/* `to` is cleared first. */
void plan_key_copy(struct plan_key *to, const struct plan_key *from);
/* As the control tables keep it: a JSON array of strings, ["42","a\"b"]; NULL for none. The caller frees it. */
char *plan_key_to_text(const struct plan_key *key);
/* NULL gives none. */
bool plan_key_from_text(const char *text, struct plan_key *key, struct error *err);

/* (after, through], and how far it is committed. */
struct segment {
	int number;
	int leaf; /* which of the shape's leaves */
	int round;
	struct plan_key after, through, position;
	int64_t batch_id; /* of the last committed batch */
	bool done;
	int64_t rows_scanned, rows_changed, rows_conflicted;
	char place[PLAN_MAX_PLACE]; /* the address of its row in the control tables, as the last write of ours left it */
};

void segment_clear(struct segment *segment);
/* The key that the next window lies behind: the position, or the segment's start. May be none. */
const struct plan_key *segment_behind(const struct segment *segment);

/* The next batch's range: (behind, through]. */
struct window {
	struct plan_key through;
	int64_t rows_scanned;
	bool last; /* the segment ends here */
};

void window_clear(struct window *window);
/* The boundary look-up found the key of the `rows`th row behind the position. */
void window_from_boundary(struct window *window, const struct plan_key *boundary, int64_t rows);
/* It found none: `left` rows are left, and the segment's end, `through`, is the window's. */
void window_from_rest(struct window *window, const struct plan_key *through, int64_t left);
/* The batch over this window has committed: moves the segment there. */
void segment_advance(struct segment *segment, const struct window *window, int64_t changed, int64_t conflicted);

/* Which pass over the table a round is. */
enum phase {
	PHASE_FULL,   /* from the start to the last key */
	PHASE_FOLLOW, /* what has come behind it since */
	PHASE_SWEEP,  /* all of that again, for rows that match (again) */
};

const char *phase_name(enum phase phase);
bool phase_parse(const char *name, enum phase *phase, struct error *err);

/* What follows when the round's segments are done, `round` 0 being none: false when that was all. A round that follows is the
 * last of its kind when no leaf took more than one batch: so it ends on a table that grows for ever. */
bool plan_next_phase(int round, enum phase phase, const struct segment *segments, size_t nsegments, bool follow, bool sweep,
                     enum phase *next);

/* 0…1, never above; 1 only when done. estimated < 0: not known, and the answer is -1. */
double plan_progress(int64_t scanned, int64_t estimated, bool done);
/* Seconds left, or -1 when nobody can say. */
double plan_eta_s(int64_t scanned, int64_t estimated, double rate_rows_s);

#endif
