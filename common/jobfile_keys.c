/* jobfile_keys.c: every key of a job file. docs/job-file.md is printed from here. */
#include "common/jobfile_keys.h"

#include "common/jobfile.h"
#include "common/limit_keys.h"
#include "common/mem.h"
#include "common/windows.h"

#include <stdlib.h>
#include <string.h>

#define NAME "[a-zA-Z_][a-zA-Z0-9_]{0,62}"
#define ID_PATTERN "^([0-9]{8,14}_[a-zA-Z0-9_]+|V[0-9]+(_[0-9]+)*__[a-zA-Z0-9_]+)$"
#define FIELD(MEMBER) .offset = offsetof(struct jobfile, MEMBER)

bool limit_keys_load_later(const struct keytable_document *document, const struct key *key, config_setting_t *setting, void *base,
                           struct error *err) {
	(void)base;
	if (!config_setting_is_list(setting) && !config_setting_is_array(setting))
		return keytable_fail(document, setting, key->name, err, "a list ( … ) is wanted");
	return config_setting_length(setting) == 0 || keytable_fail(document, setting, key->name, err, "not built yet; leave it out");
}

/* "schema.table" or "table"; the schema goes to `offset`, the table to `count_offset`. */
static bool load_table(const struct keytable_document *document, const struct key *key, config_setting_t *setting, void *base,
                       struct error *err) {
	const char *text = NULL;
	if (!keytable_string(document, key, setting, &text, err))
		return false;
	const char *dot = strchr(text, '.');
	char *schema = dot != NULL ? mem_dup_n(text, (size_t)(dot - text)) : NULL;
	char *table = mem_dup(dot != NULL ? dot + 1 : text);
	memcpy((char *)base + key->offset, &schema, sizeof schema);
	memcpy((char *)base + key->count_offset, &table, sizeof table);
	return true;
}

/* { column = "expression"; } */
static bool load_member(const struct keytable_document *document, const struct key *key, config_setting_t *setting,
                        struct assignment *assignment, struct error *err) {
	autofree char *name = mem_printf("%s.%s", key->name, config_setting_name(setting));
	const struct key expr = {.name = name, .min = assignment_keys[1].min, .max = assignment_keys[1].max};
	struct key_value value;
	if (!key_value_from_text(&assignment_keys[0], config_setting_name(setting), &value, err))
		return keytable_fail(document, setting, key->name, err, "\"%.80s\" is not %s", config_setting_name(setting),
		                     assignment_keys[0].wanted);
	key_value_free(&value);
	const char *text = NULL;
	if (!keytable_string(document, &expr, setting, &text, err))
		return false;
	*assignment = (struct assignment){.column = mem_dup(config_setting_name(setting)), .expr = mem_dup(text)};
	return true;
}

/* ( { column = "c"; expr = "expression"; } ) */
static bool load_element(const struct keytable_document *document, const struct key *key, config_setting_t *setting,
                         struct assignment *assignment, struct error *err) {
	if (!config_setting_is_group(setting)) {
		keytable_fail(document, setting, key->name, err, "a group is wanted in the list");
		return error_hint(err, "%s = ( { column = \"c\"; expr = \"…\"; } );", key->name);
	}
	return keytable_load(document, setting, assignment_keys, assignment, err);
}

/* The array goes to `offset`, its length to `count_offset`. Half of it stays there on failure, for jobfile_free. */
static bool load_assignments(const struct keytable_document *document, const struct key *key, config_setting_t *setting,
                             void *base, struct error *err) {
	bool is_list = config_setting_is_list(setting) != 0;
	if (!is_list && !config_setting_is_group(setting)) {
		keytable_fail(document, setting, key->name, err, "a group is wanted");
		return error_hint(err, "%s = { column = \"expression\"; };", key->name);
	}
	size_t count = (size_t)config_setting_length(setting);
	if (count == 0)
		return keytable_fail(document, setting, key->name, err, "at least one column is wanted");
	struct assignment *list = mem_alloc(count * sizeof *list);
	memcpy((char *)base + key->offset, &list, sizeof list);
	memcpy((char *)base + key->count_offset, &count, sizeof count);
	for (size_t i = 0; i < count; i++) {
		config_setting_t *one = config_setting_get_elem(setting, (unsigned)i);
		if (is_list ? !load_element(document, key, one, &list[i], err) : !load_member(document, key, one, &list[i], err))
			return false;
		for (size_t j = 0; j < i; j++)
			if (strcmp(list[j].column, list[i].column) == 0)
				return keytable_fail(document, one, key->name, err, "column %s stands twice", list[i].column);
	}
	return true;
}

