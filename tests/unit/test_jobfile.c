/* jobfile: every key and kind, the refusals with line and hint, identity, `set`. */
#include "common/jobfile.h"

#include "common/jobfile_keys.h"
#include "common/mem.h"
#include "common/strbuf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define HEAD "id = \"20261121_x\"; target = \"t\"; table = \"public.a\"; "
#define UPDATE HEAD "kind = \"update\"; set = { c = \"1\"; }; "
#define INSERT HEAD "kind = \"insert\"; into = \"b\"; columns = { c = \"1\"; }; "
#define STATEMENT                                                                                                                \
	HEAD "kind = \"statement\"; statement = \"DELETE FROM a WHERE {range}\"; rollback = { keep_old_values = false; }; "

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

static void an_update_is_read(void **state) {
	(void)state;
	struct jobfile *job = parse("id = \"20261121_risk\"; target = \"orders\";\n"
	                            "table = \"public.transactions\"; kind = \"update\";\n"
	                            "set = { score = \"least(100, a)\"; d = \"now()\"; }; where = \"score IS NULL\";\n"
	                            "key = [ \"a\", \"b\" ]; durability = \"batch\"; allow_triggers = true; allow_no_index = true;\n"
	                            "batch = { rows = 5000; max_rows = 6000; min_rows = 20; max_bytes = \"1MB\"; time = \"100ms\";\n"
	                            "  adaptive = false; delay = \"1s\"; max_rate = 500; max_duty = 1; };\n"
	                            "throttle = { max_lag = \"1s\"; replicas = [ \"r1\", \"!r2\" ]; initial_rate = 50.5; };\n"
	                            "guards = { lag = \"10s\"; error_rate = 0.5; failed_batches = 9; };\n");
	assert_string_equal(job->id, "20261121_risk");
	assert_string_equal(job->target, "orders");
	assert_string_equal(job->schema, "public");
	assert_string_equal(job->table, "transactions");
	assert_int_equal(job->kind, JOB_UPDATE);
	assert_int_equal(job->nset, 2);
	assert_string_equal(job->set[0].column, "score");
	assert_string_equal(job->set[0].expr, "least(100, a)");
	assert_string_equal(job->set[1].column, "d");
	assert_string_equal(job->where, "score IS NULL");
	assert_int_equal(job->nkey, 2);
	assert_string_equal(job->key[1], "b");
	assert_int_equal(job->durability, DURABILITY_BATCH);
	assert_true(job->allow_triggers && job->allow_no_index && !job->allow_cascades && !job->allow_delete);
	const struct job_settings *s = &job->settings;
	assert_true(s->batch.rows == 5000 && s->batch.max_rows == 6000 && s->batch.min_rows == 20);
	assert_true(s->batch.max_bytes == 1048576 && s->batch.time_ms == 100 && !s->batch.adaptive && s->batch.delay_ms == 1000);
	assert_true(s->batch.max_rate == 500 && s->batch.max_duty == 1);
	assert_true(s->throttle.max_lag_ms == 1000 && s->throttle.nreplicas == 2 && s->throttle.initial_rate == 50.5);
	assert_string_equal(s->throttle.replicas[1], "!r2");
	assert_true(s->guards.lag_ms == 10000 && s->guards.error_rate == 0.5 && s->guards.failed_batches == 9);
	assert_true(s->throttle.max_lag_said && s->guards.failed_batches_said);
	jobfile_free(job);
}

