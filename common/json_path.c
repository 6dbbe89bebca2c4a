#include "common/json_path.h"

#include "common/mem.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_DIGITS = 9 }; /* of a place in an array */

/* One name or one place. */
struct step {
	const char *name; /* NULL: a place */
	size_t length;
	size_t place;
};

static bool read_place(const char *path, const char **at, struct step *step, struct error *err) {
	const char *digits = *at + 1;
	size_t length = strspn(digits, "0123456789");
	if (length == 0 || length > MAX_DIGITS || digits[length] != ']')
		return error_set(err, ERROR_DATA, "the path \"%s\" has no number in brackets at position %zu, as [0]", path,
		                 (size_t)(*at - path) + 1);
	*step = (struct step){.place = strtoul(digits, NULL, 10)};
	*at = digits + length + 1;
	return true;
}

static bool read_name(const char *path, const char **at, struct step *step, struct error *err) {
	if (*at != path && **at != '.')
		return error_set(err, ERROR_DATA, "the path \"%s\" has neither a dot nor a bracket at position %zu", path,
		                 (size_t)(*at - path) + 1);
	const char *name = *at + (*at != path ? 1 : 0);
	size_t length = strcspn(name, ".[]");
	if (length == 0)
		return error_set(err, ERROR_DATA, "the path \"%s\" has no name at position %zu", path, (size_t)(name - path) + 1);
	*step = (struct step){.name = name, .length = length};
	*at = name + length;
	return true;
}

static bool read_step(const char *path, const char **at, struct step *step, struct error *err) {
	return **at == '[' ? read_place(path, at, step, err) : read_name(path, at, step, err);
}

bool json_path_check(const char *path, struct error *err) {
	const char *at = path;
	struct step step;
	do {
		if (!read_step(path, &at, &step, err))
			return false;
	} while (*at != '\0');
	return true;
}

static const char *type_name(const json_t *value) {
	switch (json_typeof(value)) {
	case JSON_OBJECT:
		return "an object";
	case JSON_ARRAY:
		return "an array";
	case JSON_STRING:
		return "a string";
	case JSON_INTEGER:
	case JSON_REAL:
		return "a number";
	case JSON_TRUE:
		return "true";
	case JSON_FALSE:
		return "false";
	default:
		return "null";
	}
}

static const json_t *go(const json_t *from, const char *from_name, const struct step *step, struct error *err) {
	const json_t *to = NULL;
	if (step->name != NULL) {
		to = json_object_getn(from, step->name, step->length);
		if (to == NULL && json_is_object(from))
			error_set(err, ERROR_DATA, "%s has no \"%.*s\"", from_name, (int)step->length, step->name);
		else if (to == NULL)
			error_set(err, ERROR_DATA, "%s is %s, it has no \"%.*s\"", from_name, type_name(from), (int)step->length, step->name);
	} else {
		to = json_array_get(from, step->place);
		if (to == NULL && json_is_array(from))
			error_set(err, ERROR_DATA, "%s has %zu elements, none at [%zu]", from_name, json_array_size(from), step->place);
		else if (to == NULL)
			error_set(err, ERROR_DATA, "%s is %s, it has no [%zu]", from_name, type_name(from), step->place);
	}
	return to;
}

const json_t *json_path_find(const json_t *document, const char *path, struct error *err) {
	if (!json_path_check(path, err))
		return NULL;
	const json_t *value = document;
	for (const char *at = path; value != NULL && *at != '\0';) {
		struct step step = {0};
		autofree char *behind = at == path ? mem_dup("the JSON") : mem_printf("\"%.*s\"", (int)(at - path), path);
		value = read_step(path, &at, &step, err) ? go(value, behind, &step, err) : NULL;
	}
	return value;
}

bool json_path_text_number(const char *text, size_t length, double *number) {
	while (length > 0 && isspace((unsigned char)text[0]))
		text++, length--;
	while (length > 0 && isspace((unsigned char)text[length - 1]))
		length--;
	autofree char *copy = mem_dup_n(text, length);
	if (length == 0 || strspn(copy, "+-.0123456789eE") != length) /* strtod takes 0x10, inf and nan, too */
		return false;
	char *end;
	double value = strtod(copy, &end);
	if (end != copy + length || !isfinite(value))
		return false;
	*number = value;
	return true;
}

bool json_path_number(const json_t *value, const char *what, double *number, struct error *err) {
	const char *text = json_string_value(value);
	if (text != NULL && json_path_text_number(text, json_string_length(value), number))
		return true;
	if (text != NULL)
		return error_set(err, ERROR_DATA, "%s is \"%.40s\", not a number", what, text);
	if (!json_is_number(value) || !isfinite(json_number_value(value)))
		return error_set(err, ERROR_DATA, "%s is %s, not a number", what, type_name(value));
	*number = json_number_value(value);
	return true;
}