static bool check_window(const char *text, struct error *err) {
	struct windows windows = {0};
	return windows_add(&windows, text, err);
}

const struct key assignment_keys[] = {
	{.name = "column",
     .type = KEY_STRING,
     .flags = KEY_REQUIRED,
     .offset = offsetof(struct assignment, column),
     .pattern = "^" NAME "$",
     .wanted = "a column's name (letters, digits and _, at most 63)",
     .doc = "the column"},
	{.name = "expr",
     .type = KEY_STRING,
     .flags = KEY_REQUIRED,
     .offset = offsetof(struct assignment, expr),
     .min = 1,
     .max = JOBFILE_MAX_FRAGMENT_BYTES,
     .doc = "its SQL expression"},
	{0},
};

#define BOOLEAN(NAME, MEMBER, SCOPE, DOC)                                                                                        \
	{                                                                                                                            \
		.name = (NAME), .type = KEY_BOOL, .offset = offsetof(struct jobfile, MEMBER), .fallback = "false", .scope = (SCOPE),     \
		.doc = (DOC)                                                                                                             \
	}
#define COLUMNS(NAME, MEMBER, SCOPE, DOC)                                                                                        \
	{                                                                                                                            \
		.name = (NAME), .type = KEY_STRINGS, .offset = offsetof(struct jobfile, MEMBER),                                         \
		.count_offset = offsetof(struct jobfile, n##MEMBER), .min = 1, .max = 32, .pattern = "^" COLUMN_NAME "$",                \
		.wanted = "a column's name", .scope = (SCOPE), .doc = (DOC)                                                              \
	}
#define LIVE_NUMBER(NAME, TYPE, MEMBER, MIN, MAX, DEFAULT, DOC)                                                                  \
	{                                                                                                                            \
		.name = (NAME), .type = (TYPE), .flags = KEY_LIVE, .offset = offsetof(struct jobfile, settings.MEMBER), .min = (MIN),    \
		.max = (MAX), .fallback = (DEFAULT), .doc = (DOC)                                                                        \
	}
#define LATER(NAME, TYPE, OFF, DOC)                                                                                              \
	{ .name = (NAME), .type = (TYPE), .flags = KEY_LATER | KEY_UNSTORED, .fallback = (OFF), .doc = (DOC) }
#define COLUMN_NAME NAME

const struct key jobfile_keys[] = {
	{.name = "id",
     .type = KEY_STRING,
     .flags = KEY_REQUIRED,
     FIELD(id),
     .min = 1,
     .max = 50,
     .pattern = ID_PATTERN,
     .wanted = "a date or time, _ and a name (20261121_risk_score), or Flyway's V1_2__name",
     .doc = "The job's name, at most 50 characters. The same id with the same content is the same job."},
	{.name = "target",
     .type = KEY_STRING,
     .flags = KEY_REQUIRED,
     FIELD(target),
     .min = 1,
     .max = 63,
     .pattern = "^[a-zA-Z_][a-zA-Z0-9_-]{0,62}$",
     .wanted = "a target's name",
     .doc = "A target of the daemon's configuration."},
	{.name = "table",
     .type = KEY_CUSTOM,
     .flags = KEY_REQUIRED,
     FIELD(schema),
     .count_offset = offsetof(struct jobfile, table),
     .pattern = "^" NAME "(\\." NAME ")?$",
     .wanted = "table or schema.table",
     .load = load_table,
     .doc = "The table that is walked by its key."},
	{.name = "kind",
     .type = KEY_CHOICE,
     .flags = KEY_REQUIRED,
     FIELD(kind),
     .choices = (const char *const[]){"update", "insert", "statement", NULL},
     .doc = "What a batch does: change rows of the table, insert into another one, or run one statement over the range."},
	{.name = "set",
     .type = KEY_CUSTOM,
     FIELD(set),
     .count_offset = offsetof(struct jobfile, nset),
     .scope = FOR_UPDATE,
     .wanted = "group { column = \"expression\"; }, or list ( { column; expr } ) for names that a group can't spell",
     .load = load_assignments,
     .doc = "Kind update: the columns and the SQL expressions over the row."},
	{.name = "where",
     .type = KEY_STRING,
     FIELD(where),
     .min = 1,
     .max = JOBFILE_MAX_FRAGMENT_BYTES,
     .scope = FOR_UPDATE | FOR_INSERT,
     .doc = "Which rows of a batch's range are worked on; left out: all."},
	{.name = "into",
     .type = KEY_CUSTOM,
     FIELD(into_schema),
     .count_offset = offsetof(struct jobfile, into_table),
     .scope = FOR_INSERT,
     .pattern = "^" NAME "(\\." NAME ")?$",
     .wanted = "table or schema.table",
     .load = load_table,
     .doc = "Kind insert: the table of the same database that is inserted into."},
	{.name = "columns",
     .type = KEY_CUSTOM,
     FIELD(columns),
     .count_offset = offsetof(struct jobfile, ncolumns),
     .scope = FOR_INSERT,
     .wanted = "as set",
     .load = load_assignments,
     .doc = "Kind insert: its columns and the SQL expressions over a row of `table`."},
	{.name = "on_conflict",
     .type = KEY_CHOICE,
     FIELD(on_conflict),
     .fallback = "error",
     .scope = FOR_INSERT,
     .choices = (const char *const[]){"error", "skip", "update", NULL},
     .doc = "Kind insert: when a row with that key exists. `update` changes only the mapped columns."},
	COLUMNS("conflict_key", conflict_key, FOR_INSERT,
            "Kind insert: the key of `into` that may conflict; left out: its primary key."),
	{.name = "statement",
     .type = KEY_STRING,
     FIELD(statement),
     .min = 1,
     .max = JOBFILE_MAX_FRAGMENT_BYTES,
     .scope = FOR_STATEMENT,
     .doc = "Kind statement: one INSERT, UPDATE or DELETE with `{range}` or `{range alias}` once, as a top-level AND part of its "
            "WHERE. Needs `rollback.keep_old_values = false` said, as it can't be rolled back."},
	COLUMNS("key", key, 0, "The columns of another NOT NULL unique key to walk by; left out: the primary key."),
	{.name = "workers",
     .type = KEY_INT,
     .flags = KEY_LIVE | KEY_LATER,
     FIELD(settings.workers),
     .min = 1,
     .max = 64,
     .fallback = "1",
     .doc = "Segments worked on in parallel; for now 1."},
	LIVE_NUMBER("batch.rows", KEY_INT, batch.rows, 100, 100000, "1000", "Rows of the first batch; adapts to `batch.time`."),
	LIVE_NUMBER("batch.max_rows", KEY_INT, batch.max_rows, 100, 100000, "50000", "The largest batch."),
	LIVE_NUMBER("batch.min_rows", KEY_INT, batch.min_rows, 1, 100000, "10", "The smallest batch."),
	LIVE_NUMBER("batch.max_bytes", KEY_SIZE, batch.max_bytes, 65536, 1073741824, "16MB", "By measured width of rows and WAL."),
	LIVE_NUMBER("batch.time", KEY_DURATION, batch.time_ms, 1, 60000, "250ms", "What a batch should take."),
	{.name = "batch.adaptive",
     .type = KEY_BOOL,
     .flags = KEY_LIVE,
     FIELD(settings.batch.adaptive),
     .fallback = "true",
     .doc = "false: the size stays at `batch.rows`."},
	LIVE_NUMBER("batch.delay", KEY_DURATION, batch.delay_ms, 0, MS_PER_HOUR, "0ms", "The least pause between two batches."),
	LIVE_NUMBER("batch.max_rate", KEY_FLOAT, batch.max_rate, 0, 1e9, "0", "Rows per second at most; 0 = no cap."),
	LIVE_NUMBER("batch.max_duty", KEY_FLOAT, batch.max_duty, 0.01, 1, "0.5",
                "The share of time that a worker may be in a batch."),
	{.name = "durability",
     .type = KEY_CHOICE,
     FIELD(durability),
     .fallback = "job",
     .choices = (const char *const[]){"job", "batch", NULL},
     .doc = "`job`: batches commit asynchronously, the job's states durably; safe, as rows and checkpoint share the commit. "
            "`batch`: every batch waits for the disk and synchronous standbys."},
	{.name = "binlog_row_image",
     .type = KEY_CHOICE,
     .flags = KEY_NEWER,
     FIELD(binlog_row_image),
     .fallback = "server",
     .choices = (const char *const[]){"server", "full", "minimal", NULL},
     .doc = "MySQL and MariaDB: how much of a row each batch writes to the binary log; `server`: as the server's setting says. "
            "`minimal` is the key and what changed: consumers of the log may need more. Needs a privilege: docs/mysql.md."},
	THROTTLE_KEYS(struct jobfile, settings.throttle),
	GUARD_KEYS(struct jobfile, settings.guards),
	BOOLEAN("allow_triggers", allow_triggers, 0, "Consent: row triggers of the table fire."),
	BOOLEAN("allow_cascades", allow_cascades, 0, "Consent: foreign keys cascade to other tables."),
	BOOLEAN("allow_no_index", allow_no_index, 0, "Consent to a plan that reads without a fitting index."),
	BOOLEAN("allow_delete", allow_delete, FOR_STATEMENT, "Consent: the statement is a DELETE."),
	{.name = "follow",
     .type = KEY_BOOL,
     .flags = KEY_LIVE | KEY_NEWER,
     FIELD(settings.follow),
     .fallback = "false",
     .doc = "Go on past the last key of the start, in rounds, until caught up: a round of no more rows than one batch takes (in "
            "each "
            "leaf of a partitioned table) is the last one, so that the job ends on a table that grows for ever. false, set while "
            "the "
            "job runs, ends it with the present round."},
	{.name = "sweep",
     .type = KEY_BOOL,
     .flags = KEY_NEWER,
     FIELD(sweep),
     .fallback = "false",
     .scope = FOR_UPDATE | FOR_INSERT,
     .doc =
         "One more pass at the end over all of it, for rows that match `where` (again): an update whose `where` reads a column "
         "that `set` changes, or an insert with `on_conflict = \"skip\"`. A changed row must not match any more, or it is "
         "changed twice."},
	{.name = "windows",
     .type = KEY_STRINGS,
     .flags = KEY_LIVE | KEY_NEWER | KEY_COMMAS,
     FIELD(settings.windows),
     .count_offset = offsetof(struct jobfile, settings.nwindows),
     .max = 64,
     .check = check_window,
     .wanted = "days, times or both, as \"Mon-Fri 22:00-06:00\" or \"Sat,Sun\"",
     .doc =
         "When batches may start, by the clock on the wall; outside, the job is held. Without days: every day. Times that end "
         "before they begin run past midnight and belong to the day on which they begin. An hour that the clock skips in spring "
         "isn't there, one that it repeats in autumn is there twice. None said: always. "
         "For `set`: `windows=[\"Mon,Wed 22:00-06:00\",\"Sat\"]`, `windows=[]`."},
	{.name = "timezone",
     .type = KEY_STRING,
     .flags = KEY_LIVE | KEY_NEWER,
     FIELD(settings.timezone),
     .max = 64,
     .pattern = "^([A-Z][A-Za-z_-]*(/[A-Za-z0-9_+-]+)*)?$",
     .wanted = "a time zone's name, as Europe/Berlin",
     .fallback = "",
     .doc = "Of `windows`. Left out: that of the daemon's host, which another daemon may not share. Whether the host knows it is "
            "seen at `submit`, not by `validate`."},
	{.name = "canary.rows",
     .type = KEY_INT,
     .flags = KEY_LATER | KEY_UNSTORED,
     .max = 1e9,
     .fallback = "0",
     .doc = "So many rows first, then verified, then the rest; 0 = off."},
	{.name = "verify.mode",
     .type = KEY_CHOICE,
     .flags = KEY_LATER | KEY_UNSTORED,
     .fallback = "none",
     .choices = (const char *const[]){"full", "sample", "none", NULL},
     .doc = "How the work is compared with what was wanted."},
	{.name = "verify.on",
     .type = KEY_CHOICE,
     .flags = KEY_LATER | KEY_UNSTORED,
     .choices = (const char *const[]){"replica", "primary", NULL},
     .doc = "Where it is verified."},
	{.name = "verify.checks",
     .type = KEY_CUSTOM,
     .flags = KEY_LATER | KEY_UNSTORED,
     .wanted = "list of groups { name; sql; expect }",
     .load = limit_keys_load_later,
     .doc = "Own SQL checks."},
	{.name = "rollback.keep_old_values",
     .type = KEY_BOOL,
     FIELD(keep_old_values),
     .fallback = "true",
     .doc = "Keys, old and new values of exactly the rows that a batch changed, and which of them it inserted, are kept in the "
            "batch's own transaction (backfill.kept, one compressed row a batch)."},
	LATER("errors.quarantine", KEY_BOOL, "false", "Set rows whose data fails aside and go on."),
	{.name = "errors.max_quarantined",
     .type = KEY_INT,
     .flags = KEY_LATER | KEY_UNSTORED,
     .max = 1e6,
     .fallback = "0",
     .doc = "More such rows pause the job."},
	{.name = "wait_for_writers",
     .type = KEY_BOOL,
     .flags = KEY_LIVE | KEY_SET_ONLY,
     FIELD(settings.wait_for_writers),
     .fallback = "true",
     .doc = "Each round waits for transactions that may have written below its last key; false goes on without."},
	{0},
};
