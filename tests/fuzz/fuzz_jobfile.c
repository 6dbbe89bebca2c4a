/* fuzz_jobfile.c: a job file as `submit` gets it, its fragments, and the SQL that would be sent. */
#include "common/jobfile.h"
#include "common/mem.h"
#include "common/sqlcheck.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>

static void require_sane(const struct jobfile *job) {
	const struct job_settings *s = &job->settings;
	require(strlen(job->sha256) == 64);
	require(s->batch.min_rows >= 1 && s->batch.min_rows <= s->batch.rows && s->batch.rows <= s->batch.max_rows);
	require(s->batch.max_rows <= 100000 && s->batch.time_ms > 0 && s->batch.delay_ms >= 0);
	require(s->batch.max_duty > 0 && s->batch.max_duty <= 1 && s->batch.max_rate >= 0);
	require((job->kind == JOB_UPDATE) == (job->nset > 0));
	require((job->kind == JOB_INSERT) == (job->ncolumns > 0) && (job->kind == JOB_INSERT) == (job->into_table != NULL));
	require((job->kind == JOB_STATEMENT) == (job->statement != NULL));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
	autofree char *text = fuzz_text(data, size);
	struct jobfile *job = NULL, *again = NULL;
	struct error err = {0};
	if (!jobfile_parse(text, "x.job", &job, &err)) {
		require(job == NULL);
		fuzz_require_error(&err, ERROR_DATA);
		require(strncmp(err.message, "x.job:", 6) == 0);
		return 0;
	}
	require_sane(job);
	/* Comments and spacing don't count. */
	autofree char *spaced = mem_printf("# x\n\n%s\n// y\n", text);
	if (jobfile_parse(spaced, "y.job", &again, &err))
		require(strcmp(job->sha256, again->sha256) == 0);
	else
		require(strstr(err.message, "256 KiB") != NULL);
	if (sqlcheck_job(&sqlcheck_postgres, job, &err))
		fuzz_require_work(job);
	else
		fuzz_require_error(&err, ERROR_DATA);
	jobfile_free(again);
	jobfile_free(job);
	return 0;
}
