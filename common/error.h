/*
 * error.h: what went wrong, for a person and for a script. Lower layers fill a struct error and return
 * false; the layer that decides what happens next logs or shows it, once.
 */
#ifndef BACKFILLD_ERROR_H
#define BACKFILLD_ERROR_H

#include <stdbool.h>

/* The values are exit codes of backfillctl and a part of the contract. */
enum error_code {
	ERROR_NONE = 0,
	ERROR_USAGE = 64,         /* wrong usage, or a job that does not exist */
	ERROR_DATA = 65,          /* bad job file, or refused by preflight */
	ERROR_UNAVAILABLE = 69,   /* no daemon */
	ERROR_INTERNAL = 70,      /* a defect, or out of memory */
	ERROR_TRY_AGAIN = 75,     /* stop file present, target down */
	ERROR_NOT_PERMITTED = 77, /* the caller may not do this */
	ERROR_CONFIG = 78,        /* bad configuration, or control tables missing */
};

struct error {
	enum error_code code;
	char message[1024]; /* what happened, to which object */
	char hint[512];     /* what to do; "" if there is nothing to say */
};

/* Fills `err` (which may be NULL), clears its hint, and returns false, so that `return error_set(…)` reads well. */
bool error_set(struct error *err, enum error_code code, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* Adds what to do. Returns false. */
bool error_hint(struct error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Puts "prefix: " before the message. Returns false. */
bool error_prefix(struct error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The short stable name of a code, as it stands in JSON errors: "usage", "data", "try_again", … */
const char *error_code_name(enum error_code code);

#endif
