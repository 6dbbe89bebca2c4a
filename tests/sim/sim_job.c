/*
 * sim_job: the job layer as it is (scheduler, target, job, claim, batch, change; link and transaction below it) over a
 * database in memory and a virtual clock: one or two daemons, thousands of random orders of events. Each run must end
 * with every row worked on exactly once, and what must hold at each commit is checked there (fake_engine.c).
 *
 * RUNS=n sets how many runs there are; SEED=n is the first one's seed, the others count on from it. A run that fails
 * prints its seed: SEED=that RUNS=1 repeats it, VERBOSE=1 with the log.
 *
 * BREAK=bits breaks the fake database on purpose (FAKE_BREAK_…). With SEED=1 these are found: the checkpoint without its
 * test of the epoch (1; run 8: a batch commits after a pause), a claim that does not raise the segments' fence (16; run 2:
 * fenced for ever), rows and checkpoint that do not commit together (64; run 4), a round that waits for the writers from
 * before the start only (128; run 13) or for none (256; run 117). Each of these alone does no harm, for
 * the epoch makes up for it, and is not found: the checkpoint without its test of batch_id (2) or of `stopped` (4), a
 * claim that leaves the former owner's backend alone (8), a claim that takes a job whose owner lives (32).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/sim/fake_ev.c"

#include "tests/sim/fake_engine.c"

#include "daemon/base/log.h"
#include "daemon/job/change.h"
#include "daemon/job/job.h"
#include "daemon/job/scheduler.h"

#include <fcntl.h>
#include <sys/inotify.h>
#include <sys/random.h>
#include <unistd.h>

enum { DAEMONS = 2, DEFAULT_RUNS = 2000 };
static const double longest_run_s = 900; /* when nothing goes wrong any more */

/* One daemon: a process of its own. */
struct process {
	int slot;
	bool alive, leaving, left;
	struct ev_loop *loop;
	struct owner owner;
	struct events *events;
	struct stop_file *stop_file;
	char *stop_path;
	struct target_host host;
	struct config_target target;
	struct config config;
	struct scheduler *scheduler;
};

/* Closing an inotify instance takes the kernel milliseconds; without one, stop_file.c looks every 50 ms. */
int inotify_init1(int flags) {
	(void)flags;
	return -1;
}

static struct process processes[DAEMONS];
static int ndaemons, pids;
static char directory[] = "/tmp/sim_job.XXXXXX";
static int completions[FAKE_JOBS];
static int cancels; /* may an operator cancel in this run? */
static int64_t owner_timeout_ms, max_workers;
static long totals[8];

/* --- daemons --- */

static void on_stop_file(void *context, bool stopped, const char *path) {
	struct process *p = context;
	scheduler_stop_changed(p->scheduler, stopped, path, "backfilld");
}

static void on_event(void *context, const struct event *event) {
	(void)context;
	for (int i = 0; i < fake.njobs; i++)
		if (strcmp(event->event, "job.completed") == 0 && strcmp(event->job, fake.ids[i]) == 0 && ++completions[i] > 1)
			violation("job %d: its completion was published twice", i);
}

static void process_start(struct process *p) {
	*p = (struct process){.slot = p->slot, .alive = true, .stop_path = p->stop_path};
	p->loop = ev_loop_new(0);
	snprintf(p->owner.prefix, sizeof p->owner.prefix, "host%d|boot|sock|", p->slot);
	snprintf(p->owner.name, sizeof p->owner.name, "host%d|boot|sock|%d", p->slot, ++pids);
	snprintf(p->owner.display, sizeof p->owner.display, "host%d:%d", p->slot, pids);
	p->events = events_new();
	events_subscribe(p->events, on_event, p);
	p->stop_file = stop_file_new(p->loop, &p->stop_path, 1, on_stop_file, p);
	p->host = (struct target_host){.loop = p->loop, .events = p->events, .stop_file = p->stop_file, .owner = &p->owner};
	p->target = (struct config_target){.name = (char *)"db",
	                                   .url = (char *)"postgresql://memory",
	                                   .admin_url = (char *)"postgresql://memory",
	                                   .environment = (char *)"test",
	                                   .max_workers = max_workers,
	                                   .owner_timeout_ms = owner_timeout_ms,
	                                   .throttle = {.max_lag_ms = 2000, .initial_rate = 1e9},
	                                   .guards = {.lag_ms = 30000, .error_rate = 0.01, .failed_batches = 3}};
	p->config = (struct config){.cancel_in_flight = once_in(2), .targets = &p->target, .ntargets = 1};
	p->scheduler = scheduler_new(&p->host, &p->config, NULL);
}

