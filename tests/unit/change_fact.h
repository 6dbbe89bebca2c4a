/* change_fact.h: for tests of rules: one fact of a description, another value. */
#ifndef BACKFILLD_TESTS_CHANGE_FACT_H
#define BACKFILLD_TESTS_CHANGE_FACT_H

#include "common/mem.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

/* Sets "indexes/0/valid" of the object to the JSON value. */
static void change(json_t *object, const char *path, const char *value) {
	autofree char *copy = mem_dup(path);
	char *rest = NULL;
	char *part = strtok_r(copy, "/", &rest);
	for (char *next = strtok_r(NULL, "/", &rest); next != NULL; part = next, next = strtok_r(NULL, "/", &rest))
		object = json_is_array(object) ? json_array_get(object, (size_t)atoi(part)) : json_object_get(object, part);
	json_t *new_value = json_loads(value, JSON_DECODE_ANY, NULL);
	if (new_value == NULL)
		abort(); /* a mistake in the test */
	if (json_is_array(object))
		json_array_set_new(object, (size_t)atoi(part), new_value);
	else
		json_object_set_new(object, part, new_value);
}

#endif
