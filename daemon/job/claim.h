/*
 * claim.h: taking a job. A claim is the one answer to every doubt (start, take-over,
 * reconnect, an unknown COMMIT): it ends the former owner's backend, raises the fence and reads what is committed.
 */
#ifndef BACKFILLD_CLAIM_H
#define BACKFILLD_CLAIM_H

#include "common/jobfile.h"
#include "daemon/engine/dialect.h"
#include "daemon/engine/link.h"
#include "daemon/engine/shape.h"
#include "daemon/job/plan.h"

#include <jansson.h>

/* Who we are: "host:boot:socket path:pid"; the prefix leaves the pid out. */
struct owner {
	char name[400];
	char prefix[400];
	char display[200]; /* host:pid, for people */
};

/* What a claim found; owned by whoever holds the struct. */
struct claimed {
	struct jobfile *job; /* with its live settings */
	struct table_shape *shape;
	int64_t epoch;
	bool own_session;                     /* ours as long as the connection: no pooler is between */
	int round;                            /* 0: none was begun */
	enum phase phase;                     /* of the round */
	bool open;                            /* no writer is waited for any more: its segments may be worked on */
	int64_t estimated_rows;               /* of all rounds so far; -1: not known */
	char *leaves_mark, *key_mark;         /* of the table, as it is now: they change with it (shape_check.sql) */
	char *freeze_marker, *freeze_writers; /* who is waited for: NULL if nobody */
	bool owner_changed;
	char *former_owner; /* NULL if none */
	struct segment *segments;
	size_t nsegments;
};

void claimed_clear(struct claimed *claimed);
/* Appends the rows of claim_segments or round_segment. */
bool claimed_add_segments(struct claimed *claimed, const struct engine_result *r, struct error *err);

enum claim_end {
	CLAIM_TAKEN,
	CLAIM_NOT_OURS,   /* another owner lives, or the job is not running any more: let go */
	CLAIM_STOPPED,    /* a stop flag is set */
	CLAIM_CHANGED,    /* not the table, partitions or key that the job was submitted for; `why`, and what to do */
	CLAIM_BROKEN,     /* no answer: try again when connected */
	CLAIM_REFUSED,    /* the server said no, or is not the one it should be; `why` */
	CLAIM_UNREADABLE, /* the stored job makes no sense to this version */
};

typedef void claim_done_fn(void *context, enum claim_end end, const char *why);

struct claim;
/*
 * Fills *claimed (cleared first) on CLAIM_TAKEN. `server` is the identity of the one that is expected: on another nothing
 * is written. Everything is borrowed until done.
 */
struct claim *claim_start(struct link *link, const struct dialect *dialect, const char *job_id, const struct owner *owner,
                          int64_t owner_timeout_ms, const char *server, struct claimed *claimed, claim_done_fn *done,
                          void *context);
/* Applies what `set` has stored, { "batch.rows": "5000" }, all or nothing. */
bool claim_apply_settings(struct jobfile *job, const json_t *settings, struct error *err);

#endif
