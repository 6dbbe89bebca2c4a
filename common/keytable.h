/*
 * keytable.h: configuration keys as a table. A row says a key's name, type, field, bounds, default and documentation;
 * from it come the reading of a libconfig text into a struct, `set KEY=VALUE`, every message about a key, and the
 * reference in docs/. Used for job files and for backfilld.conf. Pure.
 */
#ifndef BACKFILLD_KEYTABLE_H
#define BACKFILLD_KEYTABLE_H

#include "common/error.h"
#include "common/strbuf.h"

#include <libconfig.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum key_type {
	KEY_BOOL,     /* bool */
	KEY_INT,      /* int64_t */
	KEY_FLOAT,    /* double; whole numbers are taken too */
	KEY_DURATION, /* int64_t, milliseconds */
	KEY_SIZE,     /* int64_t, bytes */
	KEY_STRING,   /* char *, NULL if not said and without a default */
	KEY_CHOICE,   /* an enum whose values count from 0 in the order of `choices` */
	KEY_STRINGS,  /* char ** and a size_t; an array, a list, or one string */
	KEY_CUSTOM,   /* whatever `load` makes of it */
};

enum key_flag {
	KEY_REQUIRED = 1,
	KEY_LIVE = 2,      /* `set` may change it while the job runs */
	KEY_LATER = 4,     /* parsed and range-checked; any value but `off` is refused by name: not built yet */
	KEY_UNSTORED = 8,  /* has no field */
	KEY_SET_ONLY = 16, /* not in a file: `set` alone changes it */
	KEY_SECRET = 32,   /* the value never stands in a message */
	KEY_NEWER = 64,    /* came later than stored sums: at its default (none: "") it is not in the canonical text */
	KEY_COMMAS = 128,  /* KEY_STRINGS that may have commas: each is quoted for `set`, or its text is one string */
};

struct keytable_document;

struct key {
	const char *name; /* "batch.rows": a member of the group batch */
	enum key_type type;
	unsigned flags;
	size_t offset;              /* of the field */
	size_t count_offset;        /* KEY_STRINGS: of its size_t; KEY_CUSTOM: free for `load` */
	size_t said_offset;         /* of a bool that tells whether the key was given; 0: none */
	double min, max;            /* value, bytes of a string, number of strings; both 0: no bounds */
	const char *fallback;       /* the default as `set` would write it; NULL: none */
	const char *off;            /* KEY_LATER: the inactive value; NULL: the fallback */
	const char *const *choices; /* ends with NULL */
	const char *pattern;        /* POSIX extended, for a string and each of strings */
	const char *wanted;         /* what `pattern` asks for, in words; KEY_CUSTOM: its type for the reference */
	unsigned scope;             /* free for the owner of the table */
	/* What `pattern` can't say of a string, and of each of strings; NULL: nothing. The message says what is wrong with it. */
	bool (*check)(const char *text, struct error *err);
	/* KEY_CUSTOM: fails with keytable_fail. */
	bool (*load)(const struct keytable_document *document, const struct key *key, config_setting_t *setting, void *base,
	             struct error *err);
	const char *doc; /* one or more sentences */
};

/* A parsed text; messages about it begin with its name and have its code. */
struct keytable_document {
	config_t config;
	char *name;
	enum error_code code;
};

enum { KEYTABLE_MAX_BYTES = 256 * 1024, KEYTABLE_MAX_DEPTH = 16 };

/*
 * Reads `length` bytes of libconfig text after a pass of our own that refuses what libconfig 1.5 gets wrong (numbers
 * that wrap, \x00, NUL) or what a submitted text must not do (@include, deep nesting, size). *document is new.
 */
bool keytable_parse(const char *text, size_t length, const char *name, enum error_code code, struct keytable_document **document,
                    struct error *err);
void keytable_document_free(struct keytable_document *document);

/* The root, or a group's member by its dotted name; NULL if the text does not say it. */
config_setting_t *keytable_setting(const struct keytable_document *document, config_setting_t *group, const char *name);

/* Fails with "NAME:LINE: KEY: message"; `setting` gives the line (NULL: the first), `key` may be NULL. Clears the hint. */
bool keytable_fail(const struct keytable_document *document, const config_setting_t *setting, const char *key, struct error *err,
                   const char *format, ...) __attribute__((format(printf, 5, 6)));

/*
 * Fills the fields of `base` (zeroed) with the defaults, then with what `group` (NULL: the whole text) says. Unknown
 * keys, wrong types, values out of bounds and missing required keys fail. On failure too the caller calls keytable_clear.
 */
bool keytable_load(const struct keytable_document *document, config_setting_t *group, const struct key *keys, void *base,
                   struct error *err);
void keytable_defaults(const struct key *keys, void *base);
/* Frees strings and lists of strings; what KEY_CUSTOM made is the owner's. */
void keytable_clear(const struct key *keys, void *base);

/* A string of the document after the key's checks (bounds, pattern); borrowed. For `load` functions. */
bool keytable_string(const struct keytable_document *document, const struct key *key, const config_setting_t *setting,
                     const char **value, struct error *err);

/* Changes a KEY_LIVE key from text; nothing changes on failure. Code ERROR_USAGE, the message begins with the key. */
bool keytable_set(const struct key *keys, const char *name, const char *value, void *base, struct error *err);

const struct key *keytable_find(const struct key *keys, const char *name);
/* The known key that `name` was probably meant to be; NULL if none is near. */
const struct key *keytable_nearest(const struct key *keys, const char *name);

/* "name=value\n" for every key with a field but KEY_CUSTOM, KEY_LATER and KEY_SET_ONLY ones, in the table's order. */
void keytable_canonical(const struct key *keys, const void *base, struct strbuf *out);

/* The reference: a Markdown table with name, type and bounds, default and text; `with_live` marks what `set` changes. */
void keytable_write_markdown(const struct key *keys, bool with_live, FILE *out);

/* What keytable.c and keytable_value.c share. */
struct key_value {
	bool boolean;
	int64_t integer; /* KEY_CHOICE: the index */
	double real;
	char *string;
	char **strings;
	size_t nstrings;
};
bool key_value_from_setting(const struct key *key, const config_setting_t *setting, struct key_value *value, struct error *err);
bool key_value_from_text(const struct key *key, const char *text, struct key_value *value, struct error *err);
/* As `set` would read it. The caller frees it. */
char *key_value_format(const struct key *key, const struct key_value *value);
void key_value_free(struct key_value *value);
/* "250ms" or "5000": a bound of the key in its unit. The caller frees it. */
char *key_bound_format(const struct key *key, double bound);

#endif
