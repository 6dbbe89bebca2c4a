/* dialect_texts.c: prints what the MySQL dialect writes for a job and a table's shape, as one JSON object. JOB-FILE SHAPE-FILE
 * LEAF */
#include "common/jobfile.h"
#include "common/mem.h"
#include "common/sqlcheck.h"
#include "daemon/engine/dialect.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

static json_t *text(char *sql) {
	json_t *value = sql != NULL ? json_string(sql) : json_null();
	free(sql);
	return value;
}

static char *read_file(const char *path) {
	FILE *file = fopen(path, "r");
	char *content = NULL;
	size_t size = 0;
	ssize_t length = file != NULL ? getdelim(&content, &size, '\0', file) : -1;
	if (length < 0)
		exit(2);
	fclose(file);
	return content;
}

static json_t *texts(const struct jobfile *job, const struct table_shape *shape, const struct shape_leaf *leaf, bool has_after) {
	const struct dialect *d = &dialect_mysql;
	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o}", "last_key", text(d->last_key(shape, leaf, has_after)), "boundary",
	                 text(d->boundary(shape, leaf, has_after)), "count", text(d->count(shape, leaf, has_after)), "work",
	                 text(d->work(job, shape, leaf, has_after)), "capture", text(d->capture(job, shape, leaf, has_after)),
	                 "work_kept", text(d->work_kept(job, shape, leaf, has_after)));
}

int main(int argc, char **argv) {
	if (argc != 4)
		return 64;
	autofree char *job_text = read_file(argv[1]), *shape_text = read_file(argv[2]);
	struct jobfile *job;
	struct table_shape *shape;
	struct error err;
	json_t *shape_json = json_loads(shape_text, 0, NULL);
	if (!jobfile_parse(job_text, argv[1], &job, &err) || !shape_from_json(shape_json, &shape, &err)) {
		fprintf(stderr, "%s\n", err.message);
		return 65;
	}
	json_decref(shape_json);
	job->old_values_null = sqlcheck_old_values_null(dialect_mysql.grammar, job);
	const struct shape_leaf *leaf = &shape->leaves[atoi(argv[3])];
	struct dialect_session session = {.statement_timeout_ms = 2500, .lock_timeout_ms = 900};
	json_t *checkpoint = text(dialect_mysql.checkpoint(shape));
	shape->time_is_enough = true;
	json_t *all = json_pack("{s:o, s:o, s:o, s:o, s:o}", "first", texts(job, shape, leaf, false), "next",
	                        texts(job, shape, leaf, true), "settings", text(dialect_mysql.settings(shape, &session)),
	                        "checkpoint", checkpoint, "checkpoint_by_time", text(dialect_mysql.checkpoint(shape)));
	json_dumpf(all, stdout, 0);
	json_decref(all);
	jobfile_free(job);
	shape_free(shape);
	return 0;
}
