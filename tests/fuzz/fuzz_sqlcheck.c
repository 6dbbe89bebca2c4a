/* fuzz_sqlcheck.c: the input as each kind of fragment; what passes stays in its place in the SQL that is sent. */
#include "common/mem.h"
#include "common/sqlcheck.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>

static void try_job(const struct jobfile *job) {
	struct error err = {0};
	if (sqlcheck_job(&sqlcheck_postgres, job, &err))
		fuzz_require_work(job);
	else
		fuzz_require_error(&err, ERROR_DATA);
}

static void try_range(const char *text) {
	struct sqlcheck_range range = {0};
	struct error err = {0};
	if (!sqlcheck_find_range(text, &range, &err)) {
		fuzz_require_error(&err, ERROR_DATA);
		return;
	}
	require(range.offset + range.length <= strlen(text));
	require(text[range.offset] == '{' && text[range.offset + range.length - 1] == '}');
	require(memchr(range.alias, '\0', sizeof range.alias) != NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
	autofree char *text = fuzz_text(data, size);
	/* Neighbours on both sides: a fragment that leaves its place meets them. */
	struct assignment three[] = {{(char *)"a", (char *)"1"}, {(char *)"b", text}, {(char *)"c", (char *)"b > 1"}};
	struct jobfile job = {.table = (char *)"t", .schema = (char *)"public"};

	job.kind = JOB_UPDATE;
	job.set = three;
	job.nset = 3;
	try_job(&job);
	three[1].expr = (char *)"2";
	job.where = text;
	try_job(&job);

	job.kind = JOB_INSERT;
	job.set = NULL;
	job.nset = 0;
	job.into_table = (char *)"u";
	job.columns = three;
	job.ncolumns = 3;
	job.on_conflict = CONFLICT_SKIP;
	try_job(&job);

	struct jobfile other = {.table = (char *)"t", .kind = JOB_STATEMENT, .statement = text};
	try_job(&other);
	other.schema = (char *)"public";
	other.allow_delete = true;
	try_job(&other);
	try_range(text);
	return 0;
}
