/* fake_dialect.c: the statements that are put together for each job, and the table of all. Included by fake_engine.c. */
/* --- the batch's own statements: "boundary JOB LEAF after?" --- */

struct range {
	struct fake_leaf *leaf;
	struct fake_counter *rows[FAKE_ROWS + FAKE_NEW_ROWS]; /* those in (after, through] that the session sees */
	int nrows, next_param;
	bool sweep; /* WHERE n = 0 */
};

static void find_rows(struct range *range, const struct fake_session *s, int after, int through) {
	for (int i = 0; i < range->leaf->nrows; i++) {
		struct fake_counter *row = &range->leaf->rows[i];
		if (row->key > after && row->key <= through && *SEE(s, row) >= 0)
			range->rows[range->nrows++] = row;
	}
}

static struct range range_of(const struct fake_session *s, const struct request *r) {
	int job, leaf, has_after;
	if (sscanf(r->sql, "%*s %d %d %d", &job, &leaf, &has_after) != 3)
		abort();
	struct range range = {.leaf = &fake.leaves[job][leaf], .next_param = has_after + 2, .sweep = fake.sweep[job]};
	find_rows(&range, s, has_after ? (int)number_of(r, 1) : 0, (int)number_of(r, has_after + 1));
	return range;
}

static enum step do_boundary(struct fake_session *s, struct request *r, struct answer *a) {
	struct range range = range_of(s, r);
	int64_t offset = number_of(r, range.next_param);
	/* The window's last row and the one behind it. */
	for (int64_t i = offset; i < range.nrows && i <= offset + 1; i++)
		add_row(a, 1), add_int(a, range.rows[i]->key);
	return STEP_DONE;
}

static enum step do_count(struct fake_session *s, struct request *r, struct answer *a) {
	struct range range = range_of(s, r);
	int64_t limit = number_of(r, range.next_param);
	add_row(a, 1), add_int(a, range.nrows < limit ? range.nrows : limit);
	return STEP_DONE;
}

/* Locks the rows that match. -1: it has to wait. */
static int lock_rows(struct fake_session *s, const struct request *r, struct range *range) {
	*range = range_of(s, r);
	for (int i = 0; i < range->nrows; i++)
		if ((!range->sweep || *SEE(s, range->rows[i]) == 0) && !take(s, HELD(range->rows[i])))
			return -1;
	int matching = 0;
	for (int i = 0; i < range->nrows; i++)
		if (range->rows[i]->item.holder == s && (!range->sweep || range->rows[i]->current == 0))
			range->rows[matching++] = range->rows[i];
	return range->nrows = matching;
}

/* Reading takes a while, or more than is allowed. */
static bool is_read(struct fake_session *s, struct request *r, double seconds) {
	if (seconds <= 0 || r->scanned)
		return true;
	r->scanned = true;
	r->too_long = seconds > s->statement_timeout_s;
	ev_timer_stop(fake.loop, &s->arrive);
	ev_timer_set(&s->arrive, r->too_long ? s->statement_timeout_s : seconds, 0.);
	ev_timer_start(fake.loop, &s->arrive);
	return false;
}

static const struct fake_plan *plan_of(const struct request *r) {
	int job;
	if (sscanf(r->sql, "%*s %d", &job) != 1)
		abort();
	return &fake.plans[job];
}

static enum step read_rows(struct fake_session *s, struct request *r, struct answer *a) {
	if (!is_read(s, r, plan_of(r)->work_s))
		return STEP_LATER;
	return !r->too_long ? STEP_DONE : refuse(a, ENGINE_ERROR_TIMEOUT, "57014", "canceling statement due to statement timeout");
}

static enum step do_work(struct fake_session *s, struct request *r, struct answer *a) {
	struct range range;
	enum step step = read_rows(s, r, a);
	if (step != STEP_DONE)
		return step;
	if (lock_rows(s, r, &range) < 0)
		return STEP_WAIT;
	for (int i = 0; i < range.nrows; i++) {
		range.rows[i]->current++;
		if ((fake.broken & FAKE_BREAK_SPLIT) != 0)
			range.rows[i]->committed = range.rows[i]->current;
	}
	a->affected = range.nrows;
	return STEP_DONE;
}

/* Locks what the work will change. An empty range has nothing to keep. */
static enum step do_capture(struct fake_session *s, struct request *r, struct answer *a) {
	struct range range;
	enum step step = read_rows(s, r, a);
	if (step != STEP_DONE)
		return step;
	int found = lock_rows(s, r, &range);
	a->affected = found > 0;
	return found < 0 ? STEP_WAIT : STEP_DONE;
}

/* Now and then the application has been faster: other rows than the captured ones. */
static enum step do_work_kept(struct fake_session *s, struct request *r, struct answer *a) {
	enum step step = do_work(s, r, a);
	if (step != STEP_DONE)
		return step;
	int64_t changed = a->affected;
	add_row(a, 3), add_int(a, changed), add_int(a, 0), add_text(a, once_in(20) ? "false" : "true");
	return STEP_DONE;
}

static enum step do_last_key(struct fake_session *s, struct request *r, struct answer *a) {
	int job, leaf, has_after;
	if (sscanf(r->sql, "%*s %d %d %d", &job, &leaf, &has_after) != 3)
		abort();
	struct range range = {.leaf = &fake.leaves[job][leaf]};
	find_rows(&range, s, has_after ? (int)number_of(r, 1) : 0, INT_MAX);
	if (range.nrows > 0)
		add_row(a, 1), add_int(a, range.rows[range.nrows - 1]->key);
	return STEP_DONE;
}

