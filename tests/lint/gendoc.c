/*
 * gendoc: prints the reference of the job file's or the configuration's keys from their tables.
 *   gendoc job >docs/job-file.md; gendoc config >docs/configuration.md
 */
#include "common/jobfile_keys.h"
#include "daemon/base/config_keys.h"

#include <stdio.h>
#include <string.h>

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
