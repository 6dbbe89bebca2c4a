/*
 * sim_throttle: the throttle's pure parts (latency and its baseline, decide, regulate with control and phases, pace) on random
 * sites under a clock of our own, each beside the same site without our work. SEED=n repeats one run; without it the seed is
 * random and printed. RUNS=n sets how many. VERBOSE=1 prints what each has reached.
 *
 * What a site feels of us is as measured on PostgreSQL (docs/throttle.md): P95 rises by 0.6 (rate / a size of the site)^1.4
 * (batch time / 2 ms)^0.55 of itself.
 */
#include "daemon/throttle/decide.h"
#include "daemon/throttle/lag.h"
#include "daemon/throttle/latency.h"
#include "daemon/throttle/pace.h"
#include "daemon/throttle/regulate.h"
#include "daemon/throttle/trend.h"
#include "tests/sim/random.h"

#include <stdbool.h>
#include <string.h>

static const int64_t step_us = 100000, second_us = 1000000;
static const double increase = 0.2, z95 = 1.6448536;
enum { WINDOW_S = 15, LONGEST_S = 3600 };

/* ---- the site ---- */

struct site {
	double p95_ms, spread;  /* without us; of the logarithm */
	double queries_s, seen; /* all of them; the share that is sampled */
	double size_rows_s;     /* at 2 ms a batch P95 is 0.6 of itself higher */
	double batch_fixed_ms, row_ms, noise;
	double replica_rows_s; /* what its replica can apply; 0: there is none */
};

enum { SPREADS = 4 };
static const double spreads[SPREADS] = {0.3, 0.45, 0.6, 0.8};

/* Some 200 queries a second at least: by fewer nobody could judge us. */
static struct site random_site(double samples_s) {
	struct site s = {.queries_s = fmax(samples_s, 200)};
	s.seen = samples_s / s.queries_s;
	s.p95_ms = random_scale(0.5, 50);
	s.spread = spreads[random_next() % SPREADS];
	s.size_rows_s = random_scale(3000, 60000);
	s.batch_fixed_ms = random_scale(0.2, 1);
	s.row_ms = random_between(0.05, 0.3) / s.size_rows_s * 1000;
	s.noise = random_between(0.05, 0.3);
	return s;
}

static double effect(const struct site *s, double rows_s, double batch_ms) {
	return 0.6 * pow(rows_s / s->size_rows_s, 1.4) * pow(fmax(batch_ms, 1) / 2, 0.55);
}

/* ---- what a run has felt, second by second ---- */

struct felt {
	struct histogram seconds[LONGEST_S];
	double rows[LONGEST_S];
};

static double window_p95_us(const struct felt *felt, int last) {
	struct histogram sum = {0};
	for (int i = last - WINDOW_S + 1; i <= last; i++)
		histogram_merge(&sum, &felt->seconds[i]);
	return histogram_quantile_us(&sum, 0.95);
}

/* The share of windows that are above the bound. */
static double share_above(const struct felt *felt, double bound_us, int from, int to) {
	int above = 0, count = 0;
	for (int i = from + WINDOW_S; i < to; i += 3, count++)
		above += window_p95_us(felt, i) > bound_us;
	return (double)above / count;
}

static double mean_rate(const struct felt *felt, int from, int to) {
	double rows = 0;
	for (int i = from; i < to; i++)
		rows += felt->rows[i];
	return rows / (to - from);
}

/* ---- a daemon at it ---- */

struct run {
	struct site site;
	double slower;      /* the site by itself, now */
	double more_effect; /* and what it feels of us */
	bool black_out, replica_unknown;
	int64_t now_us;
	struct latency latency;
	struct reading reading, lag;
	struct trend trend;
	struct throttle_verdict verdict;
	struct regulator regulator;
	struct pace pace;
	struct job_settings settings;
	int64_t next_us, last_end_us;    /* of our batches */
	double recent_rows_s, recent_ms; /* what the site feels of us */
	int64_t estimated_us;
	double written[LONGEST_S * 10]; /* rows, step by step */
	int64_t applied;                /* by the replica: so many steps */
	double longest_lag_s;
	int batches;
	struct felt felt, idle;
};

