/*
 * sim_pace: thousands of random plants for pace.c and jump.c under a clock of our own. SEED=n repeats one run; without it the
 * seed is random and printed. RUNS=n sets how many.
 */
#include "daemon/throttle/jump.h"
#include "daemon/throttle/pace.h"
#include "tests/sim/random.h"

struct plant {
	double fixed_ms, row_ms, noise;
};

static int64_t plant_run(const struct plant *plant, int64_t rows) {
	double ms = (plant->fixed_ms + plant->row_ms * (double)rows) * random_between(1 - plant->noise, 1 + plant->noise);
	return llround(ms * 1000) + 1;
}

static struct job_settings random_settings(void) {
	struct job_settings s = {.batch = {.adaptive = true, .max_bytes = 16 << 20}};
	s.batch.min_rows = llround(random_scale(1, 100));
	s.batch.max_rows = llround(random_scale(100, 100000));
	s.batch.rows = llround(random_scale(100, (double)s.batch.max_rows));
	s.batch.time_ms = llround(random_scale(10, 2000));
	s.batch.delay_ms = random_between(0, 1) < 0.5 ? 0 : llround(random_scale(1, 500));
	s.batch.max_rate = random_between(0, 1) < 0.5 ? 0 : random_scale(10, 1e6);
	s.batch.max_duty = random_between(0.01, 1);
	return s;
}

static void check_bounds(const struct pace *p, const struct job_settings *s, int64_t row_bytes) {
	int64_t rows = pace_rows(p, s, row_bytes);
	CHECK(isfinite(p->rows) && isfinite(p->ms_per_row) && isfinite(p->rate_rows_s), "rows %g", p->rows);
	CHECK(rows >= 1 && rows <= s->batch.max_rows, "rows %lld", (long long)rows);
	CHECK(rows == 1 || rows * row_bytes <= s->batch.max_bytes, "rows %lld", (long long)rows);
	CHECK(rows >= s->batch.min_rows || (rows + 1) * row_bytes > s->batch.max_bytes, "rows %lld", (long long)rows);
}

/* Anything may happen: stalls, empty windows, contention, settings changed. The bounds hold. */
static void simulate_chaos(void) {
	struct job_settings s = random_settings();
	struct pace p;
	pace_init(&p, &s);
	for (int i = 0; i < 300; i++) {
		int64_t row_bytes = (int64_t)random_scale(1, 1e8);
		check_bounds(&p, &s, row_bytes);
		int64_t rows = pace_rows(&p, &s, row_bytes);
		int64_t scanned = random_between(0, 1) < 0.2 ? (int64_t)random_between(0, (double)rows) : rows;
		int64_t work_us = (int64_t)random_scale(1, 1e9);
		if (random_between(0, 1) < 0.1)
			pace_shrink(&p, &s);
		else
			pace_batch_done(&p, &s, scanned, work_us, work_us + 1000, (int64_t)random_scale(1, 1e9));
		if (random_between(0, 1) < 0.01)
			s = random_settings();
		CHECK(pace_delay_us(&p, &s, rows, work_us) >= s.batch.delay_ms * 1000, "delay");
	}
}

struct steady {
	double rows, ms; /* means over the second half */
};

static struct steady run_steady(struct pace *p, const struct job_settings *s, const struct plant *plant, int batches) {
	struct steady mean = {0};
	int counted = 0;
	for (int i = 0; i < batches; i++) {
		int64_t rows = pace_rows(p, s, 1);
		int64_t us = plant_run(plant, rows);
		if (i >= batches / 2) {
			mean.rows += (double)rows;
			mean.ms += (double)us / 1000;
			counted++;
		}
		pace_batch_done(p, s, rows, us, us, us * 2);
	}
	mean.rows /= counted;
	mean.ms /= counted;
	return mean;
}

/* Converges to the wanted time within 25 %, before and after contention and a change of the plant's speed. */
static void simulate_steady(void) {
	struct job_settings s = random_settings();
	struct plant plant = {.row_ms = random_scale(0.001, 1), .noise = random_between(0, 0.3)};
	plant.fixed_ms = random_between(0, 0.5) * (double)s.batch.time_ms;
	double reachable = ((double)s.batch.time_ms - plant.fixed_ms) / plant.row_ms;
	/* Where the bounds or single rows decide there is nothing to converge to. */
	if (reachable < 20 || reachable < 2 * (double)s.batch.min_rows || reachable > 0.5 * (double)s.batch.max_rows)
		return;
	double wanted = (double)s.batch.time_ms;
	struct pace p;
	pace_init(&p, &s);
	struct steady mean = run_steady(&p, &s, &plant, 200);
	CHECK(fabs(mean.ms / wanted - 1) <= 0.25, "%g ms, wanted %g", mean.ms, wanted);

	double before = p.rows;
	pace_shrink(&p, &s);
	CHECK(fabs(p.rows - fmax(before / 2, (double)s.batch.min_rows)) < 1e-6, "%g -> %g", before, p.rows);
	int batches = 0;
	for (; p.rows < 0.75 * mean.rows && batches < 60; batches++)
		(void)run_steady(&p, &s, &plant, 1);
	CHECK(batches < 60, "not grown back: %g of %g", p.rows, mean.rows);

	plant.row_ms *= 5;
	plant.fixed_ms *= 0.5;
	if ((wanted - plant.fixed_ms) / plant.row_ms < fmax(20, 2 * (double)s.batch.min_rows))
		return;
	mean = run_steady(&p, &s, &plant, 200);
	CHECK(fabs(mean.ms / wanted - 1) <= 0.25, "after a slow-down: %g ms, wanted %g", mean.ms, wanted);
}

