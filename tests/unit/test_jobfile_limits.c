/* A job's limits: what it watches by SQL and HTTP, and what of that its target's configuration has a say in. */
#include "common/jobfile.h"

#include "common/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define UPDATE "id = \"20261121_x\"; target = \"t\"; table = \"public.a\"; kind = \"update\"; set = { c = \"1\"; }; "

static struct jobfile *parse(const char *text) {
	struct jobfile *job = NULL;
	struct error err = {0};
	if (!jobfile_parse(text, "x.job", &job, &err))
		fail_msg("%s", err.message);
	return job;
}

static void refused(const char *text, const char *message, const char *hint) {
	struct jobfile *job = NULL;
	struct error err = {0};
	assert_false(jobfile_parse(text, "x.job", &job, &err));
	assert_null(job);
	assert_string_equal(err.message, message);
	if (hint != NULL)
		assert_string_equal(err.hint, hint);
	assert_int_equal(err.code, ERROR_DATA);
}

static void own_probes(void **state) {
	(void)state;
	static const struct {
		const char *text, *message;
	} bad[] = {
		{"{ sql = \"SELECT 1\"; limit = 1; }", "name: missing, but required"},
		{"{ name = \"a\"; limit = 1; }", "sql: missing, but required"},
		{"{ name = \"a\"; sql = \"SELECT 1\"; }", "limit: missing, but required"},
		{"{ name = \"a b\"; sql = \"SELECT 1\"; limit = 1; }", "name: \"a b\" is not a name (letters, digits and _, at most 63)"},
		{"{ name = \"a\"; sql = \"SELECT 1; SELECT 2\"; limit = 1; }",
	     "sql: \"SELECT 1; SELECT 2\" is not one query, without a semicolon"},
		{"{ name = \"a\"; sql = \" \"; limit = 1; }", "sql: must not be empty"},
		{"{ name = \"a\"; sql = \"SELECT 1\"; limit = 0; }", "limit: 0 is out of range: 1e-09 to 1e+18 is allowed"},
		{"{ name = \"a\"; sql = \"SELECT 1\"; limit = 1; ok = 1; }", "ok: 1 is not below limit, 1"},
		{"{ name = \"a\"; sql = \"SELECT 1\"; limit = 1; every = \"11s\"; }",
	     "every: 11s is out of range: 100ms to 10s is allowed"},
		{"{ name = \"a\"; sql = \"SELECT 1\"; limit = 1; }, { name = \"a\"; sql = \"SELECT 2\"; limit = 1; }",
	     "name: two probes are named \"a\""},
		{"{ name = \"a\"; sql = \"SELECT 1\"; limit = 1; often = 1; }", "unknown key often"},
		{"5", "throttle.sql: a group { … } is wanted in the list"},
	};
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		autofree char *text = mem_printf("%s\nthrottle = { sql = ( %s ); };", UPDATE, bad[i].text);
		autofree char *message = mem_printf("x.job:2: %s", bad[i].message);
		refused(text, message, NULL);
	}
	refused(UPDATE "throttle = { sql = 5; };", "x.job:1: throttle.sql: a list of groups is wanted", NULL);
	struct jobfile *job = parse(UPDATE "throttle = { sql = ( { name = \"a\"; sql = \"SELECT 1\"; limit = 10; },"
	                                   "{ name = \"b\"; sql = \"SELECT 2\"; ok = 0; limit = 2; every = \"1s\"; } ); };");
	const struct throttle_settings *t = &job->settings.throttle;
	assert_int_equal(t->nsql, 2);
	assert_true(t->sql[0].ok == 5 && t->sql[0].limit == 10 && t->sql[0].every_ms == 5000);
	assert_true(t->sql[1].ok == 0 && t->sql[1].limit == 2 && t->sql[1].every_ms == 1000);
	struct error err;
	assert_false(jobfile_set(job, "throttle.sql", "x", &err));
	assert_true(jobfile_set(job, "batch.rows", "500", &err)); /* the list is copied with the rest */
	assert_false(jobfile_set(job, "batch.rows", "1", &err));
	assert_string_equal(t->sql[1].text, "SELECT 2");
	jobfile_free(job);
}