static struct run *run_new(struct site site) {
	struct run *r = calloc(1, sizeof *r);
	r->site = site;
	r->slower = r->more_effect = 1;
	r->now_us = 1000 * second_us;
	r->settings = (struct job_settings){
		.batch = {.adaptive = true,
	              .rows = 1000,
	              .min_rows = 10,
	              .max_rows = 50000,
	              .max_bytes = 16 << 20,
	              .time_ms = 250,
	              .max_duty = 0.5},
		.throttle = {.max_lag_ms = 2000, .initial_rate = 1000, .max_p95_increase = increase, .latency_learn_ms = 30000}};
	r->reading = (struct reading){.probe = "latency",
	                              .what = "latency P95",
	                              .why = "waiting",
	                              .nature = READING_LATENCY,
	                              .unit = UNIT_MILLISECONDS,
	                              .period_us = second_us};
	r->lag =
		(struct reading){.probe = "lag:r1", .what = "replica lag", .sure = true, .limit = 2, .counts = site.replica_rows_s > 0};
	pace_init(&r->pace, &r->settings);
	return r;
}

static int second_of(const struct run *r) {
	return (int)(r->now_us / second_us) - 1000;
}

static enum latency_mode mode_of(const struct run *r) {
	if (!r->regulator.resting)
		return LATENCY_WORK;
	return r->now_us - r->last_end_us >= second_us ? LATENCY_IDLE : LATENCY_SETTLE;
}

/* One step of the site: its queries, with and without us by the same draw. */
static void feel(struct run *r) {
	const struct site *s = &r->site;
	double more = 1 + r->more_effect * effect(s, r->recent_rows_s, r->recent_ms);
	double median_us = s->p95_ms * 1000 / exp(z95 * s->spread) * r->slower;
	double wanted = s->queries_s * (double)step_us / 1e6;
	int count = (int)wanted + (random_between(0, 1) < wanted - floor(wanted));
	int second = second_of(r);
	for (int i = 0; i < count; i++) {
		double us = median_us * exp(s->spread * random_normal());
		histogram_add(&r->idle.seconds[second], (int64_t)us);
		histogram_add(&r->felt.seconds[second], (int64_t)(us * more));
		if (!r->black_out && random_between(0, 1) < s->seen)
			latency_add(&r->latency, (int64_t)(us * more), 0, mode_of(r), r->now_us);
	}
}

static void estimate(struct run *r) {
	if (r->black_out || r->now_us - r->estimated_us < second_us)
		return;
	r->estimated_us = r->now_us;
	if (r->latency.baseline.value <= 0 && latency_idle_us(&r->latency) >= r->settings.throttle.latency_learn_ms * 1000)
		latency_end_phase(&r->latency, r->now_us);
	reading_set_known(&r->reading, r->now_us);
	latency_estimate(&r->latency, r->now_us, &r->reading);
}

/* The replica applies what came, in order: its lag is the age of the oldest that it has not. */
static void replicate(struct run *r) {
	const struct site *s = &r->site;
	if (s->replica_rows_s <= 0)
		return;
	double can = s->replica_rows_s * (double)step_us / 1e6;
	int64_t now = (r->now_us - 1000 * second_us) / step_us;
	while (r->applied < now && r->written[r->applied] <= can)
		can -= r->written[r->applied++];
	if (r->applied < now)
		r->written[r->applied] -= can;
	r->lag.state = r->replica_unknown ? READING_UNKNOWN : READING_KNOWN;
	r->lag.value = 0.1 + (double)((now - r->applied) * step_us) / 1e6;
	trend_add(&r->trend, r->lag.value, r->now_us);
	r->lag.trend = 8 * fmax(0, trend_slope(&r->trend, 7 * second_us));
	r->lag.coming = lag_coming(r->lag.value, trend_slope(&r->trend, second_us));
	r->lag.at_us = r->now_us;
	r->longest_lag_s = fmax(r->longest_lag_s, r->lag.value);
}