/* Over a long run, rate and share of time stay within their limits; and in every window after a hold too. */
static void simulate_limits(void) {
	struct job_settings s = random_settings();
	struct plant plant = {.fixed_ms = random_scale(0.1, 50), .row_ms = random_scale(0.001, 1), .noise = 0.5};
	struct pace p;
	pace_init(&p, &s);
	double now_us = 0, work_us = 0, rows_done = 0;
	const int hold_at = (int)random_between(50, 150);
	double after_hold_us = 0, after_hold_rows = 0;
	for (int i = 0; i < 300; i++) {
		int64_t rows = pace_rows(&p, &s, 1);
		int64_t us = plant_run(&plant, rows);
		int64_t delay_us = pace_delay_us(&p, &s, rows, us);
		if (i == hold_at) {
			now_us += 3600e6; /* held for an hour */
			after_hold_us = now_us, after_hold_rows = rows_done;
		}
		now_us += (double)(us + delay_us);
		work_us += (double)us;
		rows_done += (double)rows;
		pace_batch_done(&p, &s, rows, us, us, us + delay_us);
		p.last_delay_us = delay_us;
		if (i < hold_at)
			CHECK(work_us <= now_us * s.batch.max_duty * 1.0001 + 1, "duty %g > %g", work_us / now_us, s.batch.max_duty);
		double elapsed_s = (now_us - after_hold_us) / 1e6, burst = rows_done - after_hold_rows;
		if (s.batch.max_rate > 0)
			CHECK(burst <= elapsed_s * s.batch.max_rate * 1.0001 + 1, "%g rows in %g s, max_rate %g", burst, elapsed_s,
			      s.batch.max_rate);
	}
}

/* Noise, and a stall now and then, are no jump. A scan of more than the range is one, in its second batch, however the pace
 * gives way; and when nothing was found wrong the slow plant is left alone. */
static void simulate_jump(void) {
	struct job_settings s = random_settings();
	struct plant plant = {.fixed_ms = random_scale(0.1, 20), .row_ms = random_scale(0.001, 1), .noise = random_between(0, 0.5)};
	struct pace p;
	struct jump jump = {0};
	int64_t now_us = 0, us = 0;
	bool bad = false, jumped = false;
	double scan_ms = 0;
	const int bad_from = 40 + (int)random_between(0, 100), stall_every = 5 + (int)random_between(0, 50);
	pace_init(&p, &s);
	for (int i = 0; i < bad_from + 2; i++) {
		int64_t rows = pace_rows(&p, &s, 1);
		bad = i >= bad_from;
		if (i == bad_from) /* an index is worth it */
			scan_ms = fmax(60, 12 * (plant.fixed_ms + plant.row_ms * (double)rows)) * random_scale(1, 100);
		us = plant_run(&plant, rows) + llround(scan_ms * 1000);
		if (!bad && i % stall_every == 0 && i < bad_from - 1)
			us += llround(random_scale(1e3, 1e7));
		jumped = jump_batch_done(&jump, rows, us, now_us += us);
		CHECK(jumped == (i == bad_from + 1), "batch %d of %d, %lld us", i, bad_from, (long long)us);
		pace_batch_done(&p, &s, rows, us, us, us * 2);
	}
	int64_t found_us = now_us, looks = 0;
	jump_excuse(&jump, now_us);
	for (int i = 0; i < 200; i++) {
		int64_t rows = pace_rows(&p, &s, 1);
		us = plant_run(&plant, rows) + llround(scan_ms * 1000);
		if (jump_batch_done(&jump, rows, us, now_us += us)) {
			looks++;
			jump_excuse(&jump, now_us);
		}
		pace_batch_done(&p, &s, rows, us, us, us * 2);
	}
	CHECK(looks <= (now_us - found_us) / 60000000, "%lld looks in %lld us", (long long)looks, (long long)(now_us - found_us));
}

int main(void) {
	random_begin();
	long runs = random_runs(5000);
	printf("sim_pace SEED=%llu runs=%ld\n", (unsigned long long)seed, runs);
	for (long i = 0; i < runs; i++) {
		simulate_chaos();
		simulate_steady();
		simulate_limits();
		simulate_jump();
	}
	printf("ok\n");
	return 0;
}