static void own_probes_by_http(void **state) {
	(void)state;
	static const struct {
		const char *text, *message;
	} bad[] = {
		{"{ name = \"a\"; limit = 1; }", "url: missing, but required"},
		{"{ name = \"a\"; url = \"ftp://u:secret@h\"; }", "url: \"…\" is not a URL that begins with http:// or https://"},
		{"{ name = \"a\"; url = \"http://\"; }", "url: \"…\" is not a URL that begins with http:// or https://"},
		{"{ name = \"a\"; url = \"http://h\"; path = \"a..b\"; limit = 1; }", "path: "},
		{"{ name = \"a\"; url = \"http://h\"; path = \"a\"; }", "path: tells nothing without limit: only the status counts then"},
		{"{ name = \"a\"; url = \"http://h\"; ok = 1; }", "ok: tells nothing without limit: only the status counts then"},
		{"{ name = \"a\"; url = \"http://h\"; ok = 2; limit = 1; }", "ok: 2 is not below limit, 1"},
		{"{ name = \"a\"; sql = \"SELECT 1\"; url = \"http://h\"; }", "unknown key sql"},
		{"{ name = \"a\"; url = \"http://h\"; }, { name = \"a\"; url = \"http://i\"; }", "name: two probes are named \"a\""},
	};
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		autofree char *text = mem_printf("%s\nthrottle = { http = ( %s ); };", UPDATE, bad[i].text);
		struct jobfile *job = NULL;
		struct error err;
		autofree char *message = mem_printf("x.job:2: %s", bad[i].message);
		assert_false(jobfile_parse(text, "x.job", &job, &err));
		if (strncmp(err.message, message, strlen(message)) != 0)
			fail_msg("%s, not %s", err.message, message);
		assert_null(strstr(err.message, "secret"));
	}
	struct jobfile *job = parse(UPDATE "throttle = { sql = ( { name = \"a\"; sql = \"SELECT 1\"; limit = 10; } );"
	                                   "http = ( { name = \"a\"; url = \"https://u:p@h/x\"; },"
	                                   "{ name = \"b\"; url = \"http://h\"; path = \"a.b\"; limit = 2; every = \"1s\"; } ); };");
	const struct throttle_settings *t = &job->settings.throttle;
	assert_true(t->nsql == 1 && t->nhttp == 2 && !t->sql[0].is_http && t->http[0].is_http);
	assert_true(t->http[0].limit == 0 && t->http[0].path == NULL && t->http[1].ok == 1 && t->http[1].every_ms == 1000);
	struct error err;
	assert_true(jobfile_set(job, "batch.rows", "500", &err)); /* the lists are copied with the rest */
	assert_false(jobfile_set(job, "batch.rows", "1", &err));
	assert_string_equal(t->http[1].path, "a.b");
	struct jobfile *plain = parse(UPDATE "throttle = { sql = ( { name = \"a\"; sql = \"SELECT 1\"; limit = 10; } ); };");
	assert_string_not_equal(plain->sha256, job->sha256);
	jobfile_inherit_limits(plain, t, &job->settings.guards);
	assert_int_equal(plain->settings.throttle.nhttp, 2);
	assert_true(plain->settings.throttle.http[1].inherited && plain->settings.throttle.http[1].is_http);
	jobfile_free(plain);
	jobfile_free(job);
}

static void latency_by_http(void **state) {
	(void)state;
	refused(UPDATE "throttle = { latency = { url = \"localhost:9090\"; }; };",
	        "x.job:1: throttle.latency.url: \"…\" is not a URL that begins with http:// or https://", NULL);
	refused(UPDATE "throttle = { latency = {\nunit = \"ms\"; }; };",
	        "x.job:2: throttle.latency.unit: it needs throttle.latency.url beside it", NULL);
	refused(UPDATE "throttle = { latency = { path = \"a\"; }; };",
	        "x.job:1: throttle.latency.path: it needs throttle.latency.url beside it", NULL);
	refused(UPDATE "throttle = { latency = { url = \"http://h\"; every = \"100ms\"; }; };",
	        "x.job:1: throttle.latency.every: 100ms is out of range: 200ms to 10s is allowed", NULL);
	struct jobfile *target =
		parse(UPDATE "throttle = { latency = { url = \"http://u:p@h/q\"; path = \"a\"; unit = \"ms\"; every = \"5s\"; }; };");
	struct jobfile *job = parse(UPDATE "throttle = { latency = { source = \"http\"; }; };");
	const struct throttle_settings *t = &job->settings.throttle;
	struct throttle_settings none = {0};
	struct error err;
	assert_true(t->latency_unit == LATENCY_S && t->latency_every_ms == 1000 && t->latency_window_ms == 2000);
	assert_false(jobfile_check_limits(job, &none, &target->settings.guards, &err));
	assert_string_equal(err.message, "throttle.latency.source: http needs throttle.latency.url, here or of the target");
	for (int i = 0; i < 2; i++) {
		jobfile_inherit_limits(job, &target->settings.throttle, &target->settings.guards);
		assert_true(jobfile_check_limits(job, &target->settings.throttle, &target->settings.guards, &err));
		assert_string_equal(t->latency_url, "http://u:p@h/q");
		assert_string_equal(t->latency_path, "a");
		assert_true(t->latency_unit == LATENCY_MS && t->latency_every_ms == 5000);
	}
	assert_true(jobfile_set(job, "batch.rows", "500", &err)); /* the texts are copied with the rest */
	assert_false(jobfile_set(job, "batch.rows", "1", &err));
	assert_false(jobfile_set(job, "throttle.latency.url", "http://u:p@i", &err)); /* it would stand in the log of events */
	assert_null(strstr(err.message, "u:p"));
	assert_string_equal(t->latency_url, "http://u:p@h/q");
	assert_false(jobfile_check_limits(target, &target->settings.throttle, &target->settings.guards, &err));
	assert_string_equal(err.message, "throttle.latency.url: its target's configuration says which one counts");
	jobfile_free(job);
	jobfile_free(target);
}