static void defaults_are_the_contract_s(void **state) {
	(void)state;
	struct jobfile *job = parse(UPDATE);
	const struct job_settings *s = &job->settings;
	assert_true(job->where == NULL && job->nkey == 0 && job->durability == DURABILITY_JOB && job->statement == NULL);
	assert_true(s->workers == 1 && s->batch.rows == 1000 && s->batch.max_rows == 50000 && s->batch.min_rows == 10);
	assert_true(s->batch.max_bytes == 16777216 && s->batch.time_ms == 250 && s->batch.adaptive && s->batch.delay_ms == 0);
	assert_true(s->batch.max_rate == 0 && s->batch.max_duty == 0.5 && s->wait_for_writers);
	assert_true(s->throttle.max_lag_ms == 2000 && s->throttle.nreplicas == 0 && !s->throttle.max_lag_said);
	assert_true(s->guards.lag_ms == 30000 && s->guards.error_rate == 0.01 && s->guards.failed_batches == 3);
	jobfile_free(job);
	job = parse("id = \"V1_2__x\"; target = \"t\"; table = \"a\"; kind = \"update\"; set = { c = \"1\"; };");
	assert_null(job->schema);
	assert_string_equal(job->table, "a");
	jobfile_free(job);
	jobfile_free(NULL);
	assert_string_equal(job_kind_name(JOB_STATEMENT), "statement");
}

static void every_default_of_the_table_is_valid(void **state) {
	(void)state;
	for (const struct key *key = jobfile_keys; key->name != NULL; key++) {
		assert_non_null(key->doc);
		if (key->fallback == NULL || key->type == KEY_CUSTOM)
			continue;
		struct key_value value;
		struct error err;
		if (!key_value_from_text(key, key->fallback, &value, &err))
			fail_msg("%s: %s", key->name, err.message);
		autofree char *back = key_value_format(key, &value);
		assert_string_equal(back, key->fallback);
		key_value_free(&value);
	}
}

static void an_insert_is_read(void **state) {
	(void)state;
	struct jobfile *job = parse(HEAD "kind = \"insert\"; into = \"archive.b\"; on_conflict = \"update\"; conflict_key = \"id\";\n"
	                                 "columns = ( { column = \"_a\"; expr = \"a\"; }, { expr = \"b + 1\"; column = \"b\"; } );");
	assert_int_equal(job->kind, JOB_INSERT);
	assert_string_equal(job->into_schema, "archive");
	assert_string_equal(job->into_table, "b");
	assert_int_equal(job->on_conflict, CONFLICT_UPDATE);
	assert_int_equal(job->nconflict_key, 1);
	assert_string_equal(job->conflict_key[0], "id");
	assert_int_equal(job->ncolumns, 2);
	assert_string_equal(job->columns[0].column, "_a");
	assert_string_equal(job->columns[1].expr, "b + 1");
	jobfile_free(job);
	job = parse(INSERT);
	assert_true(job->into_schema == NULL && job->on_conflict == CONFLICT_ERROR && job->nconflict_key == 0);
	jobfile_free(job);
}

static void a_statement_is_read(void **state) {
	(void)state;
	struct jobfile *job = parse(STATEMENT "allow_delete = true;");
	assert_int_equal(job->kind, JOB_STATEMENT);
	assert_string_equal(job->statement, "DELETE FROM a WHERE {range}");
	assert_true(job->allow_delete);
	jobfile_free(job);
	refused("id = \"20261121_x\"; target = \"t\"; table = \"a\";\nkind = \"statement\"; statement = \"x\";",
	        "x.job:2: rollback.keep_old_values: missing: a statement can't be rolled back, which must be said",
	        "rollback = { keep_old_values = false; };");
}

