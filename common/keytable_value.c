/* keytable_value.c: one value of a key: read from libconfig or from text, checked against its row, and printed. */
#include "common/duration.h"
#include "common/keytable.h"
#include "common/mem.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <regex.h>
#include <stdlib.h>
#include <string.h>

/* Errors here say what is wrong; who calls puts the key and the place before it. */
static bool fail_type(const struct key *key, const char *got, struct error *err) {
	static const char *const wanted[] = {
		[KEY_BOOL] = "true or false", [KEY_INT] = "a whole number",
		[KEY_FLOAT] = "a number",     [KEY_DURATION] = "a duration",
		[KEY_SIZE] = "a size",        [KEY_STRING] = "a string",
		[KEY_CHOICE] = "a string",    [KEY_STRINGS] = "a list of strings",
	};
	error_set(err, ERROR_DATA, "%s is wanted, not %s", wanted[key->type], got);
	if (key->type == KEY_DURATION)
		return error_hint(err, "a whole number with ms, s, m or h, in a file with quotes: \"250ms\", \"2s\", \"5m\", \"1h\"");
	if (key->type == KEY_SIZE)
		return error_hint(err, "a whole number with kB, MB or GB, in a file with quotes: \"64MB\"");
	if (key->type == KEY_STRINGS)
		return error_hint(err, "in a file [ \"a\", \"b\" ], for `set` %s",
		                  (key->flags & KEY_COMMAS) != 0 ? "[\"a\",\"b\"]" : "a,b");
	if (key->type == KEY_STRING || key->type == KEY_CHOICE)
		return error_hint(err, "put it into double quotes");
	return false;
}

static const char *type_name(const config_setting_t *setting) {
	switch (config_setting_type(setting)) {
	case CONFIG_TYPE_GROUP:
		return "a group { … }";
	case CONFIG_TYPE_INT:
	case CONFIG_TYPE_INT64:
		return "a whole number";
	case CONFIG_TYPE_FLOAT:
		return "a fraction";
	case CONFIG_TYPE_STRING:
		return "a string";
	case CONFIG_TYPE_BOOL:
		return "true or false";
	case CONFIG_TYPE_ARRAY:
		return "an array [ … ]";
	default:
		return "a list ( … )";
	}
}

static bool is_bounded(const struct key *key) {
	return key->min < 0 || key->max > 0;
}

char *key_bound_format(const struct key *key, double bound) {
	if (key->type == KEY_DURATION)
		return duration_format_ms((int64_t)bound);
	if (key->type == KEY_SIZE)
		return size_format_bytes((int64_t)bound);
	return mem_printf("%.15g", bound);
}

static bool check_number(const struct key *key, double number, struct error *err) {
	if (isfinite(number) && (!is_bounded(key) || (number >= key->min && number <= key->max)))
		return true;
	struct key_value value = {.integer = (int64_t)(isfinite(number) ? number : 0), .real = number};
	autofree char *got = key_value_format(key, &value), *min = key_bound_format(key, key->min);
	autofree char *max = key_bound_format(key, key->max);
	return error_set(err, ERROR_DATA, "%s is out of range: %s to %s is allowed", got, min, max);
}

static bool matches(const char *pattern, const char *text) {
	regex_t regex;
	if (regcomp(&regex, pattern, REG_EXTENDED | REG_NOSUB) != 0)
		return false;
	bool ok = regexec(&regex, text, 0, NULL, 0) == 0;
	regfree(&regex);
	return ok;
}

static bool check_string(const struct key *key, const char *text, struct error *err) {
	size_t length = strlen(text);
	bool is_list = key->type == KEY_STRINGS; /* there the bounds count strings */
	const char *shown = (key->flags & KEY_SECRET) != 0 ? "…" : text;
	if (!is_list && key->min > 0 && text[strspn(text, " \t\r\n")] == '\0')
		return error_set(err, ERROR_DATA, "must not be empty");
	if (!is_list && is_bounded(key) && (double)length > key->max)
		return error_set(err, ERROR_DATA, "%zu bytes are too long: at most %.0f are allowed", length, key->max);
	if (key->pattern != NULL && !matches(key->pattern, text))
		return error_set(err, ERROR_DATA, "\"%.80s\" is not %s", shown, key->wanted);
	return key->check == NULL || key->check(text, err);
}

