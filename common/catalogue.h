/*
 * catalogue.h: the commands: name, JSON-RPC method, who may call it, arguments, help with an example. One table gives
 * backfillctl its parser, help and completion, the daemon its permission check, and the manual its text.
 */
#ifndef BACKFILLD_CATALOGUE_H
#define BACKFILLD_CATALOGUE_H

#include <stdbool.h>
#include <stddef.h>

enum permission {
	PERMIT_LOCAL,    /* backfillctl alone: validate, completion, version without daemon, wait (built from job.show) */
	PERMIT_VIEWER,
	PERMIT_OPERATOR,
};

struct catalogue_argument {
	const char *name;     /* "JOB", "FILE", "--start", "--timeout" */
	const char *param;    /* the JSON-RPC parameter: "job", "text", "start" */
	const char *metavar;  /* an option's value, "D"; NULL: a switch or positional */
	bool required;
	bool repeated;
	const char *help;
};

struct catalogue_command {
	const char *name;   /* "pause" */
	const char *method; /* "job.pause"; NULL for PERMIT_LOCAL */
	enum permission permission;
	const char *summary;
	const char *example;
	const struct catalogue_argument *arguments; /* ends with name = NULL; may be NULL */
};

extern const struct catalogue_command catalogue[]; /* ends with name = NULL */
const struct catalogue_command *catalogue_find(const char *name);
const struct catalogue_command *catalogue_find_method(const char *method);

#endif
