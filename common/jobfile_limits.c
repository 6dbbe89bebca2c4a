/* jobfile_limits.c: a job's limits against its target's: it may be stricter, never looser. */
#include "common/duration.h"
#include "common/jobfile.h"
#include "common/mem.h"
#include "common/own_probe.h"

#include <stdlib.h>
#include <string.h>

static bool fail_looser(const char *key, const char *job, const char *target, struct error *err) {
	error_set(err, ERROR_DATA, "%s: %s is looser than its target's %s", key, job, target);
	return error_hint(err,
	                  "a job may be stricter than its target, not looser: leave it out, or change the target's configuration");
}

/* Which way a limit is stricter. */
enum way {
	LESS,        /* less is stricter */
	LESS_OR_OFF, /* the same, and 0 is no limit at all */
	MORE,
};

enum kind { IS_NUMBER, IS_MS, IS_COUNT, IS_BYTES, IS_BOOL }; /* a double, three int64_t, a bool */

struct limit {
	const char *key;
	enum kind kind;
	enum way way;
	size_t offset, said_offset;
};

#define LIMIT(KIND, KEY, T, MEMBER, SAID, WAY)                                                                                   \
	{ .key = (KEY), .kind = (KIND), .way = (WAY), .offset = offsetof(T, MEMBER), .said_offset = offsetof(T, SAID) }
#define MS(KEY, T, MEMBER, SAID, WAY) LIMIT(IS_MS, KEY, T, MEMBER, SAID, WAY)
#define NUMBER(KEY, T, MEMBER, WAY) LIMIT(IS_NUMBER, KEY, T, MEMBER, MEMBER##_said, WAY)
#define COUNT(KEY, T, MEMBER, WAY) LIMIT(IS_COUNT, KEY, T, MEMBER, MEMBER##_said, WAY)
#define BYTES(KEY, T, MEMBER, WAY) LIMIT(IS_BYTES, KEY, T, MEMBER##_bytes, MEMBER##_said, WAY)

static const struct limit throttle_limits[] = {
	MS("throttle.max_lag", struct throttle_settings, max_lag_ms, max_lag_said, LESS),
	NUMBER("throttle.initial_rate", struct throttle_settings, initial_rate, LESS),
	NUMBER("throttle.max_p95_increase", struct throttle_settings, max_p95_increase, LESS_OR_OFF),
	NUMBER("throttle.max_commit_increase", struct throttle_settings, max_commit_increase, LESS_OR_OFF),
	MS("throttle.max_p95", struct throttle_settings, max_p95_ms, max_p95_said, LESS_OR_OFF),
	NUMBER("throttle.latency.rate", struct throttle_settings, latency_rate, MORE),
	MS("throttle.latency.learn", struct throttle_settings, latency_learn_ms, latency_learn_said, MORE),
	MS("throttle.max_oldest", struct throttle_settings, max_oldest_ms, max_oldest_said, LESS_OR_OFF),
	COUNT("throttle.max_active", struct throttle_settings, max_active, LESS_OR_OFF),
	COUNT("throttle.max_lock_waiters", struct throttle_settings, max_lock_waiters, LESS_OR_OFF),
	BYTES("throttle.max_wal_retained", struct throttle_settings, max_wal_retained, LESS_OR_OFF),
	LIMIT(IS_BOOL, "throttle.slots", struct throttle_settings, slots, slots_said, MORE),
	COUNT("throttle.max_archive_queue", struct throttle_settings, max_archive_queue, LESS_OR_OFF),
	NUMBER("throttle.max_dead_ratio", struct throttle_settings, max_dead_ratio, LESS_OR_OFF),
	COUNT("throttle.max_history_list", struct throttle_settings, max_history_list, LESS_OR_OFF),
	BYTES("throttle.max_binlog_rate", struct throttle_settings, max_binlog_rate, LESS_OR_OFF),
	NUMBER("throttle.max_flow_control", struct throttle_settings, max_flow_control, LESS_OR_OFF),
	{0},
};
static const struct limit guard_limits[] = {
	MS("guards.lag", struct guard_settings, lag_ms, lag_said, LESS),
	NUMBER("guards.error_rate", struct guard_settings, error_rate, LESS),
	COUNT("guards.failed_batches", struct guard_settings, failed_batches, LESS),
	NUMBER("guards.p95_increase", struct guard_settings, p95_increase, LESS_OR_OFF),
	NUMBER("guards.disk_used", struct guard_settings, disk_used, LESS_OR_OFF),
	{0},
};