static bool check_count(const struct key *key, const struct key_value *value, struct error *err) {
	if (!is_bounded(key) || ((double)value->nstrings >= key->min && (double)value->nstrings <= key->max))
		return true;
	return error_set(err, ERROR_DATA, "%zu strings: %.0f to %.0f are allowed", value->nstrings, key->min, key->max);
}

static bool find_choice(const struct key *key, const char *text, int64_t *index, struct error *err) {
	autostrbuf list = {0};
	for (size_t i = 0; key->choices[i] != NULL; i++) {
		if (strcmp(key->choices[i], text) == 0) {
			*index = (int64_t)i;
			return true;
		}
		strbuf_printf(&list, "%s\"%s\"", i == 0 ? "" : ", ", key->choices[i]);
	}
	error_set(err, ERROR_DATA, "\"%.80s\" is none of its values", text);
	return error_hint(err, "one of %s", list.data);
}

static void add_string(struct key_value *value, const char *text, size_t length) {
	value->strings = mem_resize(value->strings, value->nstrings + 1, sizeof *value->strings);
	value->strings[value->nstrings++] = mem_dup_n(text, length);
}

/* What a file's string and the text of `set` have in common. */
static bool value_from_string(const struct key *key, const char *text, struct key_value *value, struct error *err) {
	switch (key->type) {
	case KEY_DURATION:
		return duration_parse_ms(text, &value->integer) ? check_number(key, (double)value->integer, err)
		                                                : fail_type(key, "this text", err);
	case KEY_SIZE:
		return size_parse_bytes(text, &value->integer) ? check_number(key, (double)value->integer, err)
		                                               : fail_type(key, "this text", err);
	case KEY_STRING:
		value->string = mem_dup(text);
		return check_string(key, text, err);
	case KEY_CHOICE:
		return find_choice(key, text, &value->integer, err);
	default:
		return fail_type(key, "a string", err);
	}
}

static bool strings_from_setting(const struct key *key, const config_setting_t *setting, struct key_value *value,
                                 struct error *err) {
	if (config_setting_type(setting) == CONFIG_TYPE_STRING) {
		const char *text = config_setting_get_string(setting);
		add_string(value, text, strlen(text));
		return check_string(key, text, err) && check_count(key, value, err);
	}
	for (int i = 0; i < config_setting_length(setting); i++) {
		const char *text = config_setting_get_string_elem(setting, i);
		if (text == NULL)
			return fail_type(key, "one with something else in it", err);
		add_string(value, text, strlen(text));
		if (!check_string(key, text, err))
			return false;
	}
	return check_count(key, value, err);
}

static bool value_from_setting(const struct key *key, const config_setting_t *setting, struct key_value *value,
                               struct error *err) {
	int type = config_setting_type(setting);
	bool is_integer = type == CONFIG_TYPE_INT || type == CONFIG_TYPE_INT64;
	if (key->type == KEY_BOOL && type == CONFIG_TYPE_BOOL) {
		value->boolean = config_setting_get_bool(setting) != 0;
		return true;
	}
	if (key->type == KEY_INT && is_integer) {
		value->integer = config_setting_get_int64(setting);
		return check_number(key, (double)value->integer, err);
	}
	if (key->type == KEY_FLOAT && (is_integer || type == CONFIG_TYPE_FLOAT)) {
		value->real = is_integer ? (double)config_setting_get_int64(setting) : config_setting_get_float(setting);
		return check_number(key, value->real, err);
	}
	if (key->type == KEY_STRINGS && (type == CONFIG_TYPE_STRING || type == CONFIG_TYPE_ARRAY || type == CONFIG_TYPE_LIST))
		return strings_from_setting(key, setting, value, err);
	if (type == CONFIG_TYPE_STRING)
		return value_from_string(key, config_setting_get_string(setting), value, err);
	return fail_type(key, type_name(setting), err);
}