static void names_are_checked(void **state) {
	(void)state;
	static const char *const ids[] = {"x",    "2026112_x", "202611211234567_x", "20261121_",   "20261121-x",       "V1_x",
	                                  "V__x", "V1.2__x",   "20261121_x\\n",     " 20261121_x", "20261121_\xC3\xA4"};
	for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++) {
		autofree char *text =
			mem_printf("id = \"%s\"; target = \"t\"; table = \"a\"; kind = \"update\"; set = { c = \"1\"; };", ids[i]);
		struct jobfile *job = NULL;
		struct error err;
		assert_false(jobfile_parse(text, "x.job", &job, &err));
		assert_non_null(strstr(err.message, "x.job:1: id: \""));
		assert_non_null(
			strstr(err.message, "\" is not a date or time, _ and a name (20261121_risk_score), or Flyway's V1_2__name"));
	}
	refused("id = \"20261121_a23456789012345678901234567890123456789012\";",
	        "x.job:1: id: 51 bytes are too long: at most 50 are allowed", "");
	refused("table = \"a.b.c\";", "x.job:1: table: \"a.b.c\" is not table or schema.table", "");
	refused("table = \"a;b\";", "x.job:1: table: \"a;b\" is not table or schema.table", "");
	refused("table = \"a b\";", "x.job:1: table: \"a b\" is not table or schema.table", "");
	refused("table = \"public.\";", "x.job:1: table: \"public.\" is not table or schema.table", "");
	refused("into = \"1a\";", "x.job:1: into: \"1a\" is not table or schema.table", "");
	refused("target = \"a b\";", "x.job:1: target: \"a b\" is not a target's name", "");
	refused("key = [ \"a\", \"b c\" ];", "x.job:1: key: \"b c\" is not a column's name", "");
	refused("key = [ ];", "x.job:1: key: 0 strings: 1 to 32 are allowed", "");
	refused(UPDATE "key = [ \"a\", \"b\", \"a\" ];", "x.job:1: key: column a stands twice", "");
	refused(INSERT "conflict_key = [ \"a\", \"a\" ];", "x.job:1: conflict_key: column a stands twice", "");
	refused("kind = \"delete\";", "x.job:1: kind: \"delete\" is none of its values",
	        "one of \"update\", \"insert\", \"statement\"");
}

static void assignments_are_checked(void **state) {
	(void)state;
	refused("\nset = { };", "x.job:2: set: at least one column is wanted", "");
	refused("set = ( );", "x.job:1: set: at least one column is wanted", "");
	refused("set = \"a = 1\";", "x.job:1: set: a group is wanted", "set = { column = \"expression\"; };");
	refused("set = {\n a-b = \"1\"; };", "x.job:2: set: \"a-b\" is not a column's name (letters, digits and _, at most 63)", "");
	refused("set = {\n a = 1; };", "x.job:2: set.a: a string is wanted, not a whole number", "put it into double quotes");
	refused("set = { a = \" \"; };", "x.job:1: set.a: must not be empty", "");
	refused("set = ( \"a\" );", "x.job:1: set: a group is wanted in the list", "set = ( { column = \"c\"; expr = \"…\"; } );");
	refused("set = (\n { column = \"a\"; } );", "x.job:2: expr: missing, but required", "expr: its SQL expression");
	refused("set = ( { column = \"a b\"; expr = \"1\"; } );",
	        "x.job:1: column: \"a b\" is not a column's name (letters, digits and _, at most 63)", "");
	refused("set = ( { column = \"a\"; exp = \"1\"; } );", "x.job:1: unknown key exp", "did you mean expr?");
	refused("columns = ( { column = \"a\"; expr = \"1\"; },\n { column = \"a\"; expr = \"2\"; } );",
	        "x.job:2: columns: column a stands twice", "");
	refused("set = { a = \"1\"; a = \"2\"; };", "x.job:1: duplicate setting name", "a key may stand once; remove one of the two");
}

static void fragments_have_a_length(void **state) {
	(void)state;
	autofree char *longest = mem_alloc(JOBFILE_MAX_FRAGMENT_BYTES + 2);
	memset(longest, 'x', JOBFILE_MAX_FRAGMENT_BYTES);
	autofree char *text = mem_printf(UPDATE "where = \"%s\";", longest);
	jobfile_free(parse(text));
	autofree char *over = mem_printf(UPDATE "\nwhere = \"%sx\";", longest);
	refused(over, "x.job:2: where: 16385 bytes are too long: at most 16384 are allowed", "");
	refused(UPDATE "where = \"\\n\";", "x.job:1: where: must not be empty", "");
	refused("statement = \"\";", "x.job:1: statement: must not be empty", "");
}

