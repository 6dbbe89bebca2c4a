/*
 * catalogue.h: the commands: name, JSON-RPC method, who may call it, arguments, help with an example. One table gives
 * backfillctl its parser, help and completion, the daemon its permission check, and the manual its text.
 */
#ifndef BACKFILLD_CATALOGUE_H
#define BACKFILLD_CATALOGUE_H

#include <stdbool.h>
#include <stddef.h>

enum permission {
	PERMIT_LOCAL, /* backfillctl alone: validate, completion, wait (built from job.show) */
	PERMIT_VIEWER,
	PERMIT_OPERATOR,
};

/* How backfillctl turns an argument's text into the parameter. */
enum catalogue_type {
	ARGUMENT_TEXT,    /* a string */
	ARGUMENT_FILE,    /* a file's name, "-" for standard input; the parameter is its text */
	ARGUMENT_INTEGER, /* a number from 1 */
	ARGUMENT_DURATION,
};

struct catalogue_argument {
	const char *name;    /* "JOB", "FILE", "--start", "--timeout" */
	const char *param;   /* the JSON-RPC parameter: "job", "text", "start" */
	const char *metavar; /* an option's value, "D"; NULL: a switch or positional */
	bool required;
	bool repeated;
	const char *help;
	char letter; /* 'f': the option is also -f; 0: it has no short form */
	enum catalogue_type type;
};

struct catalogue_command {
	const char *name;   /* "pause" */
	const char *method; /* "job.pause"; NULL for PERMIT_LOCAL */
	enum permission permission;
	const char *summary;
	const char *example;
	const struct catalogue_argument *arguments; /* ends with name = NULL; may be NULL */
	const char *other_method;                   /* a second one with the same permission: events.follow of `events`; NULL: none */
};

extern const struct catalogue_command catalogue[]; /* ends with name = NULL */
const struct catalogue_command *catalogue_find(const char *name);
const struct catalogue_command *catalogue_find_method(const char *method);
/* The known command that `name` was probably meant to be; NULL if none is near. */
const struct catalogue_command *catalogue_nearest(const char *name);
/* "--start" and "--timeout D" are options, "JOB" is not. */
bool catalogue_is_option(const struct catalogue_argument *argument);
/* "pause [--all] [JOB]": the command line after the program's name. The caller frees it. */
char *catalogue_usage(const struct catalogue_command *command);

#endif
