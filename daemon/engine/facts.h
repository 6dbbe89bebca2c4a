/*
 * facts.h: reading what a server said of itself, its tables and its plans: the JSON objects of resolve.sql, describe.sql and
 * explain.sql. Pure.
 */
#ifndef BACKFILLD_FACTS_H
#define BACKFILLD_FACTS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

/* The member's text; "" if it has none. */
const char *fact_text(const json_t *object, const char *name);
/* True, or a number that isn't 0: some servers have no other truth. */
bool fact_flag(const json_t *object, const char *name);
int64_t fact_int(const json_t *object, const char *name);
/* A relation's column; NULL if it has none of that name. */
const json_t *fact_column(const json_t *relation, const char *name);
/* "a, b": an array of strings. Caller frees. */
char *fact_join(const json_t *names);
/* Adds to an array of strings, once. */
void fact_warn(json_t *warnings, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
