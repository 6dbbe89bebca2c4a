#include "daemon/engine/dialect_mysql.h"

#include "common/mem.h"
#include "common/sqlcheck.h"
#include "daemon/engine/dialect_mysql_plan.h"
#include "daemon/engine/explain.h"
#include "daemon/engine/rules.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { SCHEMA_VERSION = 3, IDLE_IN_TRANSACTION_S = 2 };

/* 'user'@'host', as CURRENT_USER() tells it: the host is behind the last @. */
static void add_account(struct strbuf *b, const char *account) {
	const char *at = strrchr(account, '@');
	autofree char *user = at != NULL ? mem_printf("%.*s", (int)(at - account), account) : mem_dup(account);
	mysql_add_literal(b, user);
	strbuf_add(b, "@");
	mysql_add_literal(b, at != NULL ? at + 1 : "%");
}

/* Behind TO it is the placeholder; a comment names it, too. */
static char *control_tables(const char *worker) {
	autostrbuf b = {0};
	static const char placeholder[] = "TO :\"worker\"";
	const char *text = dialect_sql(&dialect_mysql, "control_tables");
	for (const char *at; (at = strstr(text, placeholder)) != NULL; text = at + sizeof placeholder - 1) {
		strbuf_add_n(&b, text, (size_t)(at - text) + strlen("TO "));
		add_account(&b, worker);
	}
	strbuf_add(&b, text);
	return strbuf_take(&b);
}

/* Everything on which the meaning of a fragment or the text of a key depends is pinned, in every transaction, and whatever a
 * server's own defaults could do to the work: refuse it, cut it off, or let it pass unchecked. MariaDB can make the assignments
 * of an UPDATE all mean the row as it was, https://mariadb.com/kb/en/sql-mode/, and its snapshot isolation, which is ON
 * since 11.6, makes an UPDATE wait for rows that are not committed yet, as behind a batch's end. */
const char mysql_pinned[] =
	"sql_mode = CONCAT('STRICT_ALL_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ZERO_DATE,NO_ZERO_IN_DATE,"
	"NO_ENGINE_SUBSTITUTION', /*M!100600 ',SIMULTANEOUS_ASSIGNMENT', */ ''), time_zone = '+00:00', lc_time_names = 'en_US', "
	"character_set_client = utf8mb4, character_set_results = utf8mb4, collation_connection = utf8mb4_general_ci, "
	"div_precision_increment = 4, default_week_format = 0, sql_auto_is_null = 0, sql_safe_updates = 0, sql_select_limit = "
	"18446744073709551615, "
	"sql_big_selects = 1, foreign_key_checks = 1, unique_checks = 1, group_concat_max_len = 1073741824"
	" /*M!110402 , innodb_snapshot_isolation = OFF */";

/* In whole seconds: less than one there is not. */
static int64_t whole_seconds(int64_t ms) {
	return ms <= 1000 ? 1 : (ms + 999) / 1000;
}

/* A stalled daemon must not keep the site's rows locked. MySQL knows no time-out for what is idle in a transaction, only one for
 * what is idle, which commit.sql and rollback.sql put back; and none for a statement that writes. `wait_for_disk`: the server's
 * setting rules. */
static char *settings(const struct table_shape *shape, const struct dialect_session *session) {
	autostrbuf b = {0};
	int64_t statement_ms = session->statement_timeout_ms, lock_s = whole_seconds(session->lock_timeout_ms);
	strbuf_printf(&b, "SET SESSION %s", shape->session != NULL ? shape->session : mysql_pinned);
	strbuf_printf(&b, ", innodb_lock_wait_timeout = %" PRId64 ", lock_wait_timeout = %" PRId64, lock_s, lock_s);
	strbuf_printf(
		&b,
		" /*M!100600 , max_statement_time = %" PRId64 ".%03" PRId64
		", idle_transaction_timeout = %d, idle_readonly_transaction_timeout = %d, idle_write_transaction_timeout = %d */",
		statement_ms / 1000, statement_ms % 1000, IDLE_IN_TRANSACTION_S, IDLE_IN_TRANSACTION_S, IDLE_IN_TRANSACTION_S);
	if (session->row_image != ROW_IMAGE_SERVER)
		strbuf_printf(&b, ", binlog_row_image = %s", session->row_image == ROW_IMAGE_MINIMAL ? "MINIMAL" : "FULL");
	strbuf_printf(&b, " /*!80000 , max_execution_time = %" PRId64 ", wait_timeout = %d */", statement_ms, IDLE_IN_TRANSACTION_S);
	return strbuf_take(&b);
}

static void add_key_texts(struct strbuf *b, const struct table_shape *shape, const struct shape_leaf *leaf) {
	for (size_t i = 0; i < shape->nkey; i++) {
		autostrbuf column = {0};
		mysql_add_column(&column, leaf->name, shape->key[i].name);
		strbuf_add(b, i > 0 ? ", " : "");
		mysql_add_text(b, &shape->key[i], column.data, true);
	}
}

