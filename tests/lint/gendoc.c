/*
 * gendoc: prints the reference of the job file's or the configuration's keys from their tables.
 *   gendoc job >docs/job-file.md; gendoc config >docs/configuration.md
 */
#include "common/jobfile_keys.h"
#include "common/own_probe.h"
#include "daemon/base/config_keys.h"

#include <stdio.h>
#include <string.h>

static void print_mysql_fragments(void) {
	puts("\n## SQL on MySQL and MariaDB\n\n"
	     "`set`, `columns` and `where` hold one expression each, as everywhere. There is no parser to prove that it stays one, "
	     "but a\n"
	     "lexer of our own (`common/sqllex_mysql.c`), which refuses what it isn't sure of; the server's EXPLAIN of the batch has "
	     "the "
	     "last\n"
	     "word. Sessions pin the `sql_mode`: `\"…\"` is a string, `\\` escapes in one, names are quoted by backticks.\n\n"
	     "| refused | instead |\n"
	     "|---|---|\n"
	     "| comments of any kind, also `--` without a blank behind it | `5 - -1` for `5--1` |\n"
	     "| `;`, `?`, `$`, `:=`, `:`, `{`, `[`, `\\N`, control characters but tab and line end, bytes that are not UTF-8 | "
	     "`CAST(x AS …)`; "
	     "a name with `$` in backticks; `\\r` in a string |\n"
	     "| user variables: `@x`. System variables (`@@x`) may be read | |\n"
	     "| a name that begins with a digit, a column called like a clause (`from`, `order`) | backticks, or `t.from` |\n"
	     "| a second expression, an alias, a clause, a query without brackets of its own | `(SELECT …)` |\n"
	     "| aggregates and window functions outside of a subquery: they would depend on the size of a batch | `(SELECT SUM(u.n) "
	     "FROM u "
	     "WHERE …)` |\n"
	     "| in `columns`, an aggregate in a subquery that doesn't say whose column it is over: were it one of `table`, the whole "
	     "batch "
	     "would become one row | `SUM(u.n)` for `SUM(n)` |\n"
	     "| `&&`, `\\|\\|`, `!`, `BINARY x`: MySQL warns of them, and a warning fails a batch; `\\|\\|` is no concatenation here "
	     "| `AND`, `OR`, "
	     "`NOT`, `CONCAT(…)`, `CAST(x AS BINARY)` |\n"
	     "| in `set`, a column that is assigned before: `{ a = \"b\"; b = \"a\"; }`. These servers assign from left to right, "
	     "and `b` would get the new `a` | put the reader first |\n"
	     "| functions that wait, lock, read files or tell of the session: `SLEEP`, `BENCHMARK`, `GET_LOCK`, `RELEASE_LOCK`, "
	     "`RELEASE_ALL_LOCKS`, `LOAD_FILE`, `MASTER_POS_WAIT` and its kind, `LAST_INSERT_ID`, `FOUND_ROWS`, `ROW_COUNT`; `INTO` "
	     "| |\n"
	     "| `kind = \"statement\"` | an update or insert |\n\n"
	     "`backfillctl validate` takes a file that either grammar takes, and warns of what is not for both; `--engine` chooses "
	     "one.");
}

static void print_own_probes(void) {
	puts("\n## An own probe by SQL\n\nEach group of the list `throttle.sql`.\n");
	keytable_write_markdown(own_probe_sql_keys, false, stdout);
	puts("\n## An own probe by HTTP\n\nEach group of the list `throttle.http`.\n");
	keytable_write_markdown(own_probe_http_keys, false, stdout);
}

static void print_job_file(void) {
	puts("# The job file\n\n"
	     "Printed from the table in `common/jobfile_keys.c` by `tests/lint/gendoc.c`; change it there.\n\n"
	     "The format is libconfig's: `key = value;`, strings in double quotes, `#` and `//` start a comment. A dotted name is a\n"
	     "member of a group: `batch = { rows = 5000; };`. Durations are `\"250ms\"`, `\"2s\"`, `\"5m\"`, `\"1h\"`, sizes "
	     "`\"64MB\"`. A whole\n"
	     "number beyond 32 bits ends in `L`. An SQL fragment has at most 16 KiB, no `;` and no comment. Examples are in "
	     "`conf/jobs/`.\n\n"
	     "`backfillctl validate FILE` checks a file without a daemon. A job's identity is its parsed content: comments, spacing "
	     "and the\n"
	     "order of keys don't count, and a default that is written out changes nothing (in `throttle.*` and `guards.*` it does: "
	     "there it overrides the target). The same id with the same content is the "
	     "same\n"
	     "job; with another, an error.\n\n"
	     "`backfillctl set JOB KEY=VALUE` changes what is marked *live* while the job runs.\n\n"
	     "What is marked *not built yet* is read and checked, and refused by name unless its value means off.\n\n"
	     "`throttle.*` and `guards.*` take the target's value when left out; they may be stricter than what the target's "
	     "configuration\n"
	     "states, never looser.\n");
	keytable_write_markdown(jobfile_keys, true, stdout);
	print_own_probes();
	print_mysql_fragments();
}

static void print_config(void) {
	puts("# The daemon's configuration\n\n"
	     "Printed from the tables in `daemon/base/config.c` by `tests/lint/gendoc.c`; change it there. `conf/backfilld.conf` "
	     "shows every\n"
	     "key in its place; `backfilld -c FILE --check-config` checks a file.\n");
	keytable_write_markdown(config_keys, false, stdout);
	puts("\n## A target\n\nEach group of the list `targets`.\n");
	keytable_write_markdown(config_target_keys, false, stdout);
	puts("\n## A replica\n\nEach group of a target's list `replicas`.\n");
	keytable_write_markdown(config_replica_keys, false, stdout);
	print_own_probes();
}

int main(int argc, char **argv) {
	if (argc == 2 && strcmp(argv[1], "job") == 0)
		print_job_file();
	else if (argc == 2 && strcmp(argv[1], "config") == 0)
		print_config();
	else
		return fputs("usage: gendoc job|config\n", stderr), 64;
	return 0;
}