static void keys_belong_to_kinds(void **state) {
	(void)state;
	refused(UPDATE "\ninto = \"b\";", "x.job:2: into: not a key of kind \"update\"", "into belongs to kind insert");
	refused(UPDATE "on_conflict = \"skip\";", "x.job:1: on_conflict: not a key of kind \"update\"",
	        "on_conflict belongs to kind insert");
	refused(UPDATE "conflict_key = \"a\";", "x.job:1: conflict_key: not a key of kind \"update\"", NULL);
	refused(UPDATE "columns = { a = \"1\"; };", "x.job:1: columns: not a key of kind \"update\"", NULL);
	refused(UPDATE "allow_delete = true;", "x.job:1: allow_delete: not a key of kind \"update\"",
	        "allow_delete belongs to kind statement");
	refused(INSERT "set = { a = \"1\"; };", "x.job:1: set: not a key of kind \"insert\"", "set belongs to kind update");
	refused(INSERT "statement = \"x\";", "x.job:1: statement: not a key of kind \"insert\"", NULL);
	refused(STATEMENT "where = \"x\";", "x.job:1: where: not a key of kind \"statement\"",
	        "where belongs to kind update and insert");
	refused(HEAD "\nkind = \"update\";", "x.job:2: set: missing: kind \"update\" needs it", NULL);
	refused(HEAD "kind = \"insert\";", "x.job:1: into: missing: kind \"insert\" needs it", NULL);
	refused(HEAD "kind = \"insert\"; into = \"b\";", "x.job:1: columns: missing: kind \"insert\" needs it", NULL);
	refused(HEAD "kind = \"statement\"; rollback = { keep_old_values = false; };",
	        "x.job:1: statement: missing: kind \"statement\" needs it", NULL);
	refused("", "x.job:1: id: missing, but required", NULL);
	refused("id = \"20261121_x\";", "x.job:1: target: missing, but required", "target: A target of the daemon's configuration.");
}

static void numbers_have_bounds_and_an_order(void **state) {
	(void)state;
	static const char order[] = "batch.min_rows <= batch.rows <= batch.max_rows";
	refused(UPDATE "batch = { rows = 99; };", "x.job:1: batch.rows: 99 is out of range: 100 to 100000 is allowed", "");
	refused(UPDATE "batch = { max_rows = 100001; };", "x.job:1: batch.max_rows: 100001 is out of range: 100 to 100000 is allowed",
	        "");
	refused(UPDATE "batch = { min_rows = 0; };", "x.job:1: batch.min_rows: 0 is out of range: 1 to 100000 is allowed", "");
	refused(UPDATE "batch = { max_duty = 1.01; };", "x.job:1: batch.max_duty: 1.01 is out of range: 0.01 to 1 is allowed", "");
	refused(UPDATE "batch = { max_rate = -1; };", "x.job:1: batch.max_rate: -1 is out of range: 0 to 1000000000 is allowed", "");
	refused(UPDATE "batch = { max_bytes = \"1kB\"; };", "x.job:1: batch.max_bytes: 1kB is out of range: 64kB to 1GB is allowed",
	        "");
	refused(UPDATE "batch = { time = \"2h\"; };", "x.job:1: batch.time: 2h is out of range: 1ms to 1m is allowed", "");
	refused(UPDATE "guards = { error_rate = 2; };", "x.job:1: guards.error_rate: 2 is out of range: 0.0001 to 1 is allowed", "");
	refused(UPDATE "\nbatch = {\n max_rows = 500; };", "x.job:3: batch.max_rows: 500 is less than batch.rows, 1000", order);
	refused(UPDATE "\nbatch = { rows = 60000; };", "x.job:2: batch.max_rows: 50000 is less than batch.rows, 60000", order);
	refused(UPDATE "batch = { min_rows = 2000; };", "x.job:1: batch.min_rows: 2000 is more than batch.rows, 1000", order);
	refused(UPDATE "batch = { row = 2000; };", "x.job:1: unknown key batch.row", "did you mean batch.rows?");
	refused(UPDATE "rows = 2000;", "x.job:1: unknown key rows", "did you mean batch.rows?");
	refused(UPDATE "throtle = { max_lag = \"1s\"; };", "x.job:1: unknown key throtle", NULL);
	refused(UPDATE "wait_for_writers = false;", "x.job:1: wait_for_writers: not a key of the file", NULL);
}

