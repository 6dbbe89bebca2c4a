/* fuzz_settings.c: `set JOB KEY=VALUE…`, a pair a line: all or none, and never beyond what a file may say. */
#include "common/jobfile.h"
#include "common/jobfile_keys.h"
#include "common/mem.h"
#include "common/strbuf.h"
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_PAIRS = 16 };

static const char base[] = "id = \"20261121_x\"; target = \"t\"; table = \"a\"; kind = \"update\"; set = { c = \"1\"; };"
						   "throttle = { replicas = [ \"r1\", \"!r2\" ]; };";

static char *canonical(const struct jobfile *job) {
	autostrbuf text = {0};
	keytable_canonical(jobfile_keys, job, &text);
	strbuf_printf(&text, "wait_for_writers=%d\n", job->settings.wait_for_writers);
	return strbuf_take(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
	autofree char *text = fuzz_text(data, size);
	char *lines[MAX_PAIRS];
	size_t n = fuzz_split(text, '\n', lines, MAX_PAIRS);
	struct jobfile_setting settings[MAX_PAIRS];
	for (size_t i = 0; i < n; i++) {
		char *pair[2] = {NULL, (char *)""};
		fuzz_split(lines[i], '=', pair, 2);
		settings[i] = (struct jobfile_setting){.key = pair[0], .value = pair[1]};
	}
	struct jobfile *job = NULL;
	struct error err = {0};
	require(jobfile_parse(base, "x.job", &job, &err));
	autofree char *before = canonical(job);
	if (jobfile_set_many(job, settings, n, &err)) {
		const struct job_settings *s = &job->settings;
		require(s->batch.min_rows >= 1 && s->batch.min_rows <= s->batch.rows && s->batch.rows <= s->batch.max_rows);
		require(s->batch.max_duty > 0 && s->batch.max_duty <= 1);
		/* Twice is once. */
		autofree char *once = canonical(job);
		require(jobfile_set_many(job, settings, n, &err));
		autofree char *twice = canonical(job);
		require(strcmp(once, twice) == 0);
	} else {
		fuzz_require_error(&err, ERROR_USAGE);
		autofree char *after = canonical(job);
		require(strcmp(before, after) == 0);
	}
	jobfile_free(job);
	return 0;
}
