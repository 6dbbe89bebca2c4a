/*
 * jobfile.h: one job file, parsed and range-checked. The keys, their types, bounds, defaults and
 * documentation are one table (jobfile.c), which `set JOB KEY=VALUE`, the man page and the hints use too.
 * Pure: no file but the text it is given, no database, no clock.
 */
#ifndef BACKFILLD_JOBFILE_H
#define BACKFILLD_JOBFILE_H

#include "common/error.h"
#include "common/limits.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum job_kind { JOB_UPDATE, JOB_INSERT, JOB_STATEMENT };
enum on_conflict { CONFLICT_ERROR, CONFLICT_SKIP, CONFLICT_UPDATE };
enum durability { DURABILITY_JOB, DURABILITY_BATCH };
enum row_image { ROW_IMAGE_SERVER, ROW_IMAGE_FULL, ROW_IMAGE_MINIMAL };

/* column = expression */
struct assignment {
	char *column;
	char *expr;
};

/* What `set` may change while the job runs. */
struct job_settings {
	int64_t workers;
	struct {
		int64_t rows, max_rows, min_rows;
		int64_t max_bytes;
		int64_t time_ms;
		bool adaptive;
		int64_t delay_ms;
		double max_rate; /* rows per second; 0 = none */
		double max_duty; /* 0 < x <= 1 */
	} batch;
	struct throttle_settings throttle;
	struct guard_settings guards;
	bool follow;
	bool wait_for_writers; /* default true; not a job file key, only `set` changes it */
	char **windows;        /* of common/windows.h; none: always */
	size_t nwindows;
	char *timezone; /* theirs: a name of tzdata's, of which only the daemon knows whether there is one; "": that of its host */
};

struct jobfile {
	char *id;
	char *target;
	char *schema; /* NULL when the file names the table alone */
	char *table;
	enum job_kind kind;

	struct assignment *set; /* kind update */
	size_t nset;
	char *where; /* NULL = all rows */

	char *into_schema; /* kind insert */
	char *into_table;
	struct assignment *columns;
	size_t ncolumns;
	enum on_conflict on_conflict;
	char **conflict_key; /* empty = the target's primary key */
	size_t nconflict_key;

	char *statement; /* kind statement; holds {range} or {range alias} exactly once */

	char **key; /* empty = primary key */
	size_t nkey;

	enum durability durability;
	enum row_image binlog_row_image;
	bool sweep;
	bool keep_old_values;
	bool old_values_null; /* not said, found out: `where` fixes every column of `set` at NULL */
	bool allow_triggers, allow_cascades, allow_no_index, allow_delete;
	struct job_settings settings;

	unsigned timezone_line; /* where the file says it, else 1 */

	char sha256[65]; /* of the parsed content: comments and spacing don't count */
};

/*
 * Parses `text` (NUL-terminated; `name` is the file's name for messages). On success *job is a new jobfile, freed by
 * the caller with jobfile_free. On failure err->message is "NAME:LINE: what", code ERROR_DATA.
 */
bool jobfile_parse(const char *text, const char *name, struct jobfile **job, struct error *err);
void jobfile_free(struct jobfile *job);

/*
 * Changes one live setting, e.g. ("batch.rows", "5000"), after the same checks as in a file; also those between keys
 * (min_rows <= rows <= max_rows). Nothing changes on failure. Unknown and not-live keys are errors that say so.
 */
bool jobfile_set(struct jobfile *job, const char *key, const char *value, struct error *err);

/* Several at once: all or none, and the checks between keys judge the result, so that their order does not matter. */
struct jobfile_setting {
	const char *key, *value;
};
bool jobfile_set_many(struct jobfile *job, const struct jobfile_setting *settings, size_t count, struct error *err);

/* Takes from the target what the job does not say itself: without it a silent job has the built-in defaults. */
void jobfile_inherit_limits(struct jobfile *job, const struct throttle_settings *target_throttle,
                            const struct guard_settings *target_guards);

/* Refuses a job that is looser than its target allows (throttle.*, guards.*). code ERROR_DATA. */
bool jobfile_check_limits(const struct jobfile *job, const struct throttle_settings *target_throttle,
                          const struct guard_settings *target_guards, struct error *err);

const char *job_kind_name(enum job_kind kind); /* "update", "insert", "statement" */

#endif