static void look(struct run *r) {
	struct readings readings = {0};
	bool was_held = r->verdict.held;
	readings_add(&readings, &r->lag);
	latency_add_reading(&r->latency, &r->reading, &r->settings.throttle, &readings);
	decide(readings.list, readings.count, r->now_us, &r->verdict);
	if (r->verdict.excess && !was_held)
		control_exceeded(&r->regulator.control);
	struct outlook outlook = {.all_held = true,
	                          .initial_rate_rows_s = r->settings.throttle.initial_rate,
	                          .batch_ms = (double)r->settings.batch.time_ms};
	outlook_add(&outlook, &readings, &r->verdict);
	regulate(&r->regulator, &outlook, r->now_us, random_between(0, 1));
	pace_allow(&r->pace, r->regulator.control.rate_rows_s, r->regulator.control.batch_ms);
	readings_free(&readings);
}

/* The batches of one step. */
static void work(struct run *r) {
	struct site *s = &r->site;
	double rows_done = 0, ms_rows = 0;
	int64_t until_us = r->now_us + step_us;
	if (r->next_us < r->now_us)
		r->next_us = r->now_us;
	while (r->next_us < until_us && !r->verdict.held && !r->regulator.off) {
		int64_t rows = pace_rows(&r->pace, &r->settings, 1);
		double ms = (s->batch_fixed_ms + s->row_ms * (double)rows) * random_between(1 - s->noise, 1 + s->noise);
		int64_t us = llround(ms * 1000) + 1, delay_us = pace_delay_us(&r->pace, &r->settings, rows, us);
		pace_batch_done(&r->pace, &r->settings, rows, us, us, us + delay_us);
		regulator_count(&r->regulator, rows, r->pace.by_rate);
		rows_done += (double)rows;
		ms_rows += ms * (double)rows;
		r->batches++;
		r->last_end_us = r->next_us + us;
		r->next_us += us + delay_us;
	}
	r->felt.rows[second_of(r)] += rows_done;
	r->written[(r->now_us - 1000 * second_us) / step_us] = rows_done;
	double weight = (double)step_us / 5e5; /* a batch is felt for half a second */
	r->recent_rows_s += weight * (rows_done * 1e6 / (double)step_us - r->recent_rows_s);
	if (rows_done > 0)
		r->recent_ms = ms_rows / rows_done;
}

static void run_for(struct run *r, int seconds) {
	for (int64_t until_us = r->now_us + seconds * second_us; r->now_us < until_us; r->now_us += step_us) {
		feel(r);
		estimate(r);
		replicate(r);
		look(r);
		work(r);
	}
}

/* ---- the best that a fixed rate could do ---- */

/* The highest constant rate, of batches of 2 ms, with which hardly a window is above the bound that wouldn't be without it: as a
 * share of the site's size. It depends on the noise of a window alone. */
static double search_fixed(double queries_s, double spread) {
	double low = 0, high = 1;
	for (int i = 0; i < 7; i++) {
		double share = (low + high) / 2;
		struct site site = {.p95_ms = 5, .spread = spread, .queries_s = queries_s, .size_rows_s = 1000};
		struct run *r = run_new(site);
		r->regulator.off = true;
		r->recent_rows_s = share * 1000;
		r->recent_ms = 2;
		for (int step = 0; step < 12000; step++, r->now_us += step_us)
			feel(r);
		double bound_us = 5000 * (1 + increase);
		double excess = share_above(&r->felt, bound_us, 0, 1200) - share_above(&r->idle, bound_us, 0, 1200);
		*(excess <= 0.01 ? &low : &high) = share;
		free(r);
	}
	return low;
}

static double best_fixed(const struct site *site) {
	static double found[2][SPREADS]; /* at 200 and at 1,000 queries a second */
	for (int i = 0; i < SPREADS; i++) {
		double *one = &found[site->queries_s > 200][i];
		if (site->spread == spreads[i] && *one == 0)
			*one = search_fixed(site->queries_s, site->spread);
		if (site->spread == spreads[i])
			return *one;
	}
	abort();
}

/* ---- figures ---- */

struct figure {
	double sum, squares;
	int count;
};

static void figure_add(struct figure *f, double value) {
	f->sum += value;
	f->squares += value * value;
	f->count++;
}

