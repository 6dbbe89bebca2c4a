/*
 * json_path.h: a place in a JSON document, as people write it: data.result[0].value[1]. Names of members between dots, places in
 * arrays in brackets, counted from 0; a name with a dot or a bracket in it can't be written. And the number that stands there.
 */
#ifndef BACKFILLD_JSON_PATH_H
#define BACKFILLD_JSON_PATH_H

#include "common/error.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

/* Can it be read? Otherwise err (ERROR_DATA) names the position, counted from 1. */
bool json_path_check(const char *path, struct error *err);
/* What is there; it belongs to the document. NULL: err says how far the path leads, or why it can't be read. */
const json_t *json_path_find(const json_t *document, const char *path, struct error *err);

/* A number, or a string that is nothing but one ("0.0123", as Prometheus sends them); `what` is its name in err. Always finite.
 */
bool json_path_number(const json_t *value, const char *what, double *number, struct error *err);
/* The same of a text, with blanks around it: a decimal number. NaN and Inf are none, nor is what a double can't hold. */
bool json_path_text_number(const char *text, size_t length, double *number);

#endif