/* The target's are asked beside the job's own. */
static void own_probes_are_inherited(void **state) {
	(void)state;
	struct jobfile *target = parse(UPDATE "throttle = { sql = ( { name = \"a\"; sql = \"SELECT 1\"; limit = 10; } ); };");
	struct jobfile *job = parse(UPDATE "throttle = { sql = ( { name = \"b\"; sql = \"SELECT 2\"; limit = 10; } ); };");
	const struct throttle_settings *t = &job->settings.throttle;
	struct error err;
	for (int i = 0; i < 2; i++) {
		jobfile_inherit_limits(job, &target->settings.throttle, &target->settings.guards);
		assert_true(jobfile_check_limits(job, &target->settings.throttle, &target->settings.guards, &err));
		assert_int_equal(t->nsql, 2);
		assert_true(!t->sql[0].inherited && t->sql[1].inherited);
		assert_string_equal(t->sql[1].text, "SELECT 1");
	}
	struct throttle_settings none = {0};
	jobfile_inherit_limits(job, &none, &target->settings.guards);
	assert_int_equal(t->nsql, 1);
	jobfile_free(job);
	jobfile_free(target);
}

/* What a job of this text says to a target of that one; NULL: nothing against it. */
static void limits(const char *job_text, const char *target_text, const char *message) {
	autofree char *a = mem_printf("%s%s", UPDATE, job_text), *b = mem_printf("%s%s", UPDATE, target_text);
	struct jobfile *job = parse(a), *target = parse(b);
	struct error err = {0};
	bool ok = jobfile_check_limits(job, &target->settings.throttle, &target->settings.guards, &err);
	assert_int_equal(ok, message == NULL);
	if (message != NULL)
		assert_string_equal(err.message, message);
	assert_int_equal(err.code, ok ? ERROR_NONE : ERROR_DATA);
	jobfile_free(job);
	jobfile_free(target);
}

