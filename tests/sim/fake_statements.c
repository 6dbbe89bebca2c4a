/* fake_statements.c: what the fixed statements of sql/postgres/ do to the fake database. Included by fake_engine.c. */
/* --- statements --- */

enum step { STEP_DONE, STEP_WAIT, STEP_REFUSED, STEP_LATER };

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
	(void)r, (void)a;
	s->in_transaction = true;
	s->aborted = false;
	s->lock_timeout_s = 2.0;
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
	add_row(a, 14);
	add_text(a, job->state);
	add_text(a, job->definition);
	add_text(a, job->settings);
	add_text(a, fake.shapes[i]);
	if (job->marker > 0)
		add_int(a, job->marker);
	else
		add_text(a, NULL);
	add_text(a, job->frozen ? "true" : "false");
	add_text(a, "1000");
	add_text(a, job->owner[0] != '\0' ? job->owner : NULL);
	add_text(a, claimable ? "true" : "false");
	add_text(a, r->flag[0] != '\0' ? r->flag : NULL);
	add_text(a, NULL); /* no stranger */
	add_int(a, job->round), add_text(a, job->phase);
	add_text(a, NULL); /* in this database a writer has its xid at once */
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
	job->backend_pid = s->pid == number_of(r, 3) ? s->pid : 0;
	add_row(a, 2);
	add_int(a, job->epoch);
	add_text(a, job->backend_pid != 0 ? "true" : "false");
	return STEP_DONE;
}

static void add_segment_row(struct answer *a, int index, const struct fake_segment_row *row) {
	add_row(a, 12);
	add_int(a, index + 1);
	add_int(a, row->leaf);
	add_key(a, row->after);
	add_key(a, row->through);
	add_key(a, row->position);
	add_int(a, row->batch_id);
	add_text(a, row->done ? "true" : "false");
	add_int(a, row->scanned);
	add_int(a, row->changed);
	add_int(a, 0);
	add_int(a, row->round);
	add_text(a, FAKE_PLACE);
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
	int first = job * FAKE_SEGMENTS;
	for (int i = 0; i < FAKE_SEGMENTS; i++)
		look(s, r, first + i, HELD(&fake.segments[job][i]), match);
	for (int i = 0; i < FAKE_SEGMENTS; i++)
		if (lock_row(s, r, first + i, HELD(&fake.segments[job][i]), match) == WAIT)
			return STEP_WAIT;
	return STEP_DONE;
}

static bool matched(const struct request *r, int job, int index) {
	return (r->matched >> (job * FAKE_SEGMENTS + index) & 1) != 0;
}

static enum step do_claim_segments(struct fake_session *s, struct request *r, struct answer *a) {
	int job = job_of(r, 1);
	if (lock_segments(s, r, job, match_exists) == STEP_WAIT)
		return STEP_WAIT;
	for (int i = 0; i < FAKE_SEGMENTS; i++) {
		struct fake_segment_row *segment = &fake.segments[job][i].current;
		if (!matched(r, job, i))
			continue;
		if ((fake.broken & FAKE_BREAK_CLAIM_EPOCH) == 0)
			segment->epoch = number_of(r, 2);
		add_segment_row(a, i, segment);
	}
	return STEP_DONE;
}

static enum step do_round_wait(struct fake_session *s, struct request *r, struct answer *a) {
	for (const struct fake_session *other = fake.sessions; other != NULL; other = other->next) {
		if (other == s || other->xid == 0 || other->xid >= number_of(r, 1))
			continue;
		add_row(a, 6);
		add_text(a, "1"), add_int(a, other->pid), add_text(a, "app"), add_text(a, "3"), add_text(a, "UPDATE t"),
			add_text(a, "false");
		break;
	}
	return STEP_DONE;
}

static enum step do_shape_check(struct fake_session *s, struct request *r, struct answer *a) {
	(void)s, (void)r;
	/* Nothing has changed. */
	add_row(a, 7), add_text(a, NULL), add_text(a, NULL), add_text(a, "1"), add_text(a, FAKE_KEY_MARK), add_int(a, 150000);
	add_text(a, "false"), add_text(a, NULL);
	return STEP_DONE;
}