static char *last_key(const struct table_shape *shape, const struct shape_leaf *leaf, bool has_after) {
	autostrbuf b = {0};
	strbuf_add(&b, "SELECT ");
	add_key_texts(&b, shape, leaf);
	strbuf_add(&b, " FROM ");
	mysql_add_leaf(&b, shape, leaf);
	if (has_after) {
		size_t parameter = 1;
		strbuf_add(&b, " WHERE ");
		mysql_add_comparison(&b, shape, leaf, ">", &parameter);
	}
	strbuf_add(&b, " ORDER BY ");
	mysql_add_key_list(&b, shape, leaf, " DESC");
	strbuf_add(&b, " LIMIT 1");
	return strbuf_take(&b);
}

static char *boundary(const struct table_shape *shape, const struct shape_leaf *leaf, bool has_after) {
	autostrbuf b = {0};
	strbuf_add(&b, "SELECT ");
	add_key_texts(&b, shape, leaf);
	strbuf_add(&b, " FROM ");
	mysql_add_leaf(&b, shape, leaf);
	size_t parameter = mysql_add_where(&b, NULL, shape, leaf, has_after);
	strbuf_add(&b, " ORDER BY ");
	mysql_add_key_list(&b, shape, leaf, "");
	strbuf_printf(&b, " LIMIT 2 OFFSET $%zu", parameter);
	return strbuf_take(&b);
}

static char *count(const struct table_shape *shape, const struct shape_leaf *leaf, bool has_after) {
	autostrbuf b = {0};
	strbuf_add(&b, "SELECT COUNT(*) FROM (SELECT 1 FROM ");
	mysql_add_leaf(&b, shape, leaf);
	size_t parameter = mysql_add_where(&b, NULL, shape, leaf, has_after);
	strbuf_add(&b, " ORDER BY ");
	mysql_add_key_list(&b, shape, leaf, "");
	strbuf_printf(&b, " LIMIT $%zu) AS scanned", parameter);
	return strbuf_take(&b);
}

static char *work(const struct jobfile *job, const struct table_shape *shape, const struct shape_leaf *leaf, bool has_after) {
	if (job->kind == JOB_INSERT)
		return mysql_insert(job, shape, leaf, has_after);
	autostrbuf b = {0};
	mysql_add_update(&b, job, shape, leaf, has_after);
	return strbuf_take(&b);
}

static char *capture(const struct jobfile *job, const struct table_shape *shape, const struct shape_leaf *leaf, bool has_after) {
	return (job->kind == JOB_INSERT ? mysql_insert_capture : mysql_update_capture)(job, shape, leaf, has_after);
}

static char *work_kept(const struct jobfile *job, const struct table_shape *shape, const struct shape_leaf *leaf,
                       bool has_after) {
	return (job->kind == JOB_INSERT ? mysql_insert_kept : mysql_update_kept)(job, shape, leaf, has_after);
}

/* Of the leaf's table, as information_schema has it. */
static void add_of_table(struct strbuf *b, const char *what) {
	strbuf_printf(b, "(SELECT %s FROM information_schema.tables WHERE table_schema = $11 AND table_name = $12)", what);
}

/* When the table was made or built anew, by which engine, and of what types and collations its key is: as shape_check.sql puts
 * it. The work has locked its definition, so that all of it holds until the commit. The time alone is asked for where it is
 * enough: for the types the server makes a table on disk, at ten times the cost of all the rest. */
static char *checkpoint(const struct table_shape *shape) {
	autostrbuf b = {0}, columns = {0};
	strbuf_add(&b, dialect_sql(&dialect_mysql, "checkpoint"));
	if (shape->time_is_enough) {
		strbuf_add(&b, " AND CONVERT(");
		add_of_table(&b, "create_time");
		strbuf_add(&b, " USING utf8mb4) COLLATE utf8mb4_bin = LEFT($13, 19)");
		return strbuf_take(&b);
	}
	for (size_t i = 0; i < shape->nkey; i++) {
		strbuf_add(&columns, i > 0 ? ", " : "");
		mysql_add_literal(&columns, shape->key[i].name);
	}
	strbuf_add(&b, " AND CONVERT(CONCAT_WS(' ', ");
	add_of_table(&b, "CONCAT_WS(' ', create_time, engine)");
	strbuf_printf(
		&b,
		", (SELECT GROUP_CONCAT(CONCAT_WS('/', column_type, collation_name) ORDER BY FIELD(column_name, %s) SEPARATOR ' ') "
		"FROM information_schema.columns WHERE table_schema = $11 AND table_name = $12 AND column_name IN (%s))) USING utf8mb4) "
		"COLLATE utf8mb4_bin = $13",
		columns.data, columns.data);
	return strbuf_take(&b);
}

static char *explain(const char *sql) {
	return explain_mysql_text(dialect_sql(&dialect_mysql, "explain"), sql);
}

const struct dialect dialect_mysql = {
	.name = "mysql",
	.schema_version = SCHEMA_VERSION,
	.looks_first = true,
	.fence_fails = false,
	.grammar = &sqlcheck_mysql,
	.control_tables = control_tables,
	.settings = settings,
	.last_key = last_key,
	.boundary = boundary,
	.count = count,
	.work = work,
	.capture = capture,
	.work_kept = work_kept,
	.checkpoint = checkpoint,
	.explain = explain,
	.judge_plan = explain_mysql_judge,
	.row_check = row_check_mysql,
	.plans_again = false,
	.rules = &rules_mysql,
	.replication = &replication_mysql,
	.histogram_needs = "SELECT on performance_schema.*, UPDATE (instrumented) on performance_schema.threads",
};
