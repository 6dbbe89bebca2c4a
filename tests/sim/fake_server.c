/* fake_server.c: sessions, locks and transactions of the fake database, and what must hold at every commit. */
#include "tests/sim/fake_engine.h"

#include "common/mem.h"

#include <ev.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Included behind fake_ev.c, whose random numbers and clock it uses. */

enum { MAX_PARAMS = 12, MAX_CELLS = 64, MAX_EVENTS = 8 };
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
	engine_result_fn *fn;
	void *context;
	struct answer *answer; /* on its way */
	ev_timer deliver, timeout, notice;
	engine_lost_fn *lost;
	void *lost_context;
};

struct fake_session {
	struct fake_session *next;
	int64_t pid;
	struct fake_conn *conn; /* NULL: the client is gone, which the server does not know yet */
	bool alive, in_transaction, aborted, busy, waiting, committing;
	double lock_timeout_s;
	struct request request;
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
	s->in_transaction = s->aborted = false;
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

/* Worked on exactly once: all up to the checkpoint, and nothing behind it. */
static void check_leaf(const struct fake_session *s, int job, int leaf) {
	struct fake_leaf *l = &fake.leaves[job][leaf];
	const struct fake_segment_row *segment = SEE(s, &l->segment);
	int through = segment->exists ? segment->position : 0;
	for (int i = 0; i < l->nrows; i++) {
		int expected = l->rows[i].key <= through ? 1 : 0, found = *SEE(s, &l->rows[i]);
		if (found != expected)
			violation("job %d leaf %d: key %d was worked on %d times, the checkpoint is at %d", job, leaf, l->rows[i].key, found,
			          through);
	}
}

static void check_segment(const struct fake_session *s, int job, int leaf) {
	struct fake_segment *segment = &fake.leaves[job][leaf].segment;
	const struct fake_segment_row *was = &segment->committed, *is = &segment->current;
	if (is->batch_id == was->batch_id)
		return;
	segment->commits++;
	fake.checkpoints++;
	const struct fake_job_row *row = SEE(s, &fake.jobs[job]);
	if (is->position <= was->position)
		violation("job %d leaf %d: the checkpoint went from %d to %d", job, leaf, was->position, is->position);
	if (is->batch_id != was->batch_id + 1 || is->batch_id != segment->commits)
		violation("job %d leaf %d: batch %lld after %lld", job, leaf, (long long)is->batch_id, (long long)was->batch_id);
	if (strcmp(row->state, "running") != 0)
		violation("job %d leaf %d: batch %lld committed while the job is %s", job, leaf, (long long)is->batch_id, row->state);
	if (any_flag(s))
		violation("job %d leaf %d: batch %lld committed under a stop flag", job, leaf, (long long)is->batch_id);
}

static void check_completed(const struct fake_session *s, int job) {
	for (int leaf = 0; leaf < fake.nleaves[job]; leaf++) {
		struct fake_leaf *l = &fake.leaves[job][leaf];
		const struct fake_segment_row *segment = SEE(s, &l->segment);
		if (segment->exists != (l->nrows > 0) || (segment->exists && !segment->done))
			violation("job %d completed, but leaf %d is not done", job, leaf);
		for (int i = 0; i < l->nrows; i++)
			if (*SEE(s, &l->rows[i]) != 1)
				violation("job %d completed, but key %d of leaf %d, done through %d of %d, was worked on %d times", job,
				          l->rows[i].key, leaf, segment->position, segment->through, *SEE(s, &l->rows[i]));
		if (segment->exists && (segment->scanned != l->nrows || segment->changed != l->nrows))
			violation("job %d completed: leaf %d has %d rows, %lld scanned, %lld changed", job, leaf, l->nrows,
			          (long long)segment->scanned, (long long)segment->changed);
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
		for (int leaf = 0; leaf < fake.nleaves[job]; leaf++) {
			struct fake_leaf *l = &fake.leaves[job][leaf];
			bool touched = l->segment.item.holder == s;
			if (touched)
				check_segment(s, job, leaf);
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