static double figure_mean(const struct figure *f) {
	return f->sum / f->count;
}

/* Three standard errors of the mean: what chance may do to it in so few runs. */
static double figure_chance(const struct figure *f) {
	double mean = figure_mean(f);
	return 3 * sqrt(fmax(0, f->squares / f->count - mean * mean) / f->count);
}

struct steady_figures {
	struct figure excess, used, turns_per_min;
};

static int turns(const double *rates, int count) {
	int turned = 0, direction = 0;
	for (int i = 1; i < count; i++) {
		int now = (rates[i] > rates[i - 1]) - (rates[i] < rates[i - 1]);
		turned += now != 0 && direction != 0 && now != direction;
		direction = now != 0 ? now : direction;
	}
	return turned;
}

/* ---- scenarios ---- */

enum { SETTLED_S = 300, STEADY_S = 1500 };

/* The site as it is; or with a stall of five seconds in each two minutes that is not ours, as a checkpoint makes. */
static void steady(struct steady_figures *f, double samples_s, bool stalls) {
	struct run *r = run_new(random_site(samples_s));
	double rates[STEADY_S];
	for (int i = 0; i < STEADY_S; i++) {
		r->slower = stalls && i % 120 < 5 ? 2 : 1;
		run_for(r, 1);
		rates[i] = r->regulator.control.rate_rows_s;
	}
	double bound_us = r->site.p95_ms * 1000 * (1 + increase);
	figure_add(&f->excess,
	           share_above(&r->felt, bound_us, SETTLED_S, STEADY_S) - share_above(&r->idle, bound_us, SETTLED_S, STEADY_S));
	figure_add(&f->used, mean_rate(&r->felt, SETTLED_S, STEADY_S) / (best_fixed(&r->site) * r->site.size_rows_s));
	figure_add(&f->turns_per_min, turns(rates + SETTLED_S, STEADY_S - SETTLED_S) * 60. / (STEADY_S - SETTLED_S));
	free(r);
}

static struct run *run_settled(double samples_s) {
	struct run *r = run_new(random_site(samples_s));
	run_for(r, SETTLED_S);
	CHECK(r->batches > 0, "no batch in %d s", SETTLED_S);
	return r;
}

/* How much slower the site's queries are, by itself and by us, over its baseline. */
static double slowness(const struct run *r) {
	return r->slower * (1 + r->more_effect * effect(&r->site, r->recent_rows_s, r->recent_ms));
}

/* A fifth more load: the site is slower by itself, and feels more of us. Within 30 s it is back under its bound. */
static void load_step(void) {
	struct run *r = run_settled(200);
	r->slower = 1.05;
	r->more_effect = 1.3;
	run_for(r, 30);
	double sum = 0;
	for (int i = 0; i < 60; i++) {
		run_for(r, 1);
		sum += slowness(r);
	}
	CHECK(sum / 60 <= 1 + increase, "%.3f times as slow 30 s behind a step of the load", sum / 60);
	free(r);
}

/* By day and night: it follows the site, and is no burden by day. */
static void sine(struct figure *excess) {
	struct run *r = run_settled(1000);
	int above = 0, count = 0;
	for (int i = 0; i < 3000; i++) {
		r->slower = 1 + 0.1 * sin(2 * 3.14159 * i / 3000);
		run_for(r, 1);
		int now = second_of(r) - 1;
		if (i >= WINDOW_S && i % 3 == 0) {
			count++;
			above += window_p95_us(&r->felt, now) > window_p95_us(&r->idle, now) * (1 + increase) * 1.02;
		}
	}
	figure_add(excess, (double)above / count);
	free(r);
}

/* The site gets twice as slow by itself, and we can't know that: we give way. */
static void doubling(void) {
	struct run *r = run_settled(200);
	double before = mean_rate(&r->felt, SETTLED_S - 100, SETTLED_S);
	r->slower = 2;
	run_for(r, 120);
	double after = mean_rate(&r->felt, SETTLED_S + 90, SETTLED_S + 120);
	CHECK(after <= 0.1 * before, "%.0f rows/s of %.0f a minute and a half after the site's latency doubled", after, before);
	free(r);
}

