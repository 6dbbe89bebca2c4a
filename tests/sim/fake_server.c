/* fake_server.c: sessions, locks and transactions of the fake database, and what must hold at every commit. */
#include "tests/sim/fake_engine.h"

#include "common/mem.h"
#include "common/sqlcheck.h"

#include <ev.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Included behind fake_ev.c, whose random numbers and clock it uses. */

enum { MAX_PARAMS = 16, MAX_FLIGHT = 8, MAX_CELLS = 400, MAX_EVENTS = 8 };
static const double idle_in_transaction_s = 2.0;

struct fake_db fake;

static void violation(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void violation(const char *format, ...) {
	if (fake.violation[0] != '\0')
		return;
	va_list args;
	va_start(args, format);
	vsnprintf(fake.violation, sizeof fake.violation, format, args);
	va_end(args);
}

/* --- answers --- */

struct answer {
	struct engine_rows base;
	enum engine_outcome outcome;
	enum engine_error error;
	const char *sqlstate;
	char message[200];
	int nrows, ncolumns, ncells;
	int64_t affected;
	char *cells[MAX_CELLS];
};

static const char *answer_value(const struct engine_rows *rows, int row, int column) {
	const struct answer *a = (const void *)rows;
	return a->cells[row * a->ncolumns + column];
}

static struct answer *answer_new(enum engine_outcome outcome) {
	struct answer *a = mem_alloc(sizeof *a);
	a->base.value = answer_value;
	a->outcome = outcome;
	a->sqlstate = "";
	return a;
}

static void answer_free(struct answer *a) {
	if (a == NULL)
		return;
	for (int i = 0; i < a->ncells; i++)
		free(a->cells[i]);
	free(a);
}

static void add_row(struct answer *a, int ncolumns) {
	a->nrows++;
	a->affected = a->nrows;
	a->ncolumns = ncolumns;
}

static void add_text(struct answer *a, const char *text) {
	a->cells[a->ncells++] = mem_dup(text);
}

static void add_int(struct answer *a, int64_t value) {
	a->cells[a->ncells++] = mem_printf("%lld", (long long)value);
}

static void add_key(struct answer *a, int key) {
	a->cells[a->ncells++] = key > 0 ? mem_printf("[\"%d\"]", key) : NULL;
}

/* --- sessions --- */

/* A locked item and its two versions. */
struct held {
	struct fake_item *item;
	void *committed, *current;
	size_t size;
};
#define HELD(x) ((struct held){&(x)->item, &(x)->committed, &(x)->current, sizeof(x)->committed})
/* What the session sees of it. */
#define SEE(s, x) ((x)->item.holder == (s) ? &(x)->current : &(x)->committed)

/* The statement that a session has been sent. */
struct request {
	char *sql;
	char *params[MAX_PARAMS];
	int nparams;
	bool answer_lost;
	bool scanned, too_long; /* the work has taken its time, or run into its time-out */
	/* Its snapshot: what it saw when it began, for it may have waited since. */
	bool began;
	uint64_t looked, matched;
	char flag[128]; /* a stop flag */
	int64_t numbers[FAKE_JOBS];
};

struct happened {
	int64_t seq;
	int job;
	char name[32];
};

struct fake_conn {
	struct engine_conn base;
	struct ev_loop *loop;
	struct fake_session *session; /* NULL: broken */
	int64_t pid;
	bool expects; /* an answer */
	engine_result_fn *fn;
	engine_flown_fn *flown;
	void *context;
	struct answer *answers[MAX_FLIGHT]; /* of the flight's first statements */
	int nanswers;
	struct answer *answer; /* the last, on its way */
	ev_timer deliver, timeout, notice;
	engine_lost_fn *lost;
	void *lost_context;
};

struct fake_session {
	struct fake_session *next;
	int64_t pid;
	struct fake_conn *conn;        /* NULL: the client is gone, which the server does not know yet */
	int64_t xid;                   /* 0: it has changed nothing yet */
	struct fake_counter *site_row; /* of the site's session: what it writes, of which job's table */
	int site_job;
	bool alive, in_transaction, aborted, busy, waiting, committing;
	bool no_choice; /* of a plan, until the transaction ends */
	double lock_timeout_s, statement_timeout_s;
	struct request request;
	struct request queue[MAX_FLIGHT]; /* sent together with it; in reverse order */
	int nqueue;
	struct held *held;
	size_t nheld;
	struct happened events[MAX_EVENTS];
	int nevents;
	ev_timer arrive, lock_timeout, idle;
};

static void wake_waiting(void) {
	for (struct fake_session *s = fake.sessions; s != NULL; s = s->next)
		if (s->waiting && !ev_is_active(&s->arrive)) {
			ev_timer_set(&s->arrive, 0., 0.);
			ev_timer_start(fake.loop, &s->arrive);
		}
}

static bool take(struct fake_session *s, struct held h) {
	if (h.item->holder == s)
		return true;
	if (h.item->holder != NULL)
		return false;
	h.item->holder = s;
	if (s->xid == 0)
		s->xid = ++fake.last_xid;
	memcpy(h.current, h.committed, h.size);
	s->held = mem_resize(s->held, s->nheld + 1, sizeof *s->held);
	s->held[s->nheld++] = h;
	return true;
}

static void let_go(struct fake_session *s, const struct fake_item *item) {
	for (size_t i = 0; i < s->nheld; i++)
		if (s->held[i].item == item) {
			s->held[i].item->holder = NULL;
			s->held[i] = s->held[--s->nheld];
			wake_waiting();
			return;
		}
}

static void release_all(struct fake_session *s) {
	for (size_t i = 0; i < s->nheld; i++)
		s->held[i].item->holder = NULL;
	s->nheld = 0;
	s->nevents = 0;
	s->xid = 0;
	s->in_transaction = s->aborted = s->no_choice = false;
	wake_waiting();
}

static void roll_back(struct fake_session *s) {
	for (size_t i = 0; i < s->nheld; i++)
		memcpy(s->held[i].current, s->held[i].committed, s->held[i].size);
	release_all(s);
}

/* --- what must hold at every commit --- */

static bool any_flag(const struct fake_session *s) {
	for (int i = 0; i < FAKE_FLAGS; i++)
		if (SEE(s, &fake.flags[i])->set)
			return true;
	return false;
}

/* Exactly once what a segment has passed, and nothing else. What the site has set back is to be found by the sweep. */
static int expected(const struct fake_session *s, int job, int leaf, const struct fake_counter *row) {
	bool passed = false, swept = false;
	for (int i = 0; i < FAKE_SEGMENTS; i++) {
		const struct fake_segment_row *segment = SEE(s, &fake.segments[job][i]);
		if (!segment->exists || segment->leaf != leaf || row->key <= segment->after || row->key > segment->position)
			continue;
		swept = swept || passed;
		passed = true;
	}
	if (row->site == FAKE_KEPT)
		return passed;
	return row->site == FAKE_SET_BACK && swept ? 1 : -1;
}

static void check_leaf(const struct fake_session *s, int job, int leaf) {
	const struct fake_leaf *l = &fake.leaves[job][leaf];
	for (int i = 0; i < l->nrows; i++) {
		const struct fake_counter *row = &l->rows[i];
		int found = *SEE(s, row), wanted = expected(s, job, leaf, row);
		if (found >= 0 && (wanted >= 0 ? found != wanted : found > 1))
			violation("job %d leaf %d: key %d was worked on %d times instead of %d", job, leaf, row->key, found, wanted);
	}
}

static void check_segment(const struct fake_session *s, int job, int index) {
	struct fake_segment *segment = &fake.segments[job][index];
	const struct fake_segment_row *was = &segment->committed, *is = &segment->current;
	if (is->batch_id == was->batch_id)
		return;
	segment->commits++;
	fake.checkpoints++;
	const struct fake_job_row *row = SEE(s, &fake.jobs[job]);
	if (is->position <= was->position)
		violation("job %d segment %d: the checkpoint went from %d to %d", job, index + 1, was->position, is->position);
	if (is->batch_id != was->batch_id + 1 || is->batch_id != segment->commits)
		violation("job %d segment %d: batch %lld after %lld", job, index + 1, (long long)is->batch_id, (long long)was->batch_id);
	if (strcmp(row->state, "running") != 0)
		violation("job %d segment %d: batch %lld committed while the job is %s", job, index + 1, (long long)is->batch_id,
		          row->state);
	if (row->round != is->round || !row->frozen)
		violation("job %d segment %d: batch %lld committed in round %d, which is not open", job, index + 1,
		          (long long)is->batch_id, is->round);
	if (any_flag(s))
		violation("job %d segment %d: batch %lld committed under a stop flag", job, index + 1, (long long)is->batch_id);
}

/* Where the job's work in a leaf has ended. Every segment must be done, and have scanned all there is. */
static int check_segments_done(const struct fake_session *s, int job, int leaf) {
	int through = 0;
	for (int i = 0; i < FAKE_SEGMENTS; i++) {
		const struct fake_segment_row *segment = SEE(s, &fake.segments[job][i]);
		if (!segment->exists || segment->leaf != leaf)
			continue;
		int rows = 0;
		for (int row = 0; row < fake.leaves[job][leaf].nrows; row++) {
			const struct fake_counter *counter = &fake.leaves[job][leaf].rows[row];
			rows += counter->key > segment->after && counter->key <= segment->through && *SEE(s, counter) >= 0;
		}
		if (!segment->done || segment->scanned != rows || segment->after != (segment->after > 0 ? through : 0))
			violation("job %d completed: segment %d, (%d, %d], has %d rows, %lld scanned%s", job, i + 1, segment->after,
			          segment->through, rows, (long long)segment->scanned, segment->done ? "" : ", not done");
		through = segment->through;
	}
	return through;
}

static void check_completed(const struct fake_session *s, int job) {
	const char *phase = SEE(s, &fake.jobs[job])->phase;
	if (strcmp(phase, fake.sweep[job] ? "sweep" : fake.follow[job] ? "follow" : "full") != 0)
		violation("job %d completed in phase %s", job, phase);
	for (int leaf = 0; leaf < fake.nleaves[job]; leaf++) {
		struct fake_leaf *l = &fake.leaves[job][leaf];
		int through = check_segments_done(s, job, leaf);
		if (l->nfirst > 0 && through < l->rows[l->nfirst - 1].key)
			violation("job %d completed, but leaf %d was done through %d only", job, leaf, through);
		check_leaf(s, job, leaf);
	}
}

/* Neither may a stop pass over a resume that has read the flags and not committed, nor a resume over a stop. */
static void passed_over(int job) {
	violation("job %d is running under a stop flag", job);
}

static void check_flag(const struct fake_session *s, const struct fake_flag *flag) {
	for (int job = 0; job < fake.njobs && flag->item.holder == s && flag->current.set; job++)
		if (strcmp(SEE(s, &fake.jobs[job])->state, "running") == 0)
			passed_over(job);
}

static void check_state(const struct fake_session *s, int job) {
	const struct fake_job_row *was = &fake.jobs[job].committed, *is = &fake.jobs[job].current;
	if (is->epoch < was->epoch)
		violation("job %d: the epoch went from %lld to %lld", job, (long long)was->epoch, (long long)is->epoch);
	if (strcmp(was->state, is->state) == 0)
		return;
	if (is->epoch == was->epoch)
		violation("job %d became %s without raising the fence", job, is->state);
	if (strcmp(is->state, "paused") == 0 && strstr(is->reason, "the plan has changed") != NULL && !fake.plans[job].told)
		violation("job %d pauses for a plan that is fine", job);
	for (int i = 0; i < FAKE_FLAGS; i++)
		if (fake.flags[i].committed.set && SEE(s, &fake.flags[i])->set && strcmp(is->state, "running") == 0)
			passed_over(job);
	char name[32];
	snprintf(name, sizeof name, "job.%s",
	         strcmp(is->state, "running") != 0    ? is->state
	         : strcmp(was->state, "pending") == 0 ? "started"
	                                              : "resumed");
	const struct happened *event = NULL;
	for (int i = 0; i < s->nevents; i++)
		if (s->events[i].job == job && strcmp(s->events[i].name, name) == 0)
			event = &s->events[i];
	if (event == NULL)
		violation("job %d became %s without an event %s", job, is->state, name);
	else if (event->seq <= fake.told_seq[job])
		violation("job %d: event %s has number %lld, behind %lld", job, name, (long long)event->seq,
		          (long long)fake.told_seq[job]);
	else
		fake.told_seq[job] = event->seq;
	if (strcmp(is->state, "completed") == 0)
		check_completed(s, job);
}

static void check_commit(const struct fake_session *s) {
	for (int i = 0; i < FAKE_FLAGS; i++)
		check_flag(s, &fake.flags[i]);
	for (int job = 0; job < fake.njobs; job++) {
		if (fake.jobs[job].item.holder == s)
			check_state(s, job);
		bool moved = false;
		for (int i = 0; i < FAKE_SEGMENTS; i++)
			if (fake.segments[job][i].item.holder == s) {
				check_segment(s, job, i);
				moved = true;
			}
		for (int leaf = 0; leaf < fake.nleaves[job]; leaf++) {
			const struct fake_leaf *l = &fake.leaves[job][leaf];
			bool touched = moved;
			for (int i = 0; i < l->nrows && !touched; i++)
				touched = l->rows[i].item.holder == s;
			if (touched)
				check_leaf(s, job, leaf);
		}
	}
}

static void commit(struct fake_session *s) {
	fake.commits++;
	check_commit(s);
	for (size_t i = 0; i < s->nheld; i++)
		memcpy(s->held[i].committed, s->held[i].current, s->held[i].size);
	release_all(s);
}