static bool was_said(const struct limit *limit, const void *settings) {
	bool said;
	memcpy(&said, (const char *)settings + limit->said_offset, sizeof said);
	return said;
}

static double number_of(const struct limit *limit, const void *settings) {
	const char *at = (const char *)settings + limit->offset;
	int64_t whole;
	double number;
	bool yes;
	switch (limit->kind) {
	case IS_NUMBER:
		memcpy(&number, at, sizeof number);
		return number;
	case IS_BOOL:
		memcpy(&yes, at, sizeof yes);
		return yes;
	default:
		memcpy(&whole, at, sizeof whole);
		return (double)whole;
	}
}

static bool is_looser(const struct limit *limit, double job, double target) {
	switch (limit->way) {
	case LESS:
		return job > target;
	case LESS_OR_OFF:
		return target > 0 && (job == 0 || job > target);
	case MORE:
		return job < target;
	}
	return false;
}

static char *number_text(const struct limit *limit, double number) {
	switch (limit->kind) {
	case IS_MS:
		return duration_format_ms((int64_t)number);
	case IS_BYTES:
		return size_format_bytes((int64_t)number);
	case IS_BOOL:
		return mem_dup(number > 0 ? "true" : "false");
	default:
		return mem_printf("%.10g", number);
	}
}

static bool check_numbers(const struct limit *limits, const void *job, const void *target, struct error *err) {
	for (const struct limit *limit = limits; limit->key != NULL; limit++) {
		double j = number_of(limit, job), t = number_of(limit, target);
		if (!was_said(limit, job) || !was_said(limit, target) || !is_looser(limit, j, t))
			continue;
		autofree char *job_text = number_text(limit, j), *target_text = number_text(limit, t);
		return fail_looser(limit->key, job_text, target_text, err);
	}
	return true;
}

static size_t size_of(enum kind kind) {
	return kind == IS_NUMBER ? sizeof(double) : kind == IS_BOOL ? sizeof(bool) : sizeof(int64_t);
}

static void inherit_numbers(const struct limit *limits, void *job, const void *target) {
	for (const struct limit *limit = limits; limit->key != NULL; limit++)
		if (!was_said(limit, job))
			memcpy((char *)job + limit->offset, (const char *)target + limit->offset, size_of(limit->kind));
}

/* As the throttle reads the list: "!name" leaves one out, names without it mean these alone. */
static bool counts(const struct throttle_settings *settings, const char *name) {
	bool named = false;
	for (size_t i = 0; i < settings->nreplicas; i++) {
		const char *entry = settings->replicas[i];
		if (entry[0] == '!' && strcmp(entry + 1, name) == 0)
			return false;
		if (entry[0] != '!' && strcmp(entry, name) == 0)
			return true;
		named = named || entry[0] != '!';
	}
	return !named;
}

static bool fail_replica(const char *name, struct error *err) {
	error_set(err, ERROR_DATA, "throttle.replicas: %s counts by its target's configuration, but not here", name);
	return error_hint(err, "name it too, or change the target's configuration");
}

/* Every replica that counts for the target has to count for the job. */
static bool check_replicas(const struct throttle_settings *job, const struct throttle_settings *target, struct error *err) {
	if (!job->replicas_said || !target->replicas_said)
		return true;
	bool target_names = false;
	for (size_t i = 0; i < target->nreplicas; i++) {
		const char *name = target->replicas[i];
		target_names = target_names || name[0] != '!';
		if (name[0] != '!' && !counts(job, name))
			return fail_replica(name, err);
	}
	for (size_t i = 0; i < job->nreplicas && !target_names; i++) {
		const char *name = job->replicas[i];
		if (name[0] != '!')
			return fail_replica("every replica but those it leaves out", err);
		if (counts(target, name + 1))
			return fail_replica(name + 1, err);
	}
	return true;
}