static void what_is_not_built_is_refused(void **state) {
	(void)state;
	static const struct {
		const char *text, *message;
	} cases[] = {
		{"workers = 2;", "workers: not built yet; leave it out or set it to 1"},
		{"workers = 65;", "workers: 65 is out of range: 1 to 64 is allowed"},
		{"canary = { rows = 1000; };", "canary.rows: not built yet; leave it out or set it to 0"},
		{"canary = { rows = -1; };", "canary.rows: -1 is out of range: 0 to 1000000000 is allowed"},
		{"verify = { mode = \"full\"; };", "verify.mode: not built yet; leave it out or set it to \"none\""},
		{"verify = { on = \"replica\"; };", "verify.on: not built yet; leave it out"},
		{"verify = { checks = ( { name = \"a\"; } ); };", "verify.checks: not built yet; leave it out"},
		{"verify = { checks = 5; };", "verify.checks: a list ( … ) is wanted"},
		{"errors = { quarantine = true; };", "errors.quarantine: not built yet; leave it out or set it to false"},
		{"errors = { max_quarantined = 100; };", "errors.max_quarantined: not built yet; leave it out or set it to 0"},
		{"guards = { on_guard = \"rollback\"; };", "guards.on_guard: not built yet; leave it out or set it to \"pause\""},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		autofree char *text = mem_printf("%s\n%s", UPDATE, cases[i].text), *message = mem_printf("x.job:2: %s", cases[i].message);
		refused(text, message, NULL);
	}
	jobfile_free(
		parse(UPDATE "rollback = { keep_old_values = false; }; canary = { rows = 0; }; verify = { mode = \"none\"; checks = (); "
	                 "}; follow = false; sweep = false; errors = { quarantine = false; max_quarantined = 0; }; workers = 1; "
	                 "windows = [ ]; timezone = \"\"; throttle = { latency = { source = \"none\"; }; max_p95_increase = 0.0; "
	                 "sql = []; http = (); }; guards = { disk_used = 0; };"));
}

static void windows_are_read(void **state) {
	(void)state;
	struct jobfile *job = parse(UPDATE "windows = [ \"Mon-Fri 22:00-06:00\", \"Sat,Sun\" ];\ntimezone = \"Europe/Berlin\";");
	assert_int_equal(job->settings.nwindows, 2);
	assert_string_equal(job->settings.windows[0], "Mon-Fri 22:00-06:00");
	assert_string_equal(job->settings.windows[1], "Sat,Sun");
	assert_string_equal(job->settings.timezone, "Europe/Berlin");
	assert_int_equal(job->timezone_line, 2);
	jobfile_free(job);
	job = parse(UPDATE "windows = \"Sat,Sun\";");
	assert_true(job->settings.nwindows == 1 && job->settings.timezone[0] == '\0' && job->timezone_line == 1);
	jobfile_free(job);
	job = parse(UPDATE "windows = [ ];");
	assert_int_equal(job->settings.nwindows, 0);
	jobfile_free(job);
	refused(UPDATE "\nwindows = [ \"Sat\", \"weekends\" ];",
	        "x.job:2: windows: \"weekends\" is not days, times or both, as \"Mon-Fri 22:00-06:00\" or \"Sat,Sun\"",
	        "days are Mon, Tue, Wed, Thu, Fri, Sat and Sun, a time is HH:MM, up to 24:00");
	refused(UPDATE "\nwindows = \"Mon 06:00-06:00\";", "x.job:2: windows: \"Mon 06:00-06:00\" ends when it begins",
	        "a whole day is \"Mon\" or \"Mon 00:00-24:00\"");
	refused(UPDATE "windows = [ \"\" ];",
	        "x.job:1: windows: \"\" is not days, times or both, as \"Mon-Fri 22:00-06:00\" or \"Sat,Sun\"", NULL);
	refused(UPDATE "windows = [ 5 ];", "x.job:1: windows: a list of strings is wanted, not one with something else in it",
	        "in a file [ \"a\", \"b\" ], for `set` [\"a\",\"b\"]");
	/* What GLib would take for a rule, a path or an offset. */
	static const char *const none[] = {"CET-1CEST", "GMT+5", "EST5EDT", "/etc/passwd", "../x", "Europe/../x", "+02:00", "a b"};
	for (size_t i = 0; i < sizeof none / sizeof none[0]; i++) {
		autofree char *text = mem_printf(UPDATE "timezone = \"%s\";", none[i]);
		autofree char *message = mem_printf("x.job:1: timezone: \"%s\" is not a time zone's name, as Europe/Berlin", none[i]);
		refused(text, message, NULL);
	}
}

