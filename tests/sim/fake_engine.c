/*
 * fake_engine.c: the wire between daemon and fake database, and the engine that the job layer sees. One program is one
 * file's worth of statics: the parts are included, each on the ones before it.
 */
/* clang-format off */
#include "tests/sim/fake_server.c"
#include "tests/sim/fake_statements.c"
#include "tests/sim/fake_dialect.c"
/* clang-format on */

/* --- the wire --- */

static void request_clear(struct request *r) {
	free(r->sql);
	for (int i = 0; i < r->nparams; i++)
		free(r->params[i]);
	*r = (struct request){0};
}

static void queue_clear(struct fake_session *s) {
	while (s->nqueue > 0)
		request_clear(&s->queue[--s->nqueue]);
}

static void answers_clear(struct fake_conn *conn) {
	while (conn->nanswers > 0)
		answer_free(conn->answers[--conn->nanswers]);
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
	if (conn->expects) {
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
	queue_clear(s);
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
	if (step == STEP_REFUSED)
		queue_clear(s);
	if (s->nqueue > 0) {
		s->request = s->queue[--s->nqueue];
		s->busy = true;
		if (s->conn != NULL)
			s->conn->answers[s->conn->nanswers++] = a;
		else
			answer_free(a);
		start_timer(fake.loop, &s->arrive, 0);
		return;
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
	if (step != STEP_WAIT && step != STEP_LATER) {
		finish(s, a, step);
		return;
	}
	answer_free(a);
	if (s->waiting || step == STEP_LATER)
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

/* What a sweep that is younger does not owe any more is known by its marker. */
static void site_commit(struct fake_session *s) {
	const struct fake_job_row *job = &fake.jobs[s->site_job].committed;
	if (s->site_row->committed > 0)
		s->site_row->site = strcmp(job->phase, "sweep") == 0 && s->xid > job->marker ? FAKE_LATE : FAKE_SET_BACK;
	commit(s);
}

static void on_idle(struct ev_loop *loop, ev_timer *timer, int events) {
	(void)loop, (void)events;
	struct fake_session *s = timer->data;
	if (s->site_row != NULL && !once_in(5))
		site_commit(s);
	session_end(s);
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

static struct engine_result result_of(const struct answer *a) {
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
	return result;
}

static void on_deliver(struct ev_loop *loop, ev_timer *timer, int events) {
	(void)events;
	struct fake_conn *conn = timer->data;
	ev_timer_stop(loop, &conn->timeout);
	struct answer *answers[MAX_FLIGHT + 1];
	struct engine_result results[MAX_FLIGHT + 1];
	bool is_lost = conn->answer->outcome == ENGINE_LOST;
	size_t count = 0;
	for (int i = 0; i < conn->nanswers; i++)
		answers[count++] = conn->answers[i];
	answers[count++] = conn->answer;
	for (size_t i = 0; i < count; i++)
		results[i] = result_of(answers[i]);
	conn->nanswers = 0;
	conn->answer = NULL;
	conn->expects = false;
	if (conn->session == NULL && !is_lost) /* broken behind the answer */
		start_timer(loop, &conn->notice, latency());
	if (conn->flown == NULL)
		conn->fn(conn->context, &results[count - 1]);
	else if (is_lost)
		conn->flown(conn->context, &results[count - 1], 1);
	else
		conn->flown(conn->context, results, count);
	for (size_t i = 0; i < count; i++)
		answer_free(answers[i]);
}

static void on_timeout(struct ev_loop *loop, ev_timer *timer, int events) {
	(void)loop, (void)events;
	break_conn(timer->data, 0);
}

static void on_notice(struct ev_loop *loop, ev_timer *timer, int events) {
	(void)loop, (void)events;
	struct fake_conn *conn = timer->data;
	if (!conn->expects && conn->lost != NULL)
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

static void request_fill(struct request *r, const struct engine_statement *statement) {
	if (statement->nparams > MAX_PARAMS)
		abort();
	*r = (struct request){.sql = mem_dup(statement->sql)};
	for (size_t i = 0; i < statement->nparams; i++)
		r->params[r->nparams++] = mem_dup(statement->params[i]);
}

static bool commits(const struct engine_statement *statements, size_t count) {
	return strcmp(statements[count - 1].sql, "COMMIT") == 0;
}

/* What a batch does to rows loses nothing in silence. */
static bool are_strict_enough(const struct engine_statement *statements, size_t count) {
	for (size_t i = 0; i < count; i++) {
		const char *sql = statements[i].sql;
		bool writes = strncmp(sql, "work ", 5) == 0 || strncmp(sql, "kept_work ", 10) == 0 || strncmp(sql, "capture ", 8) == 0;
		if (writes && !statements[i].strict)
			return false;
	}
	return true;
}

static void send_all(struct fake_conn *conn, const struct engine_statement *statements, size_t count, int timeout_ms) {
	if (conn->expects || count > MAX_FLIGHT || !are_strict_enough(statements, count))
		abort(); /* one at a time: engine.h */
	conn->expects = true;
	ev_timer_stop(conn->loop, &conn->notice);
	struct fake_session *s = conn->session;
	if (s == NULL) {
		break_conn(conn, latency());
		return;
	}
	start_timer(conn->loop, &conn->timeout, timeout_ms / 1000.0);
	int loss = once_in(fake.faults.lose) ? random_below(4) : -1;
	if (loss >= 0 && commits(statements, count))
		fake.lost_commits += loss != 3;
	/* Not all of it was sent, and the server does not know: its transaction stays open for a while. */
	size_t sent = loss == 1 ? (size_t)random_below((int)count) : count;
	double travel = once_in(fake.faults.slow) ? random_between(0, 20) : latency();
	if (loss == 0) { /* never sent, and the server knows */
		session_end(s);
		return;
	}
	if (sent > 0) {
		for (size_t i = sent - 1; i > 0; i--)
			request_fill(&s->queue[s->nqueue++], &statements[i]);
		request_fill(&s->request, &statements[0]);
		s->busy = true;
	}
	if (loss == 1 || loss == 2) /* we hear of the loss first; what was sent arrives nevertheless */
		break_conn(conn, latency());
	if (loss == 2)
		travel = random_between(0, 4);
	if (loss == 3) { /* done, but the answer does not come back */
		int which = random_below((int)sent);
		(which < s->nqueue ? &s->queue[which] : &s->request)->answer_lost = true;
	}
	if (sent > 0)
		start_timer(fake.loop, &s->arrive, travel);
	else if (!ev_is_active(&s->idle))
		start_timer(fake.loop, &s->idle, random_between(0, 5));
}

static void fake_execute(struct engine_conn *base, const char *sql, const char *const *params, size_t nparams, int timeout_ms,
                         engine_result_fn *fn, void *context) {
	struct fake_conn *conn = (struct fake_conn *)base;
	const struct engine_statement statement = {.sql = sql, .params = params, .nparams = nparams};
	conn->fn = fn;
	conn->flown = NULL;
	conn->context = context;
	send_all(conn, &statement, 1, timeout_ms);
}

static void fake_fly(struct engine_conn *base, const struct engine_statement *statements, size_t count, int timeout_ms,
                     engine_flown_fn *fn, void *context) {
	struct fake_conn *conn = (struct fake_conn *)base;
	conn->flown = fn;
	conn->context = context;
	send_all(conn, statements, count, timeout_ms);
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
			queue_clear(s);
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
	answers_clear(conn);
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
	.url_schemes = {"postgresql://"},
	.dialect = &fake_dialect,
	.connect = fake_connect,
	.connect_abandon = fake_connect_abandon,
	.execute = fake_execute,
	.fly = fake_fly,
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
	struct fake_segment *segment = &fake.segments[job][random_below(4)];
	s->in_transaction = true;
	switch (random_below(6)) {
	case 0:
		take(s, HELD(&fake.jobs[job]));
		break;
	case 1:
		take(s, HELD(segment));
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

/* There is room for the rounds that follow: two that were due anyway, and the sweep. */
static bool may_grow(int job) {
	return !fake.segments[job][FAKE_SEGMENTS - 1 - 4 * FAKE_LEAVES].committed.exists;
}

void fake_db_write(double seconds) {
	int job = random_below(fake.njobs);
	struct fake_leaf *l = &fake.leaves[job][random_below(fake.nleaves[job])];
	struct fake_counter *row = l->nallocated > 0 ? &l->rows[random_below(l->nallocated)] : NULL;
	if (!fake.sweep[job] || row == NULL || row->committed < 0 || once_in(2))
		row = l->nallocated < l->nrows && may_grow(job) ? &l->rows[l->nallocated++] : NULL;
	if (row == NULL || row->item.holder != NULL)
		return;
	struct fake_session *s = session_new(NULL);
	s->in_transaction = true;
	take(s, HELD(row));
	row->current = 0;
	s->site_row = row;
	s->site_job = job;
	start_timer(fake.loop, &s->idle, seconds);
}
