/* jobfile_limits.c: a job's limits against its target's: it may be stricter, never looser. */
#include "common/duration.h"
#include "common/jobfile.h"
#include "common/mem.h"

#include <stdlib.h>
#include <string.h>

static bool fail_looser(const char *key, const char *job, const char *target, struct error *err) {
	error_set(err, ERROR_DATA, "%s: %s is looser than its target's %s", key, job, target);
	return error_hint(err,
	                  "a job may be stricter than its target, not looser: leave it out, or change the target's configuration");
}

static bool check_ms(const char *key, bool said, int64_t job, int64_t target, struct error *err) {
	if (!said || job <= target)
		return true;
	autofree char *job_text = duration_format_ms(job), *target_text = duration_format_ms(target);
	return fail_looser(key, job_text, target_text, err);
}

static bool check_number(const char *key, bool said, double job, double target, struct error *err) {
	if (!said || job <= target)
		return true;
	autofree char *job_text = mem_printf("%.10g", job), *target_text = mem_printf("%.10g", target);
	return fail_looser(key, job_text, target_text, err);
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

bool jobfile_check_limits(const struct jobfile *job, const struct throttle_settings *target_throttle,
                          const struct guard_settings *target_guards, struct error *err) {
	const struct throttle_settings *t = &job->settings.throttle;
	const struct guard_settings *g = &job->settings.guards;
	return check_ms("throttle.max_lag", t->max_lag_said && target_throttle->max_lag_said, t->max_lag_ms,
	                target_throttle->max_lag_ms, err) &&
	       check_replicas(t, target_throttle, err) &&
	       check_number("throttle.initial_rate", t->initial_rate_said && target_throttle->initial_rate_said, t->initial_rate,
	                    target_throttle->initial_rate, err) &&
	       check_ms("guards.lag", g->lag_said && target_guards->lag_said, g->lag_ms, target_guards->lag_ms, err) &&
	       check_number("guards.error_rate", g->error_rate_said && target_guards->error_rate_said, g->error_rate,
	                    target_guards->error_rate, err) &&
	       check_number("guards.failed_batches", g->failed_batches_said && target_guards->failed_batches_said,
	                    (double)g->failed_batches, (double)target_guards->failed_batches, err);
}

static void inherit_replicas(struct throttle_settings *job, const struct throttle_settings *target) {
	mem_free_strings(job->replicas, job->nreplicas);
	job->nreplicas = target->nreplicas;
	job->replicas = target->nreplicas > 0 ? mem_alloc(target->nreplicas * sizeof *job->replicas) : NULL;
	for (size_t i = 0; i < target->nreplicas; i++)
		job->replicas[i] = mem_dup(target->replicas[i]);
}

void jobfile_inherit_limits(struct jobfile *job, const struct throttle_settings *target_throttle,
                            const struct guard_settings *target_guards) {
	struct throttle_settings *t = &job->settings.throttle;
	struct guard_settings *g = &job->settings.guards;
	if (!t->max_lag_said)
		t->max_lag_ms = target_throttle->max_lag_ms;
	if (!t->replicas_said)
		inherit_replicas(t, target_throttle);
	if (!t->initial_rate_said)
		t->initial_rate = target_throttle->initial_rate;
	if (!g->lag_said)
		g->lag_ms = target_guards->lag_ms;
	if (!g->error_rate_said)
		g->error_rate = target_guards->error_rate;
	if (!g->failed_batches_said)
		g->failed_batches = target_guards->failed_batches;
}