/* That of a job that was stored before there was a key must be the same for ever. */
static void a_sum_is_for_ever(void **state) {
	(void)state;
	struct jobfile *job = parse(UPDATE);
	assert_string_equal(job->sha256, "8e8ec9593a69e9697ae2f51a393eb084f245d9ea4f727038eb89c9673a38c4a8");
	jobfile_free(job);
}

static void same(const char *a, const char *b, bool wanted) {
	struct jobfile *x = parse(a), *y = parse(b);
	assert_int_equal(strlen(x->sha256), 64);
	assert_int_equal(strspn(x->sha256, "0123456789abcdef"), 64);
	assert_int_equal(strcmp(x->sha256, y->sha256) == 0, wanted);
	jobfile_free(x);
	jobfile_free(y);
}

static void identity_is_the_parsed_content(void **state) {
	(void)state;
	same(UPDATE, "# why\n" HEAD "set : {\n  c = \"\" \"1\"; };\nkind = \"update\" // end", true);
	same(UPDATE, UPDATE "batch = { rows = 1000; time = \"250ms\"; }; follow = false; durability = \"job\";", true);
	same(UPDATE "batch = { time = \"1000ms\"; max_duty = 0.50; };", UPDATE "batch = { time = \"1s\"; };", true);
	same(HEAD "kind = \"update\"; set = { a = \"1\"; b = \"2\"; };",
	     HEAD "kind = \"update\"; set = ( { column = \"b\"; expr = \"2\"; }, { column = \"a\"; expr = \"1\"; } );", true);
	same(UPDATE, UPDATE "batch = { rows = 1001; };", false);
	same(UPDATE, UPDATE "where = \"true\";", false);
	same(UPDATE "where = \"a\";", UPDATE "where = \"a \";", false);
	same(UPDATE, UPDATE "key = \"a\";", false);
	same(UPDATE "key = [ \"a\", \"b\" ];", UPDATE "key = [ \"b\", \"a\" ];", false);
	same(UPDATE, UPDATE "durability = \"batch\";", false);
	same(UPDATE, UPDATE "follow = true;", false);
	same(UPDATE, UPDATE "sweep = true;", false);
	same(UPDATE, UPDATE "allow_triggers = true;", false);
	same(UPDATE, UPDATE "windows = []; timezone = \"\";", true);
	same(UPDATE "windows = \"Sat\";", UPDATE "windows = [ \"Sat\" ];", true);
	same(UPDATE, UPDATE "windows = \"Sat\";", false);
	same(UPDATE, UPDATE "timezone = \"UTC\";", false);
	same(UPDATE "windows = [ \"Mon\", \"Tue 22:00-06:00\" ];", UPDATE "windows = [ \"Mon,Tue 22:00-06:00\" ];", false);
	same(UPDATE, UPDATE "throttle = { max_lag = \"2s\"; };", false);        /* unsaid it is the target's */
	same(UPDATE, UPDATE "throttle = { max_active = 0; sql = (); };", true); /* as before there were such keys */
	same(UPDATE, UPDATE "throttle = { max_active = 1; };", false);
	same(UPDATE "throttle = { sql = ( { name = \"a\"; sql = \"SELECT 1\"; limit = 1; } ); };",
	     UPDATE "throttle = { sql = ( { limit = 1.0; sql = \"SELECT 1\"; name = \"a\"; ok = 0.5; every = \"5000ms\"; } ); };",
	     true);
	same(UPDATE "throttle = { sql = ( { name = \"a\"; sql = \"SELECT 1\"; limit = 1; } ); };",
	     UPDATE "throttle = { sql = ( { name = \"a\"; sql = \"SELECT 1\"; limit = 2; } ); };", false);
	same(INSERT, INSERT "on_conflict = \"skip\";", false);
	same("id = \"20261121_x\"; target = \"t\"; table = \"a\"; kind = \"update\"; set = { c = \"1\"; };", UPDATE, false);
	same(HEAD "kind = \"update\"; set = { a = \"1\"; b = \"2\"; };", HEAD "kind = \"update\"; set = { a = \"2\"; b = \"1\"; };",
	     false);
}