static bool all_done(const struct fake_session *s, int job) {
	for (int i = 0; i < FAKE_SEGMENTS; i++) {
		const struct fake_segment_row *segment = SEE(s, &fake.segments[job][i]);
		if (segment->exists && !segment->done)
			return false;
	}
	return true;
}

static bool match_round(const struct request *r, const void *row) {
	const struct fake_job_row *job = row;
	return job->epoch == number_of(r, 2) && match_running(r, job) && job->round == number_of(r, 3) && r->flag[0] == '\0' &&
	       r->numbers[0] == 0;
}

static enum step do_round_take(struct fake_session *s, struct request *r, struct answer *a) {
	int i = job_of(r, 1);
	if (!r->began)
		r->numbers[0] = !all_done(s, i);
	see_flags(s, r);
	enum found found = lock_row(s, r, 0, HELD(&fake.jobs[i]), match_round);
	if (found != FOUND)
		return found == WAIT ? STEP_WAIT : STEP_DONE;
	struct fake_job_row *job = &fake.jobs[i].current;
	job->round++;
	snprintf(job->phase, sizeof job->phase, "%s", text(r, 4));
	if ((fake.broken & FAKE_BREAK_MARKER) == 0)
		job->marker = s->xid;
	job->frozen = strcmp(text(r, 5), "false") == 0 || (fake.broken & FAKE_BREAK_OPEN) != 0;
	add_row(a, 2);
	add_int(a, job->marker), add_text(a, NULL);
	return STEP_DONE;
}

static int key_of(const char *text) {
	return text != NULL ? (int)strtol(text + 2, NULL, 10) : 0;
}

static enum step do_round_segment(struct fake_session *s, struct request *r, struct answer *a) {
	int index = (int)number_of(r, 2) - 1;
	if (index >= FAKE_SEGMENTS)
		abort(); /* fake_db_write lets no table grow that much */
	struct fake_segment *segment = &fake.segments[job_of(r, 1)][index];
	if (!take(s, HELD(segment)))
		return STEP_WAIT;
	if (segment->current.exists)
		return refuse(a, ENGINE_ERROR_DATA, "23505", "duplicate key value violates segment_pkey");
	segment->current = (struct fake_segment_row){.exists = true,
	                                             .leaf = (int)number_of(r, 3),
	                                             .round = (int)number_of(r, 4),
	                                             .after = key_of(text(r, 5)),
	                                             .through = key_of(text(r, 6)),
	                                             .epoch = number_of(r, 7)};
	add_segment_row(a, index, &segment->current);
	return STEP_DONE;
}

static bool match_openable(const struct request *r, const void *row) {
	const struct fake_job_row *job = row;
	return job->epoch == number_of(r, 2) && job->round == number_of(r, 3) && match_running(r, job) && !job->frozen;
}

static enum step do_round_open(struct fake_session *s, struct request *r, struct answer *a) {
	int i = job_of(r, 1);
	enum found found = lock_row(s, r, 0, HELD(&fake.jobs[i]), match_openable);
	if (found == FOUND)
		fake.jobs[i].current.frozen = true;
	a->affected = found == FOUND;
	return found == WAIT ? STEP_WAIT : STEP_DONE;
}

static bool match_checkpoint(const struct request *r, const void *row) {
	const struct fake_segment_row *segment = row;
	return segment->exists && ((fake.broken & FAKE_BREAK_EPOCH) != 0 || segment->epoch == number_of(r, 3)) &&
	       ((fake.broken & FAKE_BREAK_BATCH_ID) != 0 || segment->batch_id == number_of(r, 4)) &&
	       ((fake.broken & FAKE_BREAK_STOPPED) != 0 || !segment->stopped) && number_of(r, 10) == FAKE_OID &&
	       strcmp(text(r, 13), FAKE_KEY_MARK) == 0 && strcmp(text(r, 14), FAKE_PLACE) == 0;
}

