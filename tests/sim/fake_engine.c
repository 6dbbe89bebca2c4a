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
	if (any_flag(s) && !fake.passed_over[job])
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

/*
 * A stop has passed over a job: a resume had read the flags, but had not committed, when stop_jobs took its snapshot, in
 * which the job is paused. It is running under the flag now. Known to be open, so that it is a violation only if STRICT
 * asks for it; otherwise what follows from it is not held against the job.
 */
static void passed_over(int job) {
	fake.passed_over[job] = true;
	if (fake.strict)
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
	fake.passed_over[job] = false;
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

/* --- statements --- */

enum step { STEP_DONE, STEP_WAIT, STEP_REFUSED };

static enum step refuse(struct answer *a, enum engine_error error, const char *sqlstate, const char *message) {
	a->outcome = ENGINE_REFUSED;
	a->error = error;
	a->sqlstate = sqlstate;
	snprintf(a->message, sizeof a->message, "%s", message);
	return STEP_REFUSED;
}

static const char *text(const struct request *r, int number) {
	return number <= r->nparams ? r->params[number - 1] : NULL;
}

static int64_t number_of(const struct request *r, int number) {
	return strtoll(text(r, number), NULL, 10);
}

static int job_of(const struct request *r, int number) {
	for (int i = 0; i < fake.njobs; i++)
		if (text(r, number) != NULL && strcmp(fake.ids[i], text(r, number)) == 0)
			return i;
	return -1;
}

typedef bool match_fn(const struct request *r, const void *row);

/* Does the row match in the statement's snapshot? */
static bool look(const struct fake_session *s, struct request *r, int slot, struct held h, match_fn *match) {
	uint64_t bit = (uint64_t)1 << slot;
	if ((r->looked & bit) == 0) {
		r->looked |= bit;
		if (match(r, h.item->holder == s ? h.current : h.committed))
			r->matched |= bit;
	}
	return (r->matched & bit) != 0;
}

enum found { NOT_FOUND, FOUND, WAIT };

/* Locks the row if it matches, before and after waiting for it: READ COMMITTED. */
static enum found lock_row(struct fake_session *s, struct request *r, int slot, struct held h, match_fn *match) {
	if (!look(s, r, slot, h, match))
		return NOT_FOUND;
	bool mine = h.item->holder == s;
	if (!take(s, h))
		return WAIT;
	if (match(r, h.current))
		return FOUND;
	if (!mine)
		let_go(s, h.item);
	r->matched &= ~((uint64_t)1 << slot);
	return NOT_FOUND;
}

static bool match_all(const struct request *r, const void *row) {
	(void)r, (void)row;
	return true;
}

static bool match_running(const struct request *r, const void *row) {
	const struct fake_job_row *job = row;
	(void)r;
	return strcmp(job->state, "running") == 0;
}

static void see_flags(const struct fake_session *s, struct request *r) {
	if (r->began)
		return;
	r->began = true;
	for (int i = 0; i < FAKE_FLAGS; i++)
		if (SEE(s, &fake.flags[i])->set)
			snprintf(r->flag, sizeof r->flag, "%s", SEE(s, &fake.flags[i])->why);
}

typedef enum step statement_fn(struct fake_session *s, struct request *r, struct answer *a);

static enum step do_begin(struct fake_session *s, struct request *r, struct answer *a) {
	(void)a;
	s->in_transaction = true;
	s->aborted = false;
	s->lock_timeout_s = 2.0;
	if (strncmp(r->sql, "begin ", 6) == 0)
		s->lock_timeout_s = strtod(r->sql + 6, NULL) / 1000.0;
	return STEP_DONE;
}

static enum step do_status(struct fake_session *s, struct request *r, struct answer *a) {
	(void)s, (void)r;
	static const char *const values[] = {"worker", "db", "15.0", "false", "true", "1/db"};
	add_row(a, 6);
	for (int i = 0; i < 6; i++)
		add_text(a, values[i]);
	return STEP_DONE;
}

static enum step do_meta(struct fake_session *s, struct request *r, struct answer *a) {
	(void)r;
	add_row(a, 2);
	add_text(a, "schema_version"), add_text(a, "1");
	add_row(a, 2);
	add_text(a, "identity"), add_text(a, "1/db");
	for (int i = 0; i < FAKE_FLAGS; i++)
		if (SEE(s, &fake.flags[i])->set)
			add_row(a, 2), add_text(a, SEE(s, &fake.flags[i])->name), add_text(a, SEE(s, &fake.flags[i])->why);
	return STEP_DONE;
}

static bool starts_with(const char *string, const char *prefix) {
	return strncmp(string, prefix, strlen(prefix)) == 0;
}

static bool owner_gone(const struct fake_job_row *job, const struct request *r, int first) {
	return job->owner[0] == '\0' || strcmp(job->owner, text(r, first)) == 0 || starts_with(job->owner, text(r, first + 1)) ||
	       job->owner_seen < 0 || job->owner_seen < fake_now_s - (double)number_of(r, first + 2) / 1000.0;
}

static enum step do_poll(struct fake_session *s, struct request *r, struct answer *a) {
	for (int i = 0; i < fake.njobs; i++) {
		const struct fake_job_row *job = SEE(s, &fake.jobs[i]);
		if (!match_running(r, job) || !owner_gone(job, r, 1))
			continue;
		add_row(a, 1);
		add_text(a, fake.ids[i]);
	}
	return STEP_DONE;
}

static enum step do_claim_lock(struct fake_session *s, struct request *r, struct answer *a) {
	int i = job_of(r, 1);
	see_flags(s, r);
	if (lock_row(s, r, 0, HELD(&fake.jobs[i]), match_all) == WAIT)
		return STEP_WAIT;
	const struct fake_job_row *job = &fake.jobs[i].current;
	bool claimable = match_running(r, job) && ((fake.broken & FAKE_BREAK_RACE) != 0 || owner_gone(job, r, 2));
	add_row(a, 10);
	add_text(a, job->state);
	add_text(a, job->definition);
	add_text(a, job->settings);
	add_text(a, fake.shapes[i]);
	add_text(a, job->marked ? "1" : NULL);
	add_text(a, job->frozen ? "true" : "false");
	add_text(a, "1000");
	add_text(a, job->owner[0] != '\0' ? job->owner : NULL);
	add_text(a, claimable ? "true" : "false");
	add_text(a, r->flag[0] != '\0' ? r->flag : NULL);
	return STEP_DONE;
}

static void session_end(struct fake_session *s);

static enum step do_claim_end_backend(struct fake_session *s, struct request *r, struct answer *a) {
	const struct fake_job_row *job = SEE(s, &fake.jobs[job_of(r, 1)]);
	if ((fake.broken & FAKE_BREAK_TERMINATE) != 0)
		return STEP_DONE;
	for (struct fake_session *other = fake.sessions; other != NULL; other = other->next)
		if (other != s && other->alive && other->pid == job->backend_pid) {
			add_row(a, 1);
			/* A backend amidst its COMMIT is not to be stopped: pg_terminate_backend gives up waiting. */
			add_text(a, other->committing ? "f" : "t");
			fake.terminated++;
			if (!other->committing)
				session_end(other);
			break;
		}
	return STEP_DONE;
}

static enum step do_claim_take(struct fake_session *s, struct request *r, struct answer *a) {
	int i = job_of(r, 1);
	if (lock_row(s, r, 0, HELD(&fake.jobs[i]), match_all) == WAIT)
		return STEP_WAIT;
	struct fake_job_row *job = &fake.jobs[i].current;
	snprintf(job->owner, sizeof job->owner, "%s", text(r, 2));
	job->owner_seen = fake_now_s;
	job->epoch++;
	job->backend_pid = s->pid;
	add_row(a, 1);
	add_int(a, job->epoch);
	return STEP_DONE;
}

static void add_segment_row(struct answer *a, int leaf, const struct fake_segment_row *row) {
	add_row(a, 10);
	add_int(a, leaf + 1);
	add_int(a, leaf);
	add_text(a, NULL);
	add_key(a, row->through);
	add_key(a, row->position);
	add_int(a, row->batch_id);
	add_text(a, row->done ? "true" : "false");
	add_int(a, row->scanned);
	add_int(a, row->changed);
	add_int(a, 0);
}

static bool match_exists(const struct request *r, const void *row) {
	(void)r;
	return ((const struct fake_segment_row *)row)->exists;
}

static bool match_stoppable(const struct request *r, const void *row) {
	const struct fake_segment_row *segment = row;
	(void)r;
	return segment->exists && !segment->done && !segment->stopped;
}

/* Locks all segments of a job that match; their bits in r->matched say which. */
static enum step lock_segments(struct fake_session *s, struct request *r, int job, match_fn *match) {
	int first = job * FAKE_LEAVES;
	for (int i = 0; i < fake.nleaves[job]; i++)
		look(s, r, first + i, HELD(&fake.leaves[job][i].segment), match);
	for (int i = 0; i < fake.nleaves[job]; i++)
		if (lock_row(s, r, first + i, HELD(&fake.leaves[job][i].segment), match) == WAIT)
			return STEP_WAIT;
	return STEP_DONE;
}

static bool matched(const struct request *r, int job, int leaf) {
	return (r->matched >> (job * FAKE_LEAVES + leaf) & 1) != 0;
}

static enum step do_claim_segments(struct fake_session *s, struct request *r, struct answer *a) {
	int job = job_of(r, 1);
	if (lock_segments(s, r, job, match_exists) == STEP_WAIT)
		return STEP_WAIT;
	for (int i = 0; i < fake.nleaves[job]; i++) {
		struct fake_segment_row *segment = &fake.leaves[job][i].segment.current;
		if (!matched(r, job, i))
			continue;
		if ((fake.broken & FAKE_BREAK_CLAIM_EPOCH) == 0)
			segment->epoch = number_of(r, 2);
		add_segment_row(a, i, segment);
	}
	return STEP_DONE;
}

static enum step do_freeze_wait(struct fake_session *s, struct request *r, struct answer *a) {
	(void)s, (void)r;
	if (fake.writer_until[0] < fake_now_s)
		return STEP_DONE;
	add_row(a, 5);
	add_text(a, "1"), add_text(a, "77"), add_text(a, "app"), add_text(a, "3"), add_text(a, "UPDATE t");
	return STEP_DONE;
}

static bool match_freezable(const struct request *r, const void *row) {
	const struct fake_job_row *job = row;
	return job->epoch == number_of(r, 2) && match_running(r, job) && !job->frozen && r->flag[0] == '\0';
}

static enum step do_freeze_lock(struct fake_session *s, struct request *r, struct answer *a) {
	see_flags(s, r);
	enum found found = lock_row(s, r, 0, HELD(&fake.jobs[job_of(r, 1)]), match_freezable);
	if (found == FOUND)
		add_row(a, 1), add_text(a, "1");
	return found == WAIT ? STEP_WAIT : STEP_DONE;
}

static enum step do_freeze_segment(struct fake_session *s, struct request *r, struct answer *a) {
	int leaf = (int)number_of(r, 3);
	struct fake_segment *segment = &fake.leaves[job_of(r, 1)][leaf].segment;
	if (!take(s, HELD(segment)))
		return STEP_WAIT;
	if (segment->current.exists)
		return refuse(a, ENGINE_ERROR_DATA, "23505", "duplicate key value violates segment_pkey");
	segment->current = (struct fake_segment_row){.exists = true, .epoch = number_of(r, 5)};
	segment->current.through = (int)strtol(text(r, 4) + 2, NULL, 10);
	add_segment_row(a, leaf, &segment->current);
	return STEP_DONE;
}

static bool match_epoch(const struct request *r, const void *row) {
	return ((const struct fake_job_row *)row)->epoch == number_of(r, 2);
}

static enum step do_freeze_done(struct fake_session *s, struct request *r, struct answer *a) {
	int i = job_of(r, 1);
	enum found found = lock_row(s, r, 0, HELD(&fake.jobs[i]), match_epoch);
	if (found == WAIT)
		return STEP_WAIT;
	if (found == FOUND)
		fake.jobs[i].current.frozen = true;
	a->affected = found == FOUND;
	return STEP_DONE;
}

static bool match_checkpoint(const struct request *r, const void *row) {
	const struct fake_segment_row *segment = row;
	return segment->exists && ((fake.broken & FAKE_BREAK_EPOCH) != 0 || segment->epoch == number_of(r, 3)) &&
	       ((fake.broken & FAKE_BREAK_BATCH_ID) != 0 || segment->batch_id == number_of(r, 4)) &&
	       ((fake.broken & FAKE_BREAK_STOPPED) != 0 || !segment->stopped);
}

static enum step do_checkpoint(struct fake_session *s, struct request *r, struct answer *a) {
	struct fake_segment *segment = &fake.leaves[job_of(r, 1)][number_of(r, 2) - 1].segment;
	enum found found = lock_row(s, r, 0, HELD(segment), match_checkpoint);
	if (found == WAIT)
		return STEP_WAIT;
	a->affected = found == FOUND;
	if (found == NOT_FOUND) {
		fake.fenced++;
		return STEP_DONE;
	}
	struct fake_segment_row *row = &segment->current;
	row->position = (int)strtol(text(r, 5) + 2, NULL, 10);
	row->batch_id++;
	row->scanned += number_of(r, 6);
	row->changed += number_of(r, 7);
	row->done = strcmp(text(r, 9), "true") == 0;
	return STEP_DONE;
}

static bool match_owned(const struct request *r, const void *row) {
	const struct fake_job_row *job = row;
	return strcmp(job->owner, text(r, 2)) == 0 && job->epoch == number_of(r, 3);
}

static bool match_owned_running(const struct request *r, const void *row) {
	return match_owned(r, row) && match_running(r, row);
}

static bool match_completable(const struct request *r, const void *row) {
	return match_owned_running(r, row) && r->numbers[0] == 0;
}

static enum step do_job_complete(struct fake_session *s, struct request *r, struct answer *a) {
	int i = job_of(r, 1);
	if (!r->began)
		for (int leaf = 0; leaf < fake.nleaves[i]; leaf++) {
			const struct fake_segment_row *segment = SEE(s, &fake.leaves[i][leaf].segment);
			r->numbers[0] += segment->exists && !segment->done;
		}
	r->began = true;
	enum found found = lock_row(s, r, 0, HELD(&fake.jobs[i]), match_completable);
	if (found == WAIT)
		return STEP_WAIT;
	a->affected = found == FOUND;
	if (found == NOT_FOUND)
		return STEP_DONE;
	struct fake_job_row *job = &fake.jobs[i].current;
	snprintf(job->state, sizeof job->state, "completed");
	job->epoch++;
	job->owner[0] = '\0';
	job->owner_seen = -1;
	job->backend_pid = 0;
	return STEP_DONE;
}

static enum step do_owner_seen(struct fake_session *s, struct request *r, struct answer *a) {
	int i = job_of(r, 1);
	enum found found = lock_row(s, r, 0, HELD(&fake.jobs[i]), match_owned_running);
	if (found == FOUND)
		fake.jobs[i].current.owner_seen = fake_now_s;
	a->affected = found == FOUND;
	return found == WAIT ? STEP_WAIT : STEP_DONE;
}

static enum step do_owner_release(struct fake_session *s, struct request *r, struct answer *a) {
	int i = job_of(r, 1);
	enum found found = lock_row(s, r, 0, HELD(&fake.jobs[i]), match_owned);
	if (found == FOUND) {
		struct fake_job_row *job = &fake.jobs[i].current;
		job->owner[0] = '\0';
		job->owner_seen = -1;
		job->backend_pid = 0;
		job->epoch++;
	}
	a->affected = found == FOUND;
	return found == WAIT ? STEP_WAIT : STEP_DONE;
}

static enum step do_job_lock(struct fake_session *s, struct request *r, struct answer *a) {
	int i = job_of(r, 1);
	see_flags(s, r);
	if (lock_row(s, r, 0, HELD(&fake.jobs[i]), match_all) == WAIT)
		return STEP_WAIT;
	const struct fake_job_row *job = &fake.jobs[i].current;
	add_row(a, 5);
	add_text(a, job->state);
	add_int(a, job->epoch);
	add_text(a, job->settings);
	add_text(a, job->definition);
	add_text(a, r->flag[0] != '\0' ? r->flag : NULL);
	return STEP_DONE;
}

static enum step do_job_set_state(struct fake_session *s, struct request *r, struct answer *a) {
	int i = job_of(r, 1);
	if (lock_row(s, r, 0, HELD(&fake.jobs[i]), match_all) == WAIT)
		return STEP_WAIT;
	struct fake_job_row *job = &fake.jobs[i].current;
	snprintf(job->state, sizeof job->state, "%s", text(r, 2));
	snprintf(job->reason, sizeof job->reason, "%s", text(r, 3) != NULL ? text(r, 3) : "");
	job->epoch++;
	if (strcmp(job->state, "running") == 0)
		job->marked = true;
	else
		job->owner[0] = '\0', job->owner_seen = -1;
	add_row(a, 1);
	add_int(a, job->epoch);
	return STEP_DONE;
}

static enum step do_job_set_segments(struct fake_session *s, struct request *r, struct answer *a) {
	int job = job_of(r, 1);
	if (lock_segments(s, r, job, match_exists) == STEP_WAIT)
		return STEP_WAIT;
	for (int i = 0; i < fake.nleaves[job]; i++)
		if (matched(r, job, i)) {
			fake.leaves[job][i].segment.current.epoch = number_of(r, 2);
			fake.leaves[job][i].segment.current.stopped = strcmp(text(r, 3), "true") == 0;
			a->affected++;
		}
	return STEP_DONE;
}

static enum step do_job_set_settings(struct fake_session *s, struct request *r, struct answer *a) {
	int i = job_of(r, 1);
	if (lock_row(s, r, 0, HELD(&fake.jobs[i]), match_all) == WAIT)
		return STEP_WAIT;
	snprintf(fake.jobs[i].current.settings, sizeof fake.jobs[i].current.settings, "%s", text(r, 2));
	a->affected = 1;
	return STEP_DONE;
}

static enum step do_stop_flag(struct fake_session *s, struct request *r, struct answer *a) {
	struct fake_flag *flag = NULL;
	for (int i = 0; i < FAKE_FLAGS; i++)
		if (strcmp(fake.flags[i].current.name, text(r, 1)) == 0)
			flag = &fake.flags[i];
	for (int i = 0; i < FAKE_FLAGS && flag == NULL; i++)
		if (fake.flags[i].current.name[0] == '\0')
			flag = &fake.flags[i];
	if (!take(s, HELD(flag)))
		return STEP_WAIT;
	flag->current.set = true;
	snprintf(flag->current.name, sizeof flag->current.name, "%s", text(r, 1));
	snprintf(flag->current.why, sizeof flag->current.why, "%.99s", text(r, 2));
	a->affected = 1;
	return STEP_DONE;
}

static enum step do_stop_jobs(struct fake_session *s, struct request *r, struct answer *a) {
	for (int i = 0; i < fake.njobs; i++) {
		look(s, r, i, HELD(&fake.jobs[i]), match_running);
		if (r->began)
			continue;
		for (int leaf = 0; leaf < fake.nleaves[i]; leaf++)
			r->numbers[i] += SEE(s, &fake.leaves[i][leaf].segment)->batch_id;
	}
	r->began = true;
	for (int i = 0; i < fake.njobs; i++)
		if (lock_row(s, r, i, HELD(&fake.jobs[i]), match_running) == WAIT)
			return STEP_WAIT;
	for (int i = 0; i < fake.njobs; i++) {
		struct fake_job_row *job = &fake.jobs[i].current;
		if ((r->matched >> i & 1) == 0)
			continue;
		snprintf(job->state, sizeof job->state, "paused");
		job->epoch++;
		job->owner[0] = '\0';
		job->owner_seen = -1;
		add_row(a, 2);
		add_text(a, fake.ids[i]);
		add_int(a, r->numbers[i]);
	}
	return STEP_DONE;
}

static enum step do_stop_segments(struct fake_session *s, struct request *r, struct answer *a) {
	for (int job = 0; job < fake.njobs; job++) {
		for (int i = 0; i < fake.nleaves[job]; i++)
			look(s, r, job * FAKE_LEAVES + i, HELD(&fake.leaves[job][i].segment), match_stoppable);
		if (!r->began)
			r->numbers[job] = SEE(s, &fake.jobs[job])->epoch;
	}
	r->began = true;
	for (int job = 0; job < fake.njobs; job++)
		if (lock_segments(s, r, job, match_stoppable) == STEP_WAIT)
			return STEP_WAIT;
	for (int job = 0; job < fake.njobs; job++)
		for (int i = 0; i < fake.nleaves[job]; i++)
			if (matched(r, job, i)) {
				fake.leaves[job][i].segment.current.stopped = true;
				fake.leaves[job][i].segment.current.epoch = r->numbers[job];
				a->affected++;
			}
	return STEP_DONE;
}

static enum step do_stop_clear(struct fake_session *s, struct request *r, struct answer *a) {
	for (int i = 0; i < FAKE_FLAGS; i++) {
		struct fake_flag *flag = &fake.flags[i];
		if (!SEE(s, flag)->set || (strcmp(text(r, 1), "stop:%") != 0 && strcmp(text(r, 1), SEE(s, flag)->name) != 0))
			continue;
		if (!take(s, HELD(flag)))
			return STEP_WAIT;
		flag->current.set = false;
		a->affected++;
	}
	return STEP_DONE;
}

static enum step do_event_insert(struct fake_session *s, struct request *r, struct answer *a) {
	int64_t seq = ++fake.last_seq;
	if (s->nevents < MAX_EVENTS) {
		struct happened *event = &s->events[s->nevents++];
		*event = (struct happened){.seq = seq, .job = job_of(r, 2)};
		snprintf(event->name, sizeof event->name, "%s", text(r, 1));
	}
	add_row(a, 2);
	add_int(a, seq);
	add_int(a, (int64_t)(fake_now_s * 1e6));
	return STEP_DONE;
}

static enum step do_blockers(struct fake_session *s, struct request *r, struct answer *a) {
	(void)s, (void)r;
	if (once_in(2))
		return STEP_DONE;
	add_row(a, 4);
	add_text(a, "4711"), add_text(a, "app"), add_text(a, "12"), add_text(a, "LOCK TABLE t");
	return STEP_DONE;
}

static void finish(struct fake_session *s, struct answer *a, enum step step);

static enum step do_cancel_backend(struct fake_session *s, struct request *r, struct answer *a) {
	for (struct fake_session *other = fake.sessions; other != NULL; other = other->next)
		if (other != s && other->pid == number_of(r, 1) && other->waiting) {
			struct answer *cancelled = answer_new(ENGINE_DONE);
			refuse(cancelled, ENGINE_ERROR_TIMEOUT, "57014", "canceling statement due to user request");
			finish(other, cancelled, STEP_REFUSED);
			break;
		}
	add_row(a, 1), add_text(a, "t");
	return STEP_DONE;
}

static enum step do_nothing(struct fake_session *s, struct request *r, struct answer *a) {
	(void)s, (void)r, (void)a;
	return STEP_DONE;
}

/* --- the batch's own statements: "boundary JOB LEAF after?" --- */

struct range {
	struct fake_leaf *leaf;
	int first, last; /* indices of rows in (after, through]; last < first: none */
	int next_param;
};

static struct range range_of(const struct request *r) {
	int job, leaf, has_after;
	if (sscanf(r->sql, "%*s %d %d %d", &job, &leaf, &has_after) != 3)
		abort();
	struct range range = {.leaf = &fake.leaves[job][leaf], .next_param = has_after + 2};
	int after = has_after ? (int)number_of(r, 1) : 0, through = (int)number_of(r, has_after + 1);
	while (range.first < range.leaf->nrows && range.leaf->rows[range.first].key <= after)
		range.first++;
	range.last = range.first - 1;
	while (range.last + 1 < range.leaf->nrows && range.leaf->rows[range.last + 1].key <= through)
		range.last++;
	return range;
}

static enum step do_boundary(struct fake_session *s, struct request *r, struct answer *a) {
	(void)s;
	struct range range = range_of(r);
	int64_t offset = number_of(r, range.next_param);
	/* The window's last row and the one behind it. */
	for (int64_t i = range.first + offset; i <= range.last && i <= range.first + offset + 1; i++)
		add_row(a, 2), add_int(a, range.leaf->rows[i].key), add_int(a, FAKE_OID);
	return STEP_DONE;
}

static enum step do_count(struct fake_session *s, struct request *r, struct answer *a) {
	(void)s;
	struct range range = range_of(r);
	int64_t count = range.last - range.first + 1, limit = number_of(r, range.next_param);
	add_row(a, 2), add_int(a, count < limit ? count : limit), add_int(a, FAKE_OID);
	return STEP_DONE;
}

static enum step do_work(struct fake_session *s, struct request *r, struct answer *a) {
	struct range range = range_of(r);
	for (int i = range.first; i <= range.last; i++)
		if (!take(s, HELD(&range.leaf->rows[i])))
			return STEP_WAIT;
	for (int i = range.first; i <= range.last; i++) {
		range.leaf->rows[i].current++;
		if ((fake.broken & FAKE_BREAK_SPLIT) != 0)
			range.leaf->rows[i].committed = range.leaf->rows[i].current;
	}
	a->affected = range.last - range.first + 1;
	return STEP_DONE;
}

static enum step do_last_key(struct fake_session *s, struct request *r, struct answer *a) {
	(void)s;
	int job, leaf;
	if (sscanf(r->sql, "%*s %d %d", &job, &leaf) != 2)
		abort();
	int nrows = fake.leaves[job][leaf].nrows;
	if (nrows > 0)
		add_row(a, 1), add_int(a, fake.leaves[job][leaf].rows[nrows - 1].key);
	return STEP_DONE;
}

static char *dialect_begin(const struct table_shape *shape, const struct dialect_session *session) {
	(void)shape;
	return mem_printf("begin %lld", (long long)session->lock_timeout_ms);
}

static char *dialect_last_key(const struct table_shape *shape, const struct shape_leaf *leaf) {
	return mem_printf("last_key %s %s", shape->name, leaf->name);
}

static char *dialect_boundary(const struct table_shape *shape, const struct shape_leaf *leaf, bool has_after) {
	return mem_printf("boundary %s %s %d", shape->name, leaf->name, has_after);
}

static char *dialect_count(const struct table_shape *shape, const struct shape_leaf *leaf, bool has_after) {
	return mem_printf("count %s %s %d", shape->name, leaf->name, has_after);
}

static char *dialect_work(const struct jobfile *job, const struct table_shape *shape, const struct shape_leaf *leaf,
                          bool has_after) {
	(void)job;
	return mem_printf("work %s %s %d", shape->name, leaf->name, has_after);
}

static const struct dialect fake_dialect = {
	.name = "postgres", /* so that dialect_sql() finds the real texts */
	.schema_version = 1,
	.begin = dialect_begin,
	.begin_read = dialect_begin,
	.last_key = dialect_last_key,
	.boundary = dialect_boundary,
	.count = dialect_count,
	.work = dialect_work,
};

static const struct {
	const char *name;
	statement_fn *fn;
} fixed[] =
	{
		{"control_begin", do_begin},
		{"status", do_status},
		{"meta", do_meta},
		{"poll", do_poll},
		{"claim_lock", do_claim_lock},
		{"claim_end_backend", do_claim_end_backend},
		{"claim_take", do_claim_take},
		{"claim_segments", do_claim_segments},
		{"freeze_wait", do_freeze_wait},
		{"freeze_lock", do_freeze_lock},
		{"freeze_segment", do_freeze_segment},
		{"freeze_done", do_freeze_done},
		{"checkpoint", do_checkpoint},
		{"job_complete", do_job_complete},
		{"owner_seen", do_owner_seen},
		{"owner_release", do_owner_release},
		{"job_lock", do_job_lock},
		{"job_set_state", do_job_set_state},
		{"job_set_segments", do_job_set_segments},
		{"job_set_settings", do_job_set_settings},
		{"stop_flag", do_stop_flag},
		{"stop_jobs", do_stop_jobs},
		{"stop_segments", do_stop_segments},
		{"stop_clear", do_stop_clear},
		{"event_insert", do_event_insert},
		{"blockers", do_blockers},
		{"cancel_backend", do_cancel_backend},
		{"heartbeat_write", do_nothing},
		{"heartbeat_standbys", do_nothing},
},
  own[] = {
	  {"begin", do_begin}, {"boundary", do_boundary}, {"count", do_count}, {"work", do_work}, {"last_key", do_last_key},
};
enum { NFIXED = sizeof fixed / sizeof *fixed, NOWN = sizeof own / sizeof *own };
static const char *fixed_texts[NFIXED];

static statement_fn *statement_of(const char *sql) {
	for (size_t i = 0; i < NFIXED; i++) {
		if (fixed_texts[i] == NULL)
			fixed_texts[i] = dialect_sql(&fake_dialect, fixed[i].name);
		if (strcmp(sql, fixed_texts[i]) == 0)
			return fixed[i].fn;
	}
	for (size_t i = 0; i < NOWN; i++)
		if (starts_with(sql, own[i].name))
			return own[i].fn;
	fprintf(stderr, "the fake engine does not know this statement: %s\n", sql);
	abort();
}

/* --- the wire --- */

static void request_clear(struct request *r) {
	free(r->sql);
	for (int i = 0; i < r->nparams; i++)
		free(r->params[i]);
	*r = (struct request){0};
}

static void start_timer(struct ev_loop *loop, ev_timer *timer, double after) {
	ev_timer_stop(loop, timer);
	ev_timer_set(timer, after, 0.);
	ev_timer_start(loop, timer);
}

/* Mostly quick, sometimes not: what decides the order of events. */
static double latency(void) {
	return once_in(4) ? 0 : once_in(10) ? random_between(0, 0.05) : random_between(0, 0.003);
}

static void send_answer(struct fake_conn *conn, struct answer *a, double after) {
	answer_free(conn->answer);
	conn->answer = a;
	ev_timer_stop(conn->loop, &conn->timeout);
	start_timer(conn->loop, &conn->deliver, after);
}

/* The client's side is gone: whatever it waited for, it hears of the loss. */
static void break_conn(struct fake_conn *conn, double after) {
	struct answer *a = answer_new(ENGINE_LOST);
	snprintf(a->message, sizeof a->message, "server closed the connection unexpectedly");
	if (conn->session != NULL)
		conn->session->conn = NULL;
	conn->session = NULL;
	if (conn->fn != NULL) {
		send_answer(conn, a, after);
		return;
	}
	answer_free(a);
	start_timer(conn->loop, &conn->notice, after + (once_in(3) ? random_between(0, 2) : 0));
}

static void session_end(struct fake_session *s) {
	if (!s->alive)
		return;
	s->alive = s->busy = s->waiting = s->committing = false;
	ev_timer_stop(fake.loop, &s->arrive);
	ev_timer_stop(fake.loop, &s->lock_timeout);
	ev_timer_stop(fake.loop, &s->idle);
	request_clear(&s->request);
	roll_back(s);
	if (s->conn != NULL)
		break_conn(s->conn, latency());
}

static void finish(struct fake_session *s, struct answer *a, enum step step) {
	ev_timer_stop(fake.loop, &s->lock_timeout);
	ev_timer_stop(fake.loop, &s->arrive);
	bool answer_lost = s->request.answer_lost;
	bool ends = strcmp(s->request.sql, "COMMIT") == 0 || strcmp(s->request.sql, "ROLLBACK") == 0;
	request_clear(&s->request);
	s->busy = s->waiting = s->committing = false;
	if (!s->in_transaction) {
		if (step == STEP_DONE)
			commit(s);
		else
			roll_back(s);
	} else if (step == STEP_REFUSED && !ends) {
		roll_back(s);                          /* an error lets go of the locks at once … */
		s->in_transaction = s->aborted = true; /* … but the transaction ends only with ROLLBACK */
	}
	if (answer_lost && s->conn != NULL) {
		fake.lost_commits += ends;
		break_conn(s->conn, latency());
	}
	if (s->conn == NULL) {
		answer_free(a);
		/* The server reads on, finds nobody, and rolls back: at once, or when its time-outs say so. */
		start_timer(fake.loop, &s->idle, once_in(2) ? 0 : random_between(0, idle_in_transaction_s));
		return;
	}
	send_answer(s->conn, a, latency());
	if (s->in_transaction)
		start_timer(fake.loop, &s->idle, idle_in_transaction_s);
}

static const struct {
	enum engine_error error;
	const char *sqlstate, *message;
} refusals[] = {
	{ENGINE_ERROR_CONTENTION, "55P03", "canceling statement due to lock timeout"},
	{ENGINE_ERROR_CONTENTION, "40P01", "deadlock detected"},
	{ENGINE_ERROR_CONTENTION, "55P03", "canceling statement due to lock timeout"},
	{ENGINE_ERROR_TIMEOUT, "57014", "canceling statement due to statement timeout"},
	{ENGINE_ERROR_TIMEOUT, "57014", "canceling statement due to statement timeout"},
	{ENGINE_ERROR_READ_ONLY, "25006", "cannot execute UPDATE in a read-only transaction"},
	{ENGINE_ERROR_RESOURCE, "53200", "out of memory"},
	{ENGINE_ERROR_DISK_FULL, "53100", "could not extend file: No space left on device"},
	{ENGINE_ERROR_DATA, "22012", "division by zero"},
	{ENGINE_ERROR_PRIVILEGE, "42501", "permission denied"},
};

static enum step end_transaction(struct fake_session *s, struct answer *a, bool commits) {
	if (commits && !s->aborted && once_in(fake.faults.refuse * 4)) {
		roll_back(s);
		return refuse(a, ENGINE_ERROR_CONTENTION, "40001", "could not serialize access");
	}
	if (commits && !s->aborted)
		commit(s);
	else
		roll_back(s);
	return STEP_DONE;
}

static void run(struct fake_session *s) {
	struct request *r = &s->request;
	bool commits = strcmp(r->sql, "COMMIT") == 0;
	struct answer *a = answer_new(ENGINE_DONE);
	enum step step;
	if (commits || strcmp(r->sql, "ROLLBACK") == 0) {
		step = end_transaction(s, a, commits);
	} else if (s->aborted) {
		step = refuse(a, ENGINE_ERROR_OTHER, "25P02", "current transaction is aborted");
	} else if (!s->waiting && once_in(fake.faults.refuse)) {
		int which = random_below(sizeof refusals / sizeof *refusals);
		step = refuse(a, refusals[which].error, refusals[which].sqlstate, refusals[which].message);
	} else {
		step = statement_of(r->sql)(s, r, a);
	}
	if (step != STEP_WAIT) {
		finish(s, a, step);
		return;
	}
	answer_free(a);
	if (s->waiting)
		return;
	s->waiting = true;
	fake.lock_waits++;
	start_timer(fake.loop, &s->lock_timeout, s->in_transaction ? s->lock_timeout_s : 30);
}

static void on_arrive(struct ev_loop *loop, ev_timer *timer, int events) {
	(void)events;
	struct fake_session *s = timer->data;
	ev_timer_stop(loop, &s->idle);
	fake.statements += !s->waiting;
	/* From here on nothing stops it, neither a lost connection nor pg_terminate_backend. */
	if (!s->committing && strcmp(s->request.sql, "COMMIT") == 0 && once_in(fake.faults.slow_terminate)) {
		s->committing = true;
		start_timer(loop, &s->arrive, random_between(0, 3));
		return;
	}
	run(s);
}

static void on_lock_timeout(struct ev_loop *loop, ev_timer *timer, int events) {
	(void)loop, (void)events;
	fake.lock_timeouts++;
	struct answer *a = answer_new(ENGINE_DONE);
	finish(timer->data, a, refuse(a, ENGINE_ERROR_CONTENTION, "55P03", "canceling statement due to lock timeout"));
}

static void on_idle(struct ev_loop *loop, ev_timer *timer, int events) {
	(void)loop, (void)events;
	session_end(timer->data);
}

static struct fake_session *session_new(struct fake_conn *conn) {
	struct fake_session *s = mem_alloc(sizeof *s);
	*s = (struct fake_session){.next = fake.sessions, .pid = ++fake.last_pid, .conn = conn, .alive = true};
	ev_timer_init(&s->arrive, on_arrive, 0., 0.);
	ev_timer_init(&s->lock_timeout, on_lock_timeout, 0., 0.);
	ev_timer_init(&s->idle, on_idle, 0., 0.);
	s->arrive.data = s->lock_timeout.data = s->idle.data = s;
	fake.sessions = s;
	return s;
}

/* --- the client's side: engine.h --- */

static void on_deliver(struct ev_loop *loop, ev_timer *timer, int events) {
	(void)events;
	struct fake_conn *conn = timer->data;
	ev_timer_stop(loop, &conn->timeout);
	struct answer *a = conn->answer;
	engine_result_fn *fn = conn->fn;
	conn->answer = NULL;
	conn->fn = NULL;
	struct engine_result result = {.outcome = a->outcome,
	                               .error = a->error,
	                               .message = a->message,
	                               .nrows = a->nrows,
	                               .ncolumns = a->ncolumns,
	                               .affected = a->affected,
	                               .rows = a->nrows > 0 ? a : NULL};
	snprintf(result.sqlstate, sizeof result.sqlstate, "%s", a->sqlstate);
	if (a->outcome == ENGINE_DONE && a->nrows * a->ncolumns != a->ncells)
		abort();
	if (conn->session == NULL && a->outcome != ENGINE_LOST) /* broken behind the answer */
		start_timer(loop, &conn->notice, latency());
	fn(conn->context, &result);
	answer_free(a);
}

static void on_timeout(struct ev_loop *loop, ev_timer *timer, int events) {
	(void)loop, (void)events;
	break_conn(timer->data, 0);
}

static void on_notice(struct ev_loop *loop, ev_timer *timer, int events) {
	(void)loop, (void)events;
	struct fake_conn *conn = timer->data;
	if (conn->fn == NULL && conn->lost != NULL)
		conn->lost(conn->lost_context, "terminating connection due to administrator command");
}

struct engine_connecting {
	struct ev_loop *loop;
	engine_connected_fn *fn;
	void *context;
	ev_timer timer;
};

static void on_connected(struct ev_loop *loop, ev_timer *timer, int events) {
	(void)events;
	struct engine_connecting *c = timer->data;
	if (fake.down_until > fake_now_s || once_in(fake.faults.refuse_connect)) {
		struct error err;
		error_set(&err, ERROR_TRY_AGAIN, "connection refused");
		c->fn(c->context, NULL, &err);
		free(c);
		return;
	}
	struct fake_conn *conn = mem_alloc(sizeof *conn);
	*conn = (struct fake_conn){.base.engine = &engine_postgres, .loop = loop};
	ev_timer_init(&conn->deliver, on_deliver, 0., 0.);
	ev_timer_init(&conn->timeout, on_timeout, 0., 0.);
	ev_timer_init(&conn->notice, on_notice, 0., 0.);
	conn->deliver.data = conn->timeout.data = conn->notice.data = conn;
	conn->session = session_new(conn);
	conn->pid = conn->session->pid;
	c->fn(c->context, &conn->base, NULL);
	free(c);
}

static struct engine_connecting *fake_connect(struct ev_loop *loop, const char *url, const struct engine_connect_options *options,
                                              engine_connected_fn *fn, void *context) {
	(void)url, (void)options;
	struct engine_connecting *c = mem_alloc(sizeof *c);
	*c = (struct engine_connecting){.loop = loop, .fn = fn, .context = context};
	ev_timer_init(&c->timer, on_connected, once_in(20) ? random_between(0, 3) : random_between(0, 0.02), 0.);
	c->timer.data = c;
	ev_timer_start(loop, &c->timer);
	return c;
}

static void fake_connect_abandon(struct engine_connecting *c) {
	ev_timer_stop(c->loop, &c->timer);
	free(c);
}

static void fake_execute(struct engine_conn *base, const char *sql, const char *const *params, size_t nparams, int timeout_ms,
                         engine_result_fn *fn, void *context) {
	struct fake_conn *conn = (struct fake_conn *)base;
	if (conn->fn != NULL || nparams > MAX_PARAMS)
		abort(); /* one at a time: engine.h */
	conn->fn = fn;
	conn->context = context;
	ev_timer_stop(conn->loop, &conn->notice);
	struct fake_session *s = conn->session;
	if (s == NULL) {
		break_conn(conn, latency());
		return;
	}
	struct request *r = &s->request;
	r->sql = mem_dup(sql);
	for (size_t i = 0; i < nparams; i++)
		r->params[r->nparams++] = mem_dup(params[i]);
	s->busy = true;
	double travel = once_in(fake.faults.slow) ? random_between(0, 20) : latency();
	start_timer(conn->loop, &conn->timeout, timeout_ms / 1000.0);
	int loss = once_in(fake.faults.lose) ? random_below(4) : -1;
	if (loss >= 0 && strcmp(sql, "COMMIT") == 0)
		fake.lost_commits += loss != 3;
	switch (loss) {
	case 0: /* never sent, and the server knows */
		session_end(s);
		return;
	case 1: /* never sent, and the server does not know: its transaction stays open for a while */
		request_clear(r);
		s->busy = false;
		break_conn(conn, latency());
		if (!ev_is_active(&s->idle))
			start_timer(fake.loop, &s->idle, random_between(0, 5));
		return;
	case 2: /* we hear of the loss first; the statement arrives nevertheless */
		travel = random_between(0, 4);
		break_conn(conn, latency());
		break;
	case 3: /* done, but the answer does not come back */
		r->answer_lost = true;
		break;
	default:
		break;
	}
	start_timer(fake.loop, &s->arrive, travel);
}

static void fake_close(struct engine_conn *base) {
	struct fake_conn *conn = (struct fake_conn *)base;
	struct fake_session *s = conn->session;
	if (s != NULL) {
		s->conn = NULL;
		if (!s->busy || (once_in(2) && !s->waiting && !s->committing)) {
			/* Idle, or what was sent never gets there. */
			ev_timer_stop(fake.loop, &s->arrive);
			request_clear(&s->request);
			s->busy = false;
			start_timer(fake.loop, &s->idle, once_in(2) ? 0 : random_between(0, idle_in_transaction_s));
		} else if (!s->waiting && !s->committing && once_in(3)) {
			start_timer(fake.loop, &s->arrive, random_between(0, 3)); /* late, when nobody thinks of it any more */
		}
	}
	ev_timer_stop(conn->loop, &conn->deliver);
	ev_timer_stop(conn->loop, &conn->timeout);
	ev_timer_stop(conn->loop, &conn->notice);
	answer_free(conn->answer);
	free(conn);
}

static void fake_on_lost(struct engine_conn *base, engine_lost_fn *fn, void *context) {
	struct fake_conn *conn = (struct fake_conn *)base;
	conn->lost = fn;
	conn->lost_context = context;
}

static int64_t fake_backend_pid(const struct engine_conn *base) {
	return ((const struct fake_conn *)base)->pid;
}

static const char *fake_peer(const struct engine_conn *base) {
	(void)base;
	return "memory";
}

/* Takes the real one's place in engine_for_url(). */
const struct engine engine_postgres = {
	.name = "postgresql",
	.url_scheme = "postgresql://",
	.dialect = &fake_dialect,
	.connect = fake_connect,
	.connect_abandon = fake_connect_abandon,
	.execute = fake_execute,
	.close = fake_close,
	.on_lost = fake_on_lost,
	.backend_pid = fake_backend_pid,
	.peer = fake_peer,
};

/* --- what the simulation does to the server --- */

void fake_db_start(void) {
	fake = (struct fake_db){.loop = ev_loop_new(0), .last_pid = 100};
}

void fake_db_end(void) {
	while (fake.sessions != NULL) {
		struct fake_session *s = fake.sessions;
		fake.sessions = s->next;
		session_end(s);
		free(s->held);
		free(s);
	}
	for (int i = 0; i < FAKE_JOBS; i++)
		free(fake.shapes[i]);
	ev_loop_destroy(fake.loop);
}

void fake_db_restart(double seconds) {
	for (struct fake_session *s = fake.sessions; s != NULL; s = s->next)
		session_end(s);
	fake.down_until = fake_now_s + seconds;
}

void fake_db_break_one(void) {
	int alive = 0;
	struct fake_session *chosen = NULL;
	for (struct fake_session *s = fake.sessions; s != NULL; s = s->next)
		if (s->alive && s->conn != NULL && once_in(++alive))
			chosen = s;
	if (chosen != NULL && once_in(2))
		session_end(chosen);
	else if (chosen != NULL) {
		if (!chosen->busy && !ev_is_active(&chosen->idle))
			start_timer(fake.loop, &chosen->idle, random_between(0, 5));
		break_conn(chosen->conn, latency());
	}
}

void fake_db_disturb(double seconds) {
	struct fake_session *s = session_new(NULL);
	int job = random_below(fake.njobs), leaf = random_below(fake.nleaves[job]);
	struct fake_leaf *l = &fake.leaves[job][leaf];
	s->in_transaction = true;
	switch (random_below(6)) {
	case 0:
		take(s, HELD(&fake.jobs[job]));
		break;
	case 1:
		take(s, HELD(&l->segment));
		break;
	default:
		if (l->nrows > 0) {
			struct fake_counter *row = &l->rows[random_below(l->nrows)];
			take(s, HELD(row));
		}
		break;
	}
	start_timer(fake.loop, &s->idle, seconds);
}