static void set_keeps_the_checks(void **state) {
	(void)state;
	struct jobfile *job = parse(UPDATE);
	struct error err;
	autofree char *sum = mem_dup(job->sha256);
	assert_true(jobfile_set(job, "batch.rows", "5000", &err));
	assert_int_equal(job->settings.batch.rows, 5000);
	assert_false(jobfile_set(job, "batch.max_rows", "4000", &err));
	assert_string_equal(err.message, "batch.max_rows: 4000 is less than batch.rows, 5000");
	assert_string_equal(err.hint, "batch.min_rows <= batch.rows <= batch.max_rows");
	assert_int_equal(err.code, ERROR_USAGE);
	assert_int_equal(job->settings.batch.max_rows, 50000);
	assert_false(jobfile_set(job, "batch.rows", "5", &err));
	assert_int_equal(job->settings.batch.rows, 5000);
	assert_true(jobfile_set(job, "throttle.max_lag", "500ms", &err));
	assert_true(job->settings.throttle.max_lag_ms == 500 && job->settings.throttle.max_lag_said);
	assert_true(jobfile_set(job, "throttle.replicas", "r1,!r2", &err));
	assert_int_equal(job->settings.throttle.nreplicas, 2);
	assert_true(jobfile_set(job, "wait_for_writers", "false", &err));
	assert_false(job->settings.wait_for_writers);
	assert_false(jobfile_set(job, "workers", "2", &err));
	assert_string_equal(err.message, "workers: not built yet; leave it out or set it to 1");
	assert_false(jobfile_set(job, "where", "true", &err));
	assert_string_equal(err.message, "where: can't be changed once the job is submitted");
	assert_false(jobfile_set(job, "set", "x", &err));
	assert_false(jobfile_set(job, "batch.row", "5000", &err));
	assert_string_equal(err.hint, "did you mean batch.rows?");
	assert_string_equal(job->sha256, sum); /* identity is the file's */
	jobfile_free(job);
}

static void sets_windows(const char *value, size_t count, const char *last) {
	struct jobfile *job = parse(UPDATE "windows = \"Wed\";");
	struct error err;
	if (!jobfile_set(job, "windows", value, &err))
		fail_msg("%s", err.message);
	assert_int_equal(job->settings.nwindows, count);
	if (count > 0)
		assert_string_equal(job->settings.windows[count - 1], last);
	jobfile_free(job);
}

static void fails_to_set_windows(const char *value, const char *message) {
	struct jobfile *job = parse(UPDATE "windows = \"Wed\"; timezone = \"UTC\";");
	struct error err;
	const struct jobfile_setting settings[] = {{"timezone", "Europe/Berlin"}, {"windows", value}};
	assert_false(jobfile_set_many(job, settings, 2, &err));
	assert_string_equal(err.message, message);
	assert_int_equal(err.code, ERROR_USAGE);
	assert_string_equal(job->settings.windows[0], "Wed");
	assert_string_equal(job->settings.timezone, "UTC");
	jobfile_free(job);
}

