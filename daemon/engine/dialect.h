/*
 * dialect.h: every SQL text that the daemon sends, per kind of server. Fixed statements are the files in sql/<engine>/,
 * embedded at build; the batch's own are put together here from the job file and the table's shape. Identifiers are
 * quoted, values are parameters. Nothing above this line writes SQL.
 */
#ifndef BACKFILLD_DIALECT_H
#define BACKFILLD_DIALECT_H

#include "common/error.h"
#include "common/jobfile.h"
#include "daemon/engine/explain.h"
#include "daemon/engine/replication.h"
#include "daemon/engine/rules.h"
#include "daemon/engine/shape.h"

#include <stdint.h>

struct dialect;
struct sqlcheck_grammar;

/* A file sql/<engine>/NAME.sql, by its name without the ending. Never NULL: a missing one is a defect. */
const char *dialect_sql(const struct dialect *dialect, const char *name);

struct dialect_session {
	int64_t statement_timeout_ms;
	int64_t lock_timeout_ms;
	bool wait_for_disk; /* durability = "batch" */
	enum row_image row_image;
};

struct dialect {
	const char *name;   /* also the folder's in sql/ */
	int schema_version; /* of the control tables that this daemon works with */
	bool looks_first;   /* what an insert skips or updates it looks for before: a duplicate came in between */
	bool fence_fails;   /* `checkpoint` is refused by the server where its fence does not hold; else it affects no row */

	const struct sqlcheck_grammar *grammar; /* by which a job's fragments are checked */

	/* The script that makes or upgrades the control tables and lets `worker` use them. Caller frees. */
	char *(*control_tables)(const char *worker);

	/* Pins the session settings of a transaction that works on the table: behind the texts `begin` or `begin_read`, and before
	 * `constraints_immediate`. No parameters. Caller frees. */
	char *(*settings)(const struct table_shape *shape, const struct dialect_session *session);

	/* The leaf's last key, behind another one if has_after: one row, nkey columns, or no row. Parameters: after (nkey values). */
	char *(*last_key)(const struct table_shape *shape, const struct shape_leaf *leaf, bool has_after);
	/*
	 * The last key of the next window of N rows in (after, through], and the key behind it: two rows, one when exactly N
	 * rows are left, none when fewer are. Parameters: after (nkey values, only if has_after), through (nkey), N - 1.
	 */
	char *(*boundary)(const struct table_shape *shape, const struct shape_leaf *leaf, bool has_after);
	/* How many rows (after, through] has, counted up to N. Parameters as for boundary, but N. */
	char *(*count)(const struct table_shape *shape, const struct shape_leaf *leaf, bool has_after);
	/* The DML over (after, through]. Parameters: after (only if has_after), through. */
	char *(*work)(const struct jobfile *job, const struct table_shape *shape, const struct shape_leaf *leaf, bool has_after);
	/*
	 * For rollback.keep_old_values: the rows about to be changed, locked, with their old values, into backfill.kept; affects
	 * no row when there are none. NULL when nothing has to be read before, as work_kept gets to know the old values or the
	 * job fixes them. Parameters: as for work, then job, segment
	 * number, batch id. Caller frees.
	 */
	char *(*capture)(const struct jobfile *job, const struct table_shape *shape, const struct shape_leaf *leaf, bool has_after);
	/*
	 * The DML, and what it wrote into backfill.kept. One row: rows changed, rows that met one already there, "true" when
	 * the rows that were there before are exactly the captured ones. Parameters as for capture.
	 */
	char *(*work_kept)(const struct jobfile *job, const struct table_shape *shape, const struct shape_leaf *leaf, bool has_after);
	/*
	 * The checkpoint and the fence: affects one row, and says the place of the segment's row if that has one. Where the segment's
	 * row is not as expected, or the leaf not the relation, or its key not of the types and collations, that the claim found, it
	 * affects none; or fails with SQLSTATE 22012 (fence_fails). Parameters: as in checkpoint.sql, of the leaf its oid, schema and
	 * name, and the mark of its key, as in shape_check.sql. Behind the work, which has locked the relation. The same text for all
	 * leaves. Caller frees.
	 */
	char *(*checkpoint)(const struct table_shape *shape);

	/* Asks for the plan of one of the texts above: one row with what judge_plan reads. Parameters: the text's. Caller frees. */
	char *(*explain)(const char *sql);
	explain_judge_fn *judge_plan;
	/* A statement that the server refuses where a fragment of the job looks at more than its row, if the plan of the work doesn't
	 * show that. No parameters. NULL, or answers NULL: it does. Caller frees. */
	char *(*row_check)(const struct jobfile *job, const struct shape_leaf *leaf);
	/* Whether a plan that reads beyond its range may be the planner's choice: it is asked again behind
	 * explain_without_seqscan.sql, which leaves it none. */
	bool plans_again;
	const struct rules *rules; /* what preflight demands of this kind of server */
	const struct replication *replication;
	/* The privileges by which histogram_….sql read what the server counts of its statements' latencies, and leave ours out; NULL:
	 * this kind of server counts none. */
	const char *histogram_needs;
};

extern const struct dialect dialect_postgres, dialect_mysql;

#endif