/* No reading comes any more: none faster behind two periods, and none at all behind 30 s. It comes again: so does the work. */
static void black_out(void) {
	struct run *r = run_settled(200);
	r->black_out = true;
	run_for(r, 3);
	double rate = r->regulator.control.rate_rows_s;
	for (int i = 0; i < 28; i++) {
		run_for(r, 1);
		CHECK(r->regulator.control.rate_rows_s <= rate, "faster, blind for %d s", i + 3);
	}
	CHECK(rate > r->regulator.control.rate_rows_s || r->regulator.off, "not slower, blind for half a minute");
	int batches = r->batches;
	run_for(r, 60);
	CHECK(r->batches == batches, "%d batches, blind", r->batches - batches);
	CHECK(r->verdict.held && strstr(r->verdict.reason, "latency") != NULL, "%s", r->verdict.reason);
	r->black_out = false;
	run_for(r, 60); /* a baseline may be learned meanwhile */
	CHECK(r->batches > batches, "no batch since it is seen again");
	free(r);
}

/* The replica applies a part of what it did: its lag stays within a second of its limit. And when nothing is known of it, nothing
 * is done. */
static void replica(void) {
	struct site site = random_site(200);
	site.replica_rows_s = 1e9;
	struct run *r = run_new(site);
	run_for(r, SETTLED_S);
	r->site.replica_rows_s = mean_rate(&r->felt, SETTLED_S - 100, SETTLED_S) * random_between(0.3, 0.8);
	run_for(r, 300);
	CHECK(r->longest_lag_s <= 3, "a lag of %.1f s", r->longest_lag_s);
	CHECK(mean_rate(&r->felt, SETTLED_S + 150, SETTLED_S + 300) >= 0.4 * r->site.replica_rows_s, "%.0f rows/s of %.0f",
	      mean_rate(&r->felt, SETTLED_S + 150, SETTLED_S + 300), r->site.replica_rows_s);
	r->replica_unknown = true;
	run_for(r, 1);
	int batches = r->batches;
	run_for(r, 30);
	CHECK(r->batches == batches, "%d batches beside a replica that is not known", r->batches - batches);
	free(r);
}

static void check_steady(const char *name, const struct steady_figures *f, double most_excess, double least_used) {
	double excess = figure_mean(&f->excess), used = figure_mean(&f->used), turned = figure_mean(&f->turns_per_min);
	printf("%-32s %5.2f %% of windows above the bound beyond those without us, %3.0f %% of the best fixed rate, %.1f turns a "
	       "minute\n",
	       name, 100 * excess, 100 * used, turned);
	CHECK(excess - figure_chance(&f->excess) <= most_excess, "%s: excess %g", name, excess);
	CHECK(used + figure_chance(&f->used) >= least_used, "%s: %g of the best fixed rate", name, used);
	CHECK(turned <= 3, "%s: %g turns a minute", name, turned);
}

int main(void) {
	random_begin();
	long runs = random_runs(24);
	printf("sim_throttle SEED=%llu runs=%ld\n", (unsigned long long)seed, runs);
	struct steady_figures few = {0}, some = {0}, many = {0}, stalled = {0};
	struct figure by_day = {0};
	for (long i = 0; i < runs; i++) {
		load_step();
		doubling();
		black_out();
		replica();
		if (i % 4 != 0) /* the long ones */
			continue;
		steady(&few, 20, false);
		steady(&some, 200, false);
		steady(&many, 1000, false);
		steady(&stalled, 200, true);
		sine(&by_day);
	}
	check_steady("steady, 20 samples a second", &few, 0.05, 0.4);
	check_steady("steady, 200 samples a second", &some, 0.01, 0.7);
	check_steady("steady, 1,000 samples a second", &many, 0.01, 0.7);
	check_steady("stalls of its own", &stalled, 0.15, 0.35);
	printf("%-32s %5.2f %% of windows\n", "by day and night", 100 * figure_mean(&by_day));
	CHECK(figure_mean(&by_day) - figure_chance(&by_day) <= 0.02, "by day and night: %g", figure_mean(&by_day));
	printf("ok\n");
	return 0;
}