/* Commas stand inside of windows and between them. */
static void windows_are_live(void **state) {
	(void)state;
	sets_windows("[\"Sat,Sun\"]", 1, "Sat,Sun");
	sets_windows("[ \"Mon-Fri 22:00-06:00\", \"Sat,Sun\" ]", 2, "Sat,Sun");
	sets_windows("\"Mon\",\"Mon,Wed 22:00-06:00\"", 2, "Mon,Wed 22:00-06:00");
	sets_windows("Mon,Wed 22:00-06:00", 1, "Mon,Wed 22:00-06:00");
	sets_windows(" [Sat,Sun] ", 1, "Sat,Sun");
	sets_windows("[]", 0, NULL);
	sets_windows("", 0, NULL);
	fails_to_set_windows("22:00-06:00,Sat",
	                     "windows: \"22:00-06:00,Sat\" is not days, times or both, as \"Mon-Fri 22:00-06:00\" or "
	                     "\"Sat,Sun\"");
	fails_to_set_windows("[\"Sat\",\"Sun 10:00-10:00\"]", "windows: \"Sun 10:00-10:00\" ends when it begins");
	fails_to_set_windows("[\"Sat", "windows: a list of strings is wanted, not this text");
	fails_to_set_windows("\"Sat\" 10:00-12:00", "windows: a list of strings is wanted, not this text");
	fails_to_set_windows("\"Sat\" \"Sun\"", "windows: a list of strings is wanted, not this text");
	fails_to_set_windows("[\"\"]", "windows: \"\" is not days, times or both, as \"Mon-Fri 22:00-06:00\" or \"Sat,Sun\"");
}

static void several_settings_change_together(void **state) {
	(void)state;
	struct jobfile *job = parse(UPDATE "throttle = { replicas = \"a\"; };");
	struct error err;
	/* In this order each alone would be refused. */
	const struct jobfile_setting smaller[] = {{"batch.max_rows", "200"}, {"batch.rows", "200"}};
	assert_true(jobfile_set_many(job, smaller, 2, &err));
	assert_true(job->settings.batch.max_rows == 200 && job->settings.batch.rows == 200);
	const struct jobfile_setting half[] = {{"throttle.replicas", "x,y"}, {"batch.delay", "1s"}, {"batch.rows", "300"}};
	assert_false(jobfile_set_many(job, half, 3, &err));
	assert_string_equal(err.message, "batch.max_rows: 200 is less than batch.rows, 300");
	assert_true(job->settings.batch.rows == 200 && job->settings.batch.delay_ms == 0);
	assert_int_equal(job->settings.throttle.nreplicas, 1);
	assert_string_equal(job->settings.throttle.replicas[0], "a");
	assert_true(jobfile_set_many(job, NULL, 0, &err));
	jobfile_free(job);
}

static void the_examples_parse(void **state) {
	(void)state;
	static const struct {
		const char *path;
		enum job_kind kind;
	} examples[] = {
		{"conf/jobs/update.job", JOB_UPDATE}, {"conf/jobs/insert.job", JOB_INSERT}, {"conf/jobs/statement.job", JOB_STATEMENT}};
	for (size_t i = 0; i < sizeof examples / sizeof examples[0]; i++) {
		FILE *file = fopen(examples[i].path, "r");
		if (file == NULL)
			fail_msg("%s: run this from the top of the tree", examples[i].path);
		char text[8192];
		size_t length = fread(text, 1, sizeof text - 1, file);
		text[length] = '\0';
		fclose(file);
		struct jobfile *job = parse(text);
		assert_int_equal(job->kind, examples[i].kind);
		jobfile_free(job);
	}
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_update_is_read),
		cmocka_unit_test(defaults_are_the_contract_s),
		cmocka_unit_test(every_default_of_the_table_is_valid),
		cmocka_unit_test(an_insert_is_read),
		cmocka_unit_test(a_statement_is_read),
		cmocka_unit_test(names_are_checked),
		cmocka_unit_test(assignments_are_checked),
		cmocka_unit_test(fragments_have_a_length),
		cmocka_unit_test(keys_belong_to_kinds),
		cmocka_unit_test(numbers_have_bounds_and_an_order),
		cmocka_unit_test(what_is_not_built_is_refused),
		cmocka_unit_test(windows_are_read),
		cmocka_unit_test(a_sum_is_for_ever),
		cmocka_unit_test(identity_is_the_parsed_content),
		cmocka_unit_test(set_keeps_the_checks),
		cmocka_unit_test(windows_are_live),
		cmocka_unit_test(several_settings_change_together),
		cmocka_unit_test(the_examples_parse),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