static enum step do_checkpoint(struct fake_session *s, struct request *r, struct answer *a) {
	struct fake_segment *segment = &fake.segments[job_of(r, 1)][number_of(r, 2) - 1];
	enum found found = lock_row(s, r, 0, HELD(segment), match_checkpoint);
	if (found == WAIT)
		return STEP_WAIT;
	if (found == NOT_FOUND) {
		fake.fenced++;
		return fake.fence_fails ? refuse(a, ENGINE_ERROR_DATA, "22012", "division by zero") : STEP_DONE;
	}
	struct fake_segment_row *row = &segment->current;
	row->position = key_of(text(r, 5));
	row->batch_id++;
	row->scanned += number_of(r, 6);
	row->changed += number_of(r, 7);
	row->done = strcmp(text(r, 9), "true") == 0;
	add_row(a, 1);
	add_text(a, FAKE_PLACE);
	a->affected = 1;
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
		r->numbers[0] = !all_done(s, i);
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
		job->marker = job->marker > 0 ? job->marker : s->xid;
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
	for (int i = 0; i < FAKE_SEGMENTS; i++)
		if (matched(r, job, i)) {
			fake.segments[job][i].current.epoch = number_of(r, 2);
			fake.segments[job][i].current.stopped = strcmp(text(r, 3), "true") == 0;
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

static bool match_open(const struct request *r, const void *row) {
	const struct fake_job_row *job = row;
	(void)r;
	return strcmp(job->state, "completed") != 0 && strcmp(job->state, "cancelled") != 0;
}

static enum step do_stop_lock(struct fake_session *s, struct request *r, struct answer *a) {
	for (int i = 0; i < fake.njobs; i++)
		look(s, r, i, HELD(&fake.jobs[i]), match_open);
	for (int i = 0; i < fake.njobs; i++)
		if (lock_row(s, r, i, HELD(&fake.jobs[i]), match_open) == WAIT)
			return STEP_WAIT;
	for (int i = 0; i < fake.njobs; i++)
		if ((r->matched >> i & 1) != 0)
			add_row(a, 1), add_text(a, fake.ids[i]);
	return STEP_DONE;
}

static enum step do_stop_jobs(struct fake_session *s, struct request *r, struct answer *a) {
	for (int i = 0; i < fake.njobs; i++) {
		look(s, r, i, HELD(&fake.jobs[i]), match_running);
		if (r->began)
			continue;
		for (int segment = 0; segment < FAKE_SEGMENTS; segment++)
			r->numbers[i] += SEE(s, &fake.segments[i][segment])->batch_id;
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
		for (int i = 0; i < FAKE_SEGMENTS; i++)
			look(s, r, job * FAKE_SEGMENTS + i, HELD(&fake.segments[job][i]), match_stoppable);
		if (!r->began)
			r->numbers[job] = SEE(s, &fake.jobs[job])->epoch;
	}
	r->began = true;
	for (int job = 0; job < fake.njobs; job++)
		if (lock_segments(s, r, job, match_stoppable) == STEP_WAIT)
			return STEP_WAIT;
	for (int job = 0; job < fake.njobs; job++)
		for (int i = 0; i < FAKE_SEGMENTS; i++)
			if (matched(r, job, i)) {
				fake.segments[job][i].current.stopped = true;
				fake.segments[job][i].current.epoch = r->numbers[job];
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
	const struct fake_job_row *job = SEE(s, &fake.jobs[job_of(r, 1)]);
	for (struct fake_session *other = fake.sessions; other != NULL; other = other->next)
		if (other != s && other->pid == job->backend_pid && other->waiting) {
			struct answer *cancelled = answer_new(ENGINE_DONE);
			refuse(cancelled, ENGINE_ERROR_TIMEOUT, "57014", "canceling statement due to user request");
			finish(other, cancelled, STEP_REFUSED);
			break;
		}
	add_row(a, 1), add_text(a, "t");
	return STEP_DONE;
}

static enum step do_heartbeat_write(struct fake_session *s, struct request *r, struct answer *a) {
	(void)s, (void)r;
	a->affected = 1;
	return STEP_DONE;
}

static enum step do_nothing(struct fake_session *s, struct request *r, struct answer *a) {
	(void)s, (void)r, (void)a;
	return STEP_DONE;
}