/* What is measured is the target's to say, if it does. */
static bool check_latency(const struct throttle_settings *job, const struct throttle_settings *target, struct error *err) {
	if (job->latency_source_said && target->latency_source_said && job->latency_source == LATENCY_NONE &&
	    target->latency_source != LATENCY_NONE) {
		error_set(err, ERROR_DATA, "throttle.latency.source: none is looser than its target's");
		return error_hint(err, "leave it out, or change the target's configuration");
	}
	if (job->latency_queries_said && target->latency_queries_said) {
		error_set(err, ERROR_DATA, "throttle.latency.queries: its target's configuration says which queries count");
		return error_hint(err, "leave it out, or change the target's configuration");
	}
	if (job->latency_url_said && target->latency_url_said) {
		error_set(err, ERROR_DATA, "throttle.latency.url: its target's configuration says which one counts");
		return error_hint(err, "leave it out, or change the target's configuration");
	}
	if (job->latency_source == LATENCY_HTTP && job->latency_url == NULL && target->latency_url == NULL) {
		error_set(err, ERROR_DATA, "throttle.latency.source: http needs throttle.latency.url, here or of the target");
		return error_hint(err, "latency = { source = \"http\"; url = \"http://…\"; };");
	}
	return true;
}

/* All of the target's are asked for the job, too: it may have more. */
static bool check_probes(const char *key, const struct own_probe *job, size_t njob, const struct own_probe *target,
                         size_t ntarget, struct error *err) {
	for (size_t i = 0; i < njob; i++) {
		if (job[i].inherited || own_probe_find(target, ntarget, job[i].name) == NULL)
			continue;
		error_set(err, ERROR_DATA, "%s: its target's configuration has a probe named \"%s\"", key, job[i].name);
		return error_hint(err, "that one counts for each job: leave it out, or give yours another name");
	}
	return true;
}

bool jobfile_check_limits(const struct jobfile *job, const struct throttle_settings *target_throttle,
                          const struct guard_settings *target_guards, struct error *err) {
	const struct throttle_settings *t = &job->settings.throttle;
	return check_numbers(throttle_limits, t, target_throttle, err) && check_replicas(t, target_throttle, err) &&
	       check_latency(t, target_throttle, err) &&
	       check_probes("throttle.sql", t->sql, t->nsql, target_throttle->sql, target_throttle->nsql, err) &&
	       check_probes("throttle.http", t->http, t->nhttp, target_throttle->http, target_throttle->nhttp, err) &&
	       check_numbers(guard_limits, &job->settings.guards, target_guards, err);
}

static void inherit_strings(char ***strings, size_t *count, char *const *from, size_t from_count) {
	mem_free_strings(*strings, *count);
	*count = from_count;
	*strings = mem_copy_strings(from, from_count);
}

/* What its answers mean goes with it. */
static void inherit_latency_url(struct throttle_settings *job, const struct throttle_settings *target) {
	free(job->latency_url);
	free(job->latency_path);
	job->latency_url = mem_dup(target->latency_url);
	job->latency_path = mem_dup(target->latency_path);
	job->latency_unit = target->latency_unit;
	job->latency_every_ms = target->latency_every_ms;
	job->latency_window_ms = target->latency_window_ms;
}

void jobfile_inherit_limits(struct jobfile *job, const struct throttle_settings *target_throttle,
                            const struct guard_settings *target_guards) {
	struct throttle_settings *t = &job->settings.throttle;
	inherit_numbers(throttle_limits, t, target_throttle);
	inherit_numbers(guard_limits, &job->settings.guards, target_guards);
	if (!t->replicas_said)
		inherit_strings(&t->replicas, &t->nreplicas, target_throttle->replicas, target_throttle->nreplicas);
	if (!t->latency_queries_said)
		inherit_strings(&t->latency_queries, &t->nlatency_queries, target_throttle->latency_queries,
		                target_throttle->nlatency_queries);
	if (!t->latency_source_said)
		t->latency_source = target_throttle->latency_source;
	if (!t->latency_url_said)
		inherit_latency_url(t, target_throttle);
	own_probe_inherit(&t->sql, &t->nsql, target_throttle->sql, target_throttle->nsql);
	own_probe_inherit(&t->http, &t->nhttp, target_throttle->http, target_throttle->nhttp);
}