static enum step do_settings(struct fake_session *s, struct request *r, struct answer *a) {
	(void)a;
	char *end;
	s->lock_timeout_s = strtod(r->sql + strlen("settings "), &end) / 1000.0;
	s->statement_timeout_s = strtod(end, NULL) / 1000.0;
	return STEP_DONE;
}

static enum step do_no_choice(struct fake_session *s, struct request *r, struct answer *a) {
	(void)r, (void)a;
	s->no_choice = true;
	return STEP_DONE;
}

static enum step do_choice(struct fake_session *s, struct request *r, struct answer *a) {
	(void)r, (void)a;
	s->no_choice = false;
	return STEP_DONE;
}

/* "explain boundary JOB LEAF after?" */
static enum step do_explain(struct fake_session *s, struct request *r, struct answer *a) {
	char what[16];
	int job, leaf, has_after;
	if (sscanf(r->sql, "%*s %15s %d %d %d", what, &job, &leaf, &has_after) != 4 || !s->in_transaction)
		abort();
	if (r->nparams != has_after + (strcmp(what, "boundary") == 0 ? 2 : 1))
		abort();
	struct fake_plan *plan = &fake.plans[job];
	bool scans = plan->kind == FAKE_SCANS || (plan->kind == FAKE_BY_CHOICE && !s->no_choice);
	plan->told |= plan->kind == FAKE_SCANS;
	if (!scans)
		plan->fine_s = fake_now_s;
	add_row(a, 1), add_text(a, scans ? "scan" : "key");
	return STEP_DONE;
}

static char *dialect_explain(const char *sql) {
	return mem_printf("explain %s", sql);
}

static bool dialect_judge_plan(const char *json, const struct table_shape *shape, const struct shape_leaf *leaf,
                               struct explain_verdict *verdict, struct error *err) {
	(void)shape, (void)leaf, (void)err;
	bool by_key = strcmp(json, "key") == 0;
	*verdict = (struct explain_verdict){.reads = true, .by_key = by_key};
	snprintf(verdict->scan, sizeof verdict->scan, "%s", by_key ? "Index Scan" : "Seq Scan");
	return true;
}

static char *dialect_settings(const struct table_shape *shape, const struct dialect_session *session) {
	(void)shape;
	return mem_printf("settings %lld %lld", (long long)session->lock_timeout_ms, (long long)session->statement_timeout_ms);
}

static char *dialect_last_key(const struct table_shape *shape, const struct shape_leaf *leaf, bool has_after) {
	return mem_printf("last_key %s %s %d", shape->name, leaf->name, has_after);
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

static char *dialect_capture(const struct jobfile *job, const struct table_shape *shape, const struct shape_leaf *leaf,
                             bool has_after) {
	(void)job;
	return mem_printf("capture %s %s %d", shape->name, leaf->name, has_after);
}

static char *dialect_work_kept(const struct jobfile *job, const struct table_shape *shape, const struct shape_leaf *leaf,
                               bool has_after) {
	(void)job;
	return mem_printf("kept_work %s %s %d", shape->name, leaf->name, has_after);
}

static char *dialect_checkpoint(const struct table_shape *shape) {
	return mem_printf("checkpoint %s", shape->name);
}

static struct dialect fake_dialect = {
	.name = "postgres", /* so that dialect_sql() finds the real texts */
	.schema_version = 1,
	.grammar = &sqlcheck_postgres,
	.settings = dialect_settings,
	.last_key = dialect_last_key,
	.boundary = dialect_boundary,
	.count = dialect_count,
	.work = dialect_work,
	.capture = dialect_capture,
	.work_kept = dialect_work_kept,
	.checkpoint = dialect_checkpoint,
	.explain = dialect_explain,
	.judge_plan = dialect_judge_plan,
	.plans_again = true,
	.replication = &replication_postgres,
};

static const struct {
	const char *name;
	statement_fn *fn;
} fixed[] =
	{
		{"control_begin", do_begin},
		{"begin", do_begin},
		{"begin_read", do_begin},
		{"begin_plan", do_begin},
		{"explain_without_seqscan", do_no_choice},
		{"explain_with_seqscan", do_choice},
		{"constraints_immediate", do_nothing},
		{"checkpoint_by_place", do_nothing},
		{"identity", do_nothing},
		{"status", do_status},
		{"meta", do_meta},
		{"poll", do_poll},
		{"claim_lock", do_claim_lock},
		{"claim_end_backend", do_claim_end_backend},
		{"claim_take", do_claim_take},
		{"claim_segments", do_claim_segments},
		{"shape_check", do_shape_check},
		{"shape_accept", do_nothing},
		{"round_wait", do_round_wait},
		{"round_take", do_round_take},
		{"round_segment", do_round_segment},
		{"round_open", do_round_open},
		{"job_complete", do_job_complete},
		{"owner_seen", do_owner_seen},
		{"owner_release", do_owner_release},
		{"job_lock", do_job_lock},
		{"job_set_state", do_job_set_state},
		{"job_set_segments", do_job_set_segments},
		{"job_set_settings", do_job_set_settings},
		{"meta_set", do_stop_flag},
		{"stop_lock", do_stop_lock},
		{"stop_jobs", do_stop_jobs},
		{"stop_segments", do_stop_segments},
		{"stop_clear", do_stop_clear},
		{"event_insert", do_event_insert},
		{"blockers", do_blockers},
		{"cancel_backend", do_cancel_backend},
		{"heartbeat_write", do_heartbeat_write},
		{"heartbeat_standbys", do_nothing},
},
  own[] = {
	  {"settings", do_settings}, {"boundary", do_boundary},     {"count", do_count},
	  {"work", do_work},         {"capture", do_capture},       {"kept_work", do_work_kept},
	  {"last_key", do_last_key}, {"checkpoint", do_checkpoint}, {"explain", do_explain},
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
