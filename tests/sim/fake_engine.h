/*
 * fake_engine.h: a database server in memory, behind engine.h, for the simulation of the job layer. It knows the fixed
 * statements by their text (dialect_sql), and does what PostgreSQL does where it matters: what is not committed is not
 * seen and is undone, row locks make others wait, an UPDATE that waited looks at the row again while its subqueries keep
 * the snapshot they began with, a connection that breaks may leave its transaction open on the server for a while, and
 * a COMMIT may be lost on its way there or on its way back.
 *
 * While it works it checks what must always hold (check_commit); the first violation is kept in `violation`.
 */
#ifndef BACKFILLD_FAKE_ENGINE_H
#define BACKFILLD_FAKE_ENGINE_H

#include "daemon/engine/dialect.h"
#include "daemon/engine/engine.h"

#include <stdbool.h>
#include <stdint.h>

enum { FAKE_JOBS = 2, FAKE_LEAVES = 3, FAKE_ROWS = 700, FAKE_SEGMENTS = 32, FAKE_NEW_ROWS = 100, FAKE_FLAGS = 4, FAKE_OID = 1 };

#define FAKE_KEY_MARK "23/-1/0"
#define FAKE_PLACE "(0,1)"

struct fake_session;

/* What transactions lock and change: both versions lie right behind it, the committed one first. */
struct fake_item {
	struct fake_session *holder; /* its transaction has locked it; only it sees `current` */
};

struct fake_job_row {
	char state[16], reason[200], owner[400], settings[200], definition[600];
	int64_t epoch;
	double owner_seen; /* < 0: NULL */
	int64_t backend_pid;
	int64_t marker; /* 0: NULL */
	int round;
	char phase[8];
	bool frozen;
};
struct fake_job {
	struct fake_item item;
	struct fake_job_row committed, current;
};

struct fake_segment_row {
	bool exists, stopped, done;
	int leaf, round, after, through, position; /* keys; after and position 0: none */
	int64_t epoch, batch_id, scanned, changed;
};
struct fake_segment {
	struct fake_item item;
	struct fake_segment_row committed, current;
	int commits; /* checkpoints that were committed: our own count */
};

struct fake_counter {
	struct fake_item item;
	int committed, current; /* how often the row was worked on; -1: it is not there */
	int key;
	enum {
		FAKE_KEPT,     /* by the site */
		FAKE_SET_BACK, /* to 0: the sweep is to do it again … */
		FAKE_LATE,     /* … or came too late for that */
	} site;
};

/* How the server finds a job's rows, and how long that takes. */
struct fake_plan {
	enum fake_plan_kind {
		FAKE_BY_KEY,
		FAKE_BY_CHOICE, /* a scan of the table, for that is small: by key where there is no choice */
		FAKE_SCANS,     /* of the table, whatever is asked */
	} kind;
	double work_s; /* what is slow for another reason is slow, too */
	bool told;     /* that it scans */
	double fine_s; /* when it was told last that it doesn't */
};

struct fake_flag_row {
	bool set;
	char name[420], why[100];
};
struct fake_flag {
	struct fake_item item;
	struct fake_flag_row committed, current;
};

struct fake_leaf {
	struct fake_counter rows[FAKE_ROWS + FAKE_NEW_ROWS]; /* by ascending key */
	int nrows, nfirst, nallocated;                       /* those that there were at first, and whose keys have been given out */
};

struct fake_db {
	struct ev_loop *loop; /* the server's own */
	int njobs;
	char ids[FAKE_JOBS][40];
	struct fake_job jobs[FAKE_JOBS];
	struct fake_leaf leaves[FAKE_JOBS][FAKE_LEAVES];
	int nleaves[FAKE_JOBS];
	struct fake_segment segments[FAKE_JOBS][FAKE_SEGMENTS]; /* number 1 is the first */
	bool follow[FAKE_JOBS], sweep[FAKE_JOBS];
	struct fake_plan plans[FAKE_JOBS];
	char *shapes[FAKE_JOBS]; /* as the control tables keep them */
	struct fake_flag flags[FAKE_FLAGS];
	struct fake_session *sessions;
	int64_t last_pid, last_seq, last_xid;
	int64_t told_seq[FAKE_JOBS]; /* of the last committed event that changed the job's state */
	double down_until;           /* no connection is accepted */
	bool fence_fails;            /* as in struct dialect: of one world this, of the next the other */

	/* How much goes wrong: once in so many statements; 0 = never. */
	struct {
		int lose, refuse, slow, refuse_connect, slow_terminate;
	} faults;

	/* What the simulation breaks on purpose, to see that it would notice; bits of FAKE_BREAK_…. */
	unsigned broken;
	long statements, commits, lost_commits, lock_waits, lock_timeouts, checkpoints, fenced, terminated;
	char violation[400];
};

enum {
	FAKE_BREAK_EPOCH = 1,        /* the checkpoint forgets to test the epoch … */
	FAKE_BREAK_BATCH_ID = 2,     /* … the batch id … */
	FAKE_BREAK_STOPPED = 4,      /* … the stop */
	FAKE_BREAK_TERMINATE = 8,    /* a claim does not end the former owner's backend */
	FAKE_BREAK_CLAIM_EPOCH = 16, /* claim_segments does not raise the fence */
	FAKE_BREAK_RACE = 32,        /* claim_lock calls every running job claimable */
	FAKE_BREAK_SPLIT = 64,       /* checkpoint and work do not commit together: work commits at once */
	FAKE_BREAK_MARKER = 128,     /* a round keeps the marker of the start: younger writers are not waited for */
	FAKE_BREAK_OPEN = 256,       /* a round is open as soon as it is begun */
};

/* The one database that connections of the fake engine lead to. */
extern struct fake_db fake;

void fake_db_start(void);
void fake_db_end(void);
/* Ends every connection and refuses new ones for so long. */
void fake_db_restart(double seconds);
/* Somebody of the site locks a random row of ours for a while. */
void fake_db_disturb(double seconds);
/* Somebody of the site inserts the next row, or sets a row back that was worked on, and commits after a while. */
void fake_db_write(double seconds);
/* A random connection breaks. */
void fake_db_break_one(void);

#endif