static void a_job_is_never_looser_than_its_target(void **state) {
	(void)state;
	limits("", "throttle = { max_lag = \"1s\"; };", NULL);
	limits("throttle = { max_lag = \"1s\"; };", "throttle = { max_lag = \"1s\"; };", NULL);
	limits("throttle = { max_lag = \"5s\"; };", "", NULL); /* a built-in default may be loosened */
	limits("throttle = { max_lag = \"1001ms\"; };", "throttle = { max_lag = \"1s\"; };",
	       "throttle.max_lag: 1001ms is looser than its target's 1s");
	limits("throttle = { initial_rate = 20; };", "throttle = { initial_rate = 10; };",
	       "throttle.initial_rate: 20 is looser than its target's 10");
	limits("guards = { lag = \"1m\"; };", "guards = { lag = \"30s\"; };", "guards.lag: 1m is looser than its target's 30s");
	limits("guards = { error_rate = 0.02; };", "guards = { error_rate = 0.01; };",
	       "guards.error_rate: 0.02 is looser than its target's 0.01");
	limits("guards = { failed_batches = 4; };", "guards = { failed_batches = 3; };",
	       "guards.failed_batches: 4 is looser than its target's 3");
	limits("throttle = { max_active = 0; };", "throttle = { max_active = 10; };",
	       "throttle.max_active: 0 is looser than its target's 10");
	limits("throttle = { max_active = 10; };", "throttle = { max_active = 0; };", NULL);
	limits("throttle = { max_wal_retained = \"2GB\"; };", "throttle = { max_wal_retained = \"1GB\"; };",
	       "throttle.max_wal_retained: 2GB is looser than its target's 1GB");
	limits("throttle = { max_oldest = \"11m\"; };", "throttle = { max_oldest = \"10m\"; };",
	       "throttle.max_oldest: 11m is looser than its target's 10m");
	limits("throttle = { slots = false; };", "throttle = { slots = true; };",
	       "throttle.slots: false is looser than its target's true");
	limits("throttle = { slots = true; };", "throttle = { slots = false; };", NULL);
	limits("guards = { disk_used = 0.95; };", "guards = { disk_used = 0.9; };",
	       "guards.disk_used: 0.95 is looser than its target's 0.9");
	limits("throttle = { sql = ( { name = \"a\"; sql = \"SELECT 1\"; limit = 1; } ); };",
	       "throttle = { sql = ( { name = \"a\"; sql = \"SELECT 1\"; limit = 1; } ); };",
	       "throttle.sql: its target's configuration has a probe named \"a\"");
	limits("throttle = { http = ( { name = \"a\"; url = \"http://h\"; } ); };",
	       "throttle = { http = ( { name = \"a\"; url = \"http://h\"; } ); };",
	       "throttle.http: its target's configuration has a probe named \"a\"");
	limits("throttle = { sql = ( { name = \"a\"; sql = \"SELECT 1\"; limit = 1; } ); };",
	       "throttle = { http = ( { name = \"a\"; url = \"http://h\"; } ); };", NULL);
	limits("throttle = { replicas = [\"a\"]; };", "throttle = { replicas = [\"a\", \"b\"]; };",
	       "throttle.replicas: b counts by its target's configuration, but not here");
	limits("throttle = { replicas = [\"a\", \"b\", \"c\"]; };", "throttle = { replicas = [\"a\", \"b\"]; };", NULL);
	limits("throttle = { replicas = [\"!c\"]; };", "throttle = { replicas = [\"a\", \"b\"]; };", NULL);
	limits("throttle = { replicas = [\"!b\"]; };", "throttle = { replicas = [\"a\", \"b\"]; };",
	       "throttle.replicas: b counts by its target's configuration, but not here");
	limits("throttle = { replicas = [\"!b\", \"!c\"]; };", "throttle = { replicas = [\"!b\"]; };",
	       "throttle.replicas: c counts by its target's configuration, but not here");
	limits("throttle = { replicas = [\"!b\"]; };", "throttle = { replicas = [\"!b\", \"!c\"]; };", NULL);
	limits("throttle = { replicas = [\"a\"]; };", "throttle = { replicas = [\"!b\"]; };",
	       "throttle.replicas: every replica but those it leaves out counts by its target's configuration, but not here");
}

static void a_silent_job_takes_its_target_s_limits(void **state) {
	(void)state;
	struct jobfile *target = parse(UPDATE "throttle = { max_lag = \"1s\"; replicas = [\"a\", \"b\"]; initial_rate = 5; };"
	                                      "guards = { lag = \"9s\"; error_rate = 0.5; failed_batches = 7; };");
	struct jobfile *job = parse(UPDATE "throttle = { max_lag = \"300ms\"; };");
	for (int i = 0; i < 2; i++) /* twice is as once */
		jobfile_inherit_limits(job, &target->settings.throttle, &target->settings.guards);
	const struct job_settings *s = &job->settings;
	assert_true(s->throttle.max_lag_ms == 300 && s->throttle.initial_rate == 5 && s->throttle.nreplicas == 2);
	assert_string_equal(s->throttle.replicas[1], "b");
	assert_true(s->guards.lag_ms == 9000 && s->guards.error_rate == 0.5 && s->guards.failed_batches == 7);
	jobfile_free(target);
	jobfile_free(job);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(own_probes),
		cmocka_unit_test(own_probes_by_http),
		cmocka_unit_test(latency_by_http),
		cmocka_unit_test(own_probes_are_inherited),
		cmocka_unit_test(a_job_is_never_looser_than_its_target),
		cmocka_unit_test(a_silent_job_takes_its_target_s_limits),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