bool key_value_from_setting(const struct key *key, const config_setting_t *setting, struct key_value *value, struct error *err) {
	*value = (struct key_value){0};
	if (value_from_setting(key, setting, value, err))
		return true;
	key_value_free(value);
	return false;
}

/* a,b or "a","b", also with the brackets that a file has. */
static bool strings_from_text(const struct key *key, const char *text, struct key_value *value, struct error *err) {
	static const char around[] = " \t[]()";
	bool is_one = (key->flags & KEY_COMMAS) != 0 && strchr(text, '"') == NULL;
	while (*(text += strspn(text, " \t[](),")) != '\0') {
		bool is_quoted = *text == '"';
		text += is_quoted;
		size_t length = strcspn(text, is_quoted ? "\"" : is_one ? "" : ","), kept = length;
		while (!is_quoted && kept > 0 && strchr(around, text[kept - 1]) != NULL)
			kept--;
		add_string(value, text, kept);
		if (is_quoted && text[length] == '\0')
			return fail_type(key, "this text", err);
		text += length + is_quoted;
		text += strspn(text, around);
		if (*text != ',' && *text != '\0')
			return fail_type(key, "this text", err);
	}
	for (size_t i = 0; i < value->nstrings; i++)
		if (!check_string(key, value->strings[i], err))
			return false;
	return check_count(key, value, err);
}

static bool number_from_text(const struct key *key, const char *text, struct key_value *value, struct error *err) {
	char *end = NULL;
	errno = 0;
	bool is_hex = strpbrk(text, "xX") != NULL; /* strtod would take 0x10 */
	if (key->type == KEY_INT)
		value->integer = strtoll(text, &end, 10);
	else
		value->real = strtod(text, &end);
	if (errno != 0 || end == text || *end != '\0' || is_hex || isspace((unsigned char)*text))
		return fail_type(key, "this text", err);
	return check_number(key, key->type == KEY_INT ? (double)value->integer : value->real, err);
}

static bool value_from_text(const struct key *key, const char *text, struct key_value *value, struct error *err) {
	if (key->type == KEY_BOOL) {
		value->boolean = strcmp(text, "true") == 0;
		return value->boolean || strcmp(text, "false") == 0 || fail_type(key, "this text", err);
	}
	if (key->type == KEY_INT || key->type == KEY_FLOAT)
		return number_from_text(key, text, value, err);
	if (key->type == KEY_STRINGS)
		return strings_from_text(key, text, value, err);
	return value_from_string(key, text, value, err);
}

bool key_value_from_text(const struct key *key, const char *text, struct key_value *value, struct error *err) {
	*value = (struct key_value){0};
	if (value_from_text(key, text, value, err))
		return true;
	key_value_free(value);
	return false;
}

char *key_value_format(const struct key *key, const struct key_value *value) {
	switch (key->type) {
	case KEY_BOOL:
		return mem_dup(value->boolean ? "true" : "false");
	case KEY_INT:
		return mem_printf("%" PRId64, value->integer);
	case KEY_FLOAT:
		return mem_printf("%.15g", value->real);
	case KEY_DURATION:
		return duration_format_ms(value->integer);
	case KEY_SIZE:
		return size_format_bytes(value->integer);
	case KEY_CHOICE:
		return mem_dup(key->choices[value->integer]);
	case KEY_STRINGS: {
		autostrbuf list = {0};
		const char *quote = (key->flags & KEY_COMMAS) != 0 ? "\"" : "";
		for (size_t i = 0; i < value->nstrings; i++)
			strbuf_printf(&list, "%s%s%s%s", i == 0 ? "" : ",", quote, value->strings[i], quote);
		return strbuf_take(&list);
	}
	default:
		return mem_dup(value->string);
	}
}

void key_value_free(struct key_value *value) {
	free(value->string);
	mem_free_strings(value->strings, value->nstrings);
	*value = (struct key_value){0};
}
