/*
 * level.h: what of a server is one number by SQL, as a table; and what an answer makes of a reading. Pure: neither libev nor a
 * database client; times come in as arguments.
 */
#ifndef BACKFILLD_LEVEL_H
#define BACKFILLD_LEVEL_H

#include "daemon/throttle/http_value.h"
#include "daemon/throttle/probe.h"

/* In the table's order. LEVEL_OWN is a query or a URL of the site's: its name and text are in a struct own_probe. */
enum level_id {
	LEVEL_ACTIVE,
	LEVEL_LOCK_WAITERS,
	LEVEL_OLDEST,
	LEVEL_WAL,
	LEVEL_ARCHIVE,
	LEVEL_DEAD_ROWS,
	LEVEL_HISTORY,
	LEVEL_BINLOG,
	LEVEL_FLOW,
	LEVEL_QUEUE,
	LEVEL_DISK,
	LEVEL_OWN,
	LEVELS
};

struct level {
	const char *probe; /* as the reading is called */
	const char *what;  /* in a sentence */
	const char *text;  /* the file of sql/<engine>/; an empty one: these servers have no such thing. NULL: an own probe's */
	enum reading_nature nature;
	enum reading_unit unit;
	int64_t every_us;
	bool of_table;   /* $1 is the table's oid */
	bool guards;     /* at its limit the job is paused; there is no pressure below */
	bool by_default; /* watched by nobody's wish: where it may not be read it does not count */
	double per_s;    /* the server counts from its start: the value is what is added in a second times this; 0: it doesn't */
};

extern const struct level levels[LEVELS];

/* What the level may be by these settings; 0: it is not watched. A limit of the server's own comes with its answer. */
double level_limit(enum level_id id, const struct level_want *want);
/* Is it asked for? By a limit, or for the sake of the server's own. */
bool level_is_wanted(enum level_id id, const struct level_want *want);

/* What is kept between two answers. */
struct level_state {
	struct reading reading;
	double own_limit;   /* the server's; 0: none */
	double counted;     /* what the server had counted */
	int64_t counted_us; /* when; 0: never */
	bool absent;        /* there is no such thing on this server */
	bool denied;
	bool stop; /* a URL said so: it is at its limit, whatever that is */
};

void level_state_init(struct level_state *state, enum level_id id, const struct own_probe *own);
void level_set_unknown(struct level_state *state, const char *why);
/* Why there was no answer; `denied`: for want of a privilege. */
void level_failed(struct level_state *state, const char *why, bool denied);
/* The answer's only row, or NULLs behind its end; texts as the server gives them. */
struct level_answer {
	int nrows, ncolumns;
	const char *value, *why, *source, *detail, *own_limit;
};
void level_answered(struct level_state *state, enum level_id id, const struct level_answer *answer, int64_t now_us);
/* LEVEL_DISK's answer is a path; this is what was found there: the share that is used, or why it isn't known. */
void level_disk_told(struct level_state *state, const char *path, double used, const char *why, int64_t now_us);
/* What the URL of an own probe answered. */
void level_told(struct level_state *state, const struct own_probe *own, const struct http_value *value, int64_t now_us);
/* The reading for who has these settings; `own`: of LEVEL_OWN. */
void level_add_reading(const struct level_state *state, enum level_id id, const struct level_want *want,
                       const struct own_probe *own, int64_t now_us, struct readings *readings);

#endif