/* kill -9: not a word to the database. */
static void process_kill(struct process *p) {
	if (!p->alive)
		return;
	scheduler_free(p->scheduler);
	stop_file_free(p->stop_file);
	events_free(p->events);
	if (p->loop->count > 0)
		violation("%d timer(s) are still running after the end", p->loop->count);
	ev_loop_destroy(p->loop);
	p->alive = false;
}

static void process_left(void *context) {
	struct process *p = context;
	p->left = true; /* it is freed soon, not from inside its own callback */
}

static struct target *target_of(const struct process *p) {
	return scheduler_target_at(p->scheduler, 0);
}

static struct process *any_process(void) {
	struct process *p = &processes[random_below(ndaemons)];
	return p->alive && !p->leaving ? p : NULL;
}

static void set_stop_file(const struct process *p, bool present) {
	if (!present)
		(void)unlink(p->stop_path);
	else
		close(open(p->stop_path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
}

/* --- operators --- */

static void answered(void *context, const struct change_result *result) {
	(void)context, (void)result;
}

static void ended(void *context, const struct transaction_result *result) {
	(void)context, (void)result;
}

static void request_change(int job, enum job_request request) {
	struct process *p = any_process();
	if (p != NULL)
		change_state(target_of(p), fake.ids[job], request, "operator", "because", answered, NULL);
}

static void clear_flags(void) {
	struct process *p = any_process();
	if (p == NULL)
		return;
	struct transaction *t = target_transaction(target_of(p), "unstop");
	statement_add_text(transaction_add(t, "clear", dialect_sql(&fake_dialect, "stop_clear"), NULL, NULL), "stop:%");
	target_run(target_of(p), t, NULL, ended);
}

static void setting_stored(void *context, const struct transaction_result *result) {
	struct process *p = context;
	for (int i = 0; i < fake.njobs && result->end == TRANSACTION_COMMITTED; i++) {
		struct job *live = target_find_job(target_of(p), fake.ids[i]);
		if (live != NULL)
			job_reread(live);
	}
}

static void change_setting(int job) {
	struct process *p = any_process();
	if (p == NULL)
		return;
	autofree char *settings = mem_printf("{\"batch.rows\": \"100\", \"batch.min_rows\": \"%d\"}", 1 + random_below(100));
	struct transaction *t = target_transaction(target_of(p), "set");
	statement_add_text(transaction_add(t, "lock", dialect_sql(&fake_dialect, "job_lock"), NULL, NULL), fake.ids[job]);
	struct statement *s = transaction_add(t, "store", dialect_sql(&fake_dialect, "job_set_settings"), NULL, NULL);
	statement_add_text(s, fake.ids[job]);
	statement_add_text(s, settings);
	target_run(target_of(p), t, p, setting_stored);
}

/* --- the world --- */

static ev_timer world;
static bool healing;
static double pace_s; /* how far apart disturbances are, at most */

/* Statistics come and go, an index is dropped, or the disk is slow. */
static void change_plan(int job) {
	struct fake_plan *plan = &fake.plans[job];
	plan->kind = (enum fake_plan_kind)random_below(3);
	plan->work_s = once_in(3) ? 0 : random_between(0, once_in(2) ? 0.5 : 8);
}

static void heal_job(int job) {
	if (healing) {
		fake.plans[job].kind = FAKE_BY_KEY;
		fake.plans[job].work_s = 0;
	}
	const char *state = fake.jobs[job].committed.state;
	if (strcmp(state, "pending") == 0)
		request_change(job, JOB_START);
	else if (strcmp(state, "paused") == 0)
		request_change(job, JOB_RESUME);
	else if (strcmp(state, "failed") == 0)
		request_change(job, JOB_RETRY);
}

static void disturb_job(int job) {
	switch (random_below(15)) {
	case 0:
	case 1:
		request_change(job, JOB_PAUSE);
		break;
	case 2:
		if (once_in(cancels))
			request_change(job, JOB_CANCEL);
		break;
	case 3:
		change_setting(job);
		break;
	case 4:
		if (once_in(4))
			change_plan(job);
		break;
	default:
		heal_job(job);
	}
}

static void disturb_process(struct process *p) {
	switch (random_below(6)) {
	case 0:
		process_kill(p);
		break;
	case 1:
		if (p->alive)
			fake_ev_stall(p->loop, random_between(0, 12));
		break;
	case 2:
		if (p->alive && !p->leaving) {
			p->leaving = true;
			scheduler_shut_down(p->scheduler, 2000, process_left, p);
		}
		break;
	default:
		if (!p->alive)
			process_start(p);
	}
}

static void disturb(void) {
	int job = random_below(fake.njobs);
	if (once_in(2))
		fake_db_write(random_between(0, 3));
	switch (random_below(20)) {
	case 0:
	case 1:
	case 2:
		fake_db_disturb(random_between(0, 3));
		break;
	case 3:
	case 4:
		fake_db_break_one();
		break;
	case 5:
		if (once_in(4))
			fake_db_restart(random_between(0, 3));
		break;
	case 6:
		if (once_in(2))
			set_stop_file(&processes[random_below(ndaemons)], true);
		break;
	case 7:
		set_stop_file(&processes[random_below(ndaemons)], false);
		break;
	case 8:
		clear_flags();
		break;
	case 9:
	case 10:
	case 11:
		disturb_process(&processes[random_below(ndaemons)]);
		break;
	default:
		disturb_job(job);
	}
}

static void heal(void) {
	bool flagged = any_flag(NULL);
	for (int i = 0; i < ndaemons; i++)
		if (!processes[i].alive)
			process_start(&processes[i]);
	if (flagged)
		clear_flags();
	for (int job = 0; job < fake.njobs && !flagged; job++)
		heal_job(job);
}

static void on_world(struct ev_loop *loop, ev_timer *timer, int events) {
	(void)events;
	for (int i = 0; i < ndaemons; i++)
		if (processes[i].alive && processes[i].leaving && (processes[i].left || once_in(16)))
			process_kill(&processes[i]); /* it has ended, or someone has lost patience with it */
	if (healing)
		heal();
	else
		disturb();
	start_timer(loop, timer, healing ? 1 : random_between(0, pace_s));
}

/* --- one run --- */

static void make_job(int job) {
	autofree char *id = mem_printf("20261121_sim%d", job);
	snprintf(fake.ids[job], sizeof fake.ids[job], "%s", id);
	fake.nleaves[job] = once_in(2) ? 1 : 1 + random_below(FAKE_LEAVES);
	char leaves[400] = "";
	for (int i = 0; i < fake.nleaves[job]; i++) {
		struct fake_leaf *leaf = &fake.leaves[job][i];
		leaf->nfirst = leaf->nallocated = once_in(10) ? random_below(3) : random_below(FAKE_ROWS) + 1;
		leaf->nrows = leaf->nfirst + random_below(FAKE_NEW_ROWS);
		for (int row = 0, key = 0; row < leaf->nrows; row++) {
			leaf->rows[row].key = key += 1 + random_below(3);
			leaf->rows[row].committed = leaf->rows[row].current = row < leaf->nfirst ? 0 : -1;
		}
		size_t length = strlen(leaves);
		snprintf(leaves + length, sizeof leaves - length,
		         "%s{\"schema\": \"s\", \"name\": \"%d\", \"oid\": 1, \"estimated_rows\": 100, \"row_bytes\": 8}",
		         i > 0 ? ", " : "", i);
	}
	fake.shapes[job] =
		mem_printf("{\"schema\": \"s\", \"name\": \"%d\", \"oid\": 1, \"partitioned\": false, \"key\": [{\"name\": "
	               "\"id\", \"type\": \"integer\"}], \"search_path\": [], \"conflict_key\": [], \"leaves\": [%s], "
	               "\"estimated_rows\": 100}",
	               job, leaves);
	struct fake_job_row *row = &fake.jobs[job].committed;
	*row = (struct fake_job_row){.state = "pending", .settings = "{}", .phase = "full", .owner_seen = -1};
	fake.follow[job] = once_in(2);
	fake.sweep[job] = once_in(3);
	snprintf(row->definition, sizeof row->definition,
	         "id = \"%s\"; target = \"db\"; table = \"s.t\"; kind = \"update\"; set = { n = \"n + 1\"; };\n"
	         "batch = { rows = 100; max_rows = %d; min_rows = %d; delay = \"%dms\"; max_duty = %s; adaptive = %s; };\n"
	         "rollback = { keep_old_values = %s; }; follow = %s; sweep = %s; where = \"%s\";\n",
	         id, 100 + random_below(100), 1 + random_below(30), once_in(3) ? random_below(300) : 0, once_in(2) ? "1.0" : "0.3",
	         once_in(2) ? "true" : "false", once_in(2) ? "true" : "false", fake.follow[job] ? "true" : "false",
	         fake.sweep[job] ? "true" : "false", fake.sweep[job] ? "n = 0" : "true");
	fake.jobs[job].current = *row;
	completions[job] = 0;
}

static void make_world(uint64_t seed) {
	fake_ev_start(seed);
	fake_db_start();
	const char *broken = getenv("BREAK");
	fake.broken = broken != NULL ? (unsigned)strtoul(broken, NULL, 0) : 0;
	fake.njobs = once_in(3) ? FAKE_JOBS : 1;
	for (int i = 0; i < fake.njobs; i++)
		make_job(i);
	int calm = once_in(5) ? 0 : 1;
	fake.faults.lose = calm * (10 + random_below(once_in(2) ? 30 : 300));
	fake.faults.refuse = calm * (10 + random_below(once_in(2) ? 60 : 300));
	fake.faults.slow = calm * (50 + random_below(1000));
	fake.faults.refuse_connect = calm * (2 + random_below(20));
	fake.faults.slow_terminate = 2 + random_below(20);
	fake_dialect.fence_fails = fake.fence_fails = fake.faults.slow_terminate % 2 == 0;
	cancels = once_in(10) ? 2 : 0;
	owner_timeout_ms = 2000 + random_below(8000);
	max_workers = 1 + random_below(2);
	ndaemons = once_in(3) ? 1 : DAEMONS;
	healing = false;
	pace_s = once_in(2) ? 0.3 : 2;
	for (int i = 0; i < ndaemons; i++) {
		processes[i] = (struct process){.slot = i, .stop_path = mem_printf("%s/STOP%d", directory, i)};
		process_start(&processes[i]);
	}
	ev_timer_init(&world, on_world, 0., 0.);
	ev_timer_start(fake.loop, &world);
}

static bool all_over(void) {
	for (int i = 0; i < fake.njobs; i++)
		if (strcmp(fake.jobs[i].committed.state, "completed") != 0 && strcmp(fake.jobs[i].committed.state, "cancelled") != 0)
			return false;
	return true;
}

static void stop_faults(void) {
	healing = true;
	memset(&fake.faults, 0, sizeof fake.faults);
	for (int i = 0; i < ndaemons; i++) {
		if (processes[i].alive)
			processes[i].loop->stalled_until = 0;
		set_stop_file(&processes[i], false);
	}
}

static void check_end(void) {
	if (!all_over())
		for (int job = 0; job < fake.njobs; job++)
			if (strcmp(fake.jobs[job].committed.state, "completed") != 0)
				violation("does not come to an end: job %d is %s, epoch %lld, owner %s", job, fake.jobs[job].committed.state,
				          (long long)fake.jobs[job].committed.epoch, fake.jobs[job].committed.owner);
	for (int job = 0; job < fake.njobs; job++) {
		if (strcmp(fake.jobs[job].committed.state, "completed") == 0)
			check_completed(NULL, job);
		for (int leaf = 0; leaf < fake.nleaves[job]; leaf++)
			check_leaf(NULL, job, leaf);
	}
}

/* From here on nothing goes wrong, and somebody mends what did. */
static bool end_world(void) {
	double until = fake_now_s + longest_run_s;
	stop_faults();
	while (fake.violation[0] == '\0' && fake_now_s < until && !all_over() && fake_ev_step())
		;
	check_end();
	for (int i = 0; i < ndaemons; i++) {
		process_kill(&processes[i]);
		free(processes[i].stop_path);
	}
	ev_timer_stop(fake.loop, &world);
	long counts[] = {fake.statements, fake.commits,       fake.lost_commits, fake.lock_waits,
	                 fake.fenced,     fake.lock_timeouts, fake.checkpoints,  fake.terminated};
	for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
		totals[i] += counts[i];
	fake_db_end();
	return fake.violation[0] == '\0';
}

static bool run_world(uint64_t seed) {
	make_world(seed);
	double chaos_until = fake_now_s + random_between(1, 40);
	while (fake.violation[0] == '\0' && fake_now_s < chaos_until && fake_ev_step())
		;
	return end_world();
}

/* --- the server changes its mind, and nothing else goes wrong --- */

static int64_t batches_done(void) {
	int64_t batches = 0;
	for (int i = 0; i < FAKE_SEGMENTS; i++)
		batches += fake.segments[0][i].committed.batch_id;
	return batches;
}

static bool is_first_job(const char *state) {
	return strcmp(fake.jobs[0].committed.state, state) == 0;
}

/* Until the first job is in that state, has ended, or has committed so many batches; or for so long. */
static bool run_until(const char *state, int64_t batches, double seconds) {
	double until = fake_now_s + seconds;
	while (fake.violation[0] == '\0' && fake_now_s < until && !is_first_job(state) && !is_first_job("completed") &&
	       batches_done() < batches && fake_ev_step())
		;
	return is_first_job(state);
}

/* Nobody listens before the daemon is connected. */
static void make_run(enum job_request request) {
	do
		request_change(0, request);
	while (!run_until("running", INT64_MAX, 1) && !is_first_job("completed") && fake.violation[0] == '\0');
}

/* However slow it is, a bad plan costs two batches, and those that had met something else; behind a resume none. Not if batches
 * were slow before that, by a good plan: nobody looks again for a minute, and what is slow then is usual. */
static bool check_bad_plan(int64_t before, double started_s) {
	bool quiet = fake.plans[0].fine_s > started_s;
	bool paused = run_until("paused", before + 6, longest_run_s);
	if (!paused && !is_first_job("completed") && !quiet)
		violation("%lld batches were committed under a bad plan", (long long)(batches_done() - before));
	if (!paused)
		return false;
	int64_t done = batches_done();
	make_run(JOB_RESUME);
	if (!run_until("paused", done + 1, longest_run_s))
		violation("a batch was committed behind a resume under a bad plan");
	return true;
}

static void check_good_plan(int64_t before) {
	if (run_until("paused", before + 15, longest_run_s))
		violation("pauses under a good plan: %s", fake.jobs[0].committed.reason);
	if (!is_first_job("completed") && batches_done() < before + 15)
		violation("stands still under a good plan, behind %lld batches", (long long)batches_done());
}

static bool run_plan(uint64_t seed, long *paused) {
	make_world(seed);
	memset(&fake.faults, 0, sizeof fake.faults);
	ev_timer_stop(fake.loop, &world);
	make_run(JOB_START);
	int64_t before = 4 + random_below(6);
	run_until("completed", 1, longest_run_s);
	double started_s = fake_now_s;
	if (!run_until("completed", before, longest_run_s)) {
		bool bad = once_in(2);
		fake.plans[0].kind = bad ? FAKE_SCANS : (enum fake_plan_kind)random_below(2);
		fake.plans[0].work_s = random_between(0.5, bad ? 20 : 4.5);
		if (bad)
			*paused += check_bad_plan(before, started_s);
		else
			check_good_plan(before);
	}
	start_timer(fake.loop, &world, 0);
	return end_world();
}

static uint64_t number_from(const char *name, uint64_t otherwise) {
	const char *value = getenv(name);
	return value != NULL ? strtoull(value, NULL, 0) : otherwise;
}

static uint64_t first_seed(void) {
	uint64_t seed = 0;
	if (getrandom(&seed, 4, 0) != 4)
		seed = 1;
	return number_from("SEED", seed);
}

static void a_bad_plan_pauses_and_a_good_one_does_not(void **state) {
	(void)state;
	uint64_t seed = first_seed(), runs = number_from("RUNS", DEFAULT_RUNS);
	long paused = 0;
	printf("SEED=%llu RUNS=%llu\n", (unsigned long long)seed, (unsigned long long)runs);
	for (uint64_t i = 0; i < runs; i++)
		if (!run_plan(seed + i, &paused))
			fail_msg("SEED=%llu RUNS=1: %s", (unsigned long long)(seed + i), fake.violation);
	printf("paused for a plan in %ld runs\n", paused);
	assert_true(paused > 0 || runs < 100);
}

static void exactly_once(void **state) {
	(void)state;
	uint64_t seed = first_seed();
	uint64_t runs = number_from("RUNS", DEFAULT_RUNS);
	printf("SEED=%llu RUNS=%llu\n", (unsigned long long)seed, (unsigned long long)runs);
	for (uint64_t i = 0; i < runs; i++)
		if (!run_world(seed + i))
			fail_msg("SEED=%llu RUNS=1: %s", (unsigned long long)(seed + i), fake.violation);
	printf("%ld statements, %ld commits, %ld of them lost, %ld lock waits, %ld lock time-outs, %ld batches, %ld fenced, %ld "
	       "backends ended\n",
	       totals[0], totals[1], totals[2], totals[3], totals[5], totals[6], totals[4], totals[7]);
}

int main(void) {
	log_set_level(getenv("VERBOSE") != NULL ? LOG_LEVEL_DEBUG : LOG_LEVEL_ERROR);
	if (mkdtemp(directory) == NULL)
		return 1;
	const struct CMUnitTest tests[] = {cmocka_unit_test(exactly_once),
	                                   cmocka_unit_test(a_bad_plan_pauses_and_a_good_one_does_not)};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	(void)rmdir(directory);
	return failed;
}
