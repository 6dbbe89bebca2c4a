/*
 * arguments.h: backfillctl's command line, read by the catalogue: what a command takes, its help, and the nearest name
 * for one that is not known. Touches no file and no socket.
 */
#ifndef BACKFILLCTL_ARGUMENTS_H
#define BACKFILLCTL_ARGUMENTS_H

#include "common/catalogue.h"
#include "common/error.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

enum output { OUTPUT_TABLE, OUTPUT_WIDE, OUTPUT_JSON };

struct arguments {
	const char *socket; /* -s, $BACKFILLD_SOCKET or the default; borrowed from argv or the environment */
	enum output output;
	bool help;                               /* of `command`, or of the program */
	bool version;                            /* --version */
	const struct catalogue_command *command; /* NULL with help or version only */
	const char *file;                        /* of an ARGUMENT_FILE; NULL if the command takes none */
	json_t *params;                          /* by the catalogue's parameter names, without the file's text */
};

/* Options may stand anywhere; "--" ends them. On failure `output` is still set, as the error is shown by it. The caller
 * calls arguments_free in both cases. */
bool arguments_parse(int argc, char *const *argv, struct arguments *arguments, struct error *err);
void arguments_free(struct arguments *arguments);
/* Of one command, or of the program if it is NULL. */
void arguments_print_help(FILE *out, const struct catalogue_command *command);

#endif
