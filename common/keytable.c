#include "common/keytable.h"

#include "common/edit_distance.h"
#include "common/mem.h"

#include <stdlib.h>
#include <string.h>

/* ---- Fields ---- */

/* Moves the value into its field; what was there is freed. */
static void store(const struct key *key, struct key_value *value, void *base, bool said) {
	char *field = (char *)base + key->offset;
	if (key->said_offset != 0)
		memcpy((char *)base + key->said_offset, &said, sizeof said);
	if ((key->flags & KEY_UNSTORED) != 0) {
		key_value_free(value);
		return;
	}
	unsigned choice = (unsigned)value->integer; /* an enum without negative values */
	struct key_value old = {0};
	switch (key->type) {
	case KEY_BOOL:
		memcpy(field, &value->boolean, sizeof value->boolean);
		break;
	case KEY_FLOAT:
		memcpy(field, &value->real, sizeof value->real);
		break;
	case KEY_CHOICE:
		memcpy(field, &choice, sizeof choice);
		break;
	case KEY_STRING:
		memcpy(&old.string, field, sizeof old.string);
		memcpy(field, &value->string, sizeof value->string);
		break;
	case KEY_STRINGS:
		memcpy(&old.strings, field, sizeof old.strings);
		memcpy(&old.nstrings, (char *)base + key->count_offset, sizeof old.nstrings);
		memcpy(field, &value->strings, sizeof value->strings);
		memcpy((char *)base + key->count_offset, &value->nstrings, sizeof value->nstrings);
		break;
	default:
		memcpy(field, &value->integer, sizeof value->integer);
		break;
	}
	key_value_free(&old);
	*value = (struct key_value){0};
}

/* The field's value; strings are borrowed. */
static struct key_value fetch(const struct key *key, const void *base) {
	const char *field = (const char *)base + key->offset;
	struct key_value value = {0};
	unsigned choice = 0;
	switch (key->type) {
	case KEY_BOOL:
		memcpy(&value.boolean, field, sizeof value.boolean);
		break;
	case KEY_FLOAT:
		memcpy(&value.real, field, sizeof value.real);
		break;
	case KEY_CHOICE:
		memcpy(&choice, field, sizeof choice);
		value.integer = choice;
		break;
	case KEY_STRING:
		memcpy(&value.string, field, sizeof value.string);
		break;
	case KEY_STRINGS:
		memcpy(&value.strings, field, sizeof value.strings);
		memcpy(&value.nstrings, (const char *)base + key->count_offset, sizeof value.nstrings);
		break;
	default:
		memcpy(&value.integer, field, sizeof value.integer);
		break;
	}
	return value;
}

void keytable_defaults(const struct key *keys, void *base) {
	for (const struct key *key = keys; key->name != NULL; key++) {
		struct key_value value;
		if (key->type != KEY_CUSTOM && key->fallback != NULL && key_value_from_text(key, key->fallback, &value, NULL))
			store(key, &value, base, false);
	}
}

void keytable_clear(const struct key *keys, void *base) {
	for (const struct key *key = keys; key->name != NULL; key++) {
		struct key_value none = {0};
		if (key->type != KEY_CUSTOM)
			store(key, &none, base, false);
	}
}

void keytable_canonical(const struct key *keys, const void *base, struct strbuf *out) {
	for (const struct key *key = keys; key->name != NULL; key++) {
		if (key->type == KEY_CUSTOM || (key->flags & (KEY_UNSTORED | KEY_LATER | KEY_SET_ONLY)) != 0)
			continue;
		struct key_value value = fetch(key, base);
		bool said = true;
		if (key->said_offset != 0)
			memcpy(&said, (const char *)base + key->said_offset, sizeof said);
		autofree char *text = key_value_format(key, &value);
		/* With its length: no text can pass for another key's. */
		const char *fallback = key->fallback != NULL ? key->fallback : "";
		bool silent = (key->flags & KEY_NEWER) != 0 && text != NULL && strcmp(text, fallback) == 0;
		if (said && !silent && text != NULL)
			strbuf_printf(out, "%s=%zu:%s\n", key->name, strlen(text), text);
	}
}

/* ---- Names ---- */

const struct key *keytable_find(const struct key *keys, const char *name) {
	for (const struct key *key = keys; key->name != NULL; key++)
		if (strcmp(key->name, name) == 0)
			return key;
	return NULL;
}

static const char *last_part(const char *name) {
	const char *dot = strrchr(name, '.');
	return dot != NULL ? dot + 1 : name;
}

const struct key *keytable_nearest(const struct key *keys, const char *name) {
	const struct key *nearest = NULL;
	size_t longest = strlen(last_part(name)) / 3;
	size_t best = (longest < 1 ? 1 : longest > 3 ? 3 : longest) + 1;
	for (const struct key *key = keys; key->name != NULL; key++) {
		size_t distance = edit_distance(name, key->name);
		/* A key in the wrong group is nearer than a key that only looks alike. */
		size_t elsewhere = edit_distance(last_part(name), last_part(key->name));
		if (elsewhere < distance && elsewhere <= 1 && strlen(last_part(name)) > 2)
			distance = elsewhere + 1;
		if (distance < best) {
			best = distance;
			nearest = key;
		}
	}
	return nearest;
}

static bool is_group(const struct key *keys, const char *name) {
	size_t length = strlen(name);
	for (const struct key *key = keys; key->name != NULL; key++)
		if (strncmp(key->name, name, length) == 0 && key->name[length] == '.')
			return true;
	return false;
}

static bool hint_nearest(const struct key *keys, const char *name, struct error *err) {
	const struct key *nearest = keytable_nearest(keys, name);
	if (nearest != NULL)
		return error_hint(err, "did you mean %s?", nearest->name);
	return error_hint(err, "the reference in the documentation lists the keys");
}

/* ---- Loading ---- */

config_setting_t *keytable_setting(const struct keytable_document *document, config_setting_t *group, const char *name) {
	return config_setting_lookup(group != NULL ? group : config_root_setting(&document->config), name);
}

static unsigned line_of(const config_setting_t *setting) {
	return setting != NULL && config_setting_source_line(setting) > 0 ? config_setting_source_line(setting) : 1;
}

bool keytable_fail(const struct keytable_document *document, const config_setting_t *setting, const char *key, struct error *err,
                   const char *format, ...) {
	va_list args;
	va_start(args, format);
	autofree char *message = mem_vprintf(format, args);
	va_end(args);
	return error_set(err, document->code, "%s:%u: %s%s%s", document->name, line_of(setting), key != NULL ? key : "",
	                 key != NULL ? ": " : "", message);
}

/* Puts the place before a message that says only what is wrong. */
static bool place(const struct keytable_document *document, const config_setting_t *setting, const struct key *key,
                  struct error *err) {
	if (err != NULL)
		err->code = document->code;
	return error_prefix(err, "%s:%u: %s", document->name, line_of(setting), key->name);
}

static bool is_quoted(const struct key *key) {
	return key->type != KEY_BOOL && key->type != KEY_INT && key->type != KEY_FLOAT;
}

/* A value that asks for what is not built yet is refused, so that nobody believes that it works. */
static bool check_built(const struct key *key, const struct key_value *value, struct error *err) {
	if ((key->flags & KEY_LATER) == 0)
		return true;
	const char *off = key->off != NULL ? key->off : key->fallback;
	autofree char *text = key_value_format(key, value);
	if (off != NULL && text != NULL && strcmp(text, off) == 0)
		return true;
	if (key->type == KEY_STRINGS && value->nstrings == 0)
		return true;
	if (off == NULL || key->type == KEY_STRINGS)
		return error_set(err, ERROR_DATA, "not built yet; leave it out");
	const char *quote = is_quoted(key) ? "\"" : "";
	return error_set(err, ERROR_DATA, "not built yet; leave it out or set it to %s%s%s", quote, off, quote);
}

bool keytable_string(const struct keytable_document *document, const struct key *key, const config_setting_t *setting,
                     const char **value, struct error *err) {
	struct key as_string = *key;
	as_string.type = KEY_STRING;
	struct key_value v;
	if (!key_value_from_setting(&as_string, setting, &v, err))
		return place(document, setting, key, err);
	key_value_free(&v);
	*value = config_setting_get_string(setting);
	return true;
}

static bool load_key(const struct keytable_document *document, const struct key *key, config_setting_t *setting, void *base,
                     struct error *err) {
	if ((key->flags & KEY_SET_ONLY) != 0) {
		keytable_fail(document, setting, key->name, err, "not a key of the file");
		return error_hint(err, "backfillctl set JOB %s=… changes it while the job runs", key->name);
	}
	if (key->type == KEY_CUSTOM)
		return key->load(document, key, setting, base, err);
	struct key_value value;
	if (!key_value_from_setting(key, setting, &value, err))
		return place(document, setting, key, err);
	if (!check_built(key, &value, err)) {
		key_value_free(&value);
		return place(document, setting, key, err);
	}
	store(key, &value, base, true);
	return true;
}

static bool load_group(const struct keytable_document *document, config_setting_t *group, const char *prefix,
                       const struct key *keys, void *base, struct error *err) {
	for (int i = 0; i < config_setting_length(group); i++) {
		config_setting_t *setting = config_setting_get_elem(group, (unsigned)i);
		autofree char *name = mem_printf("%s%s%s", prefix, prefix[0] != '\0' ? "." : "", config_setting_name(setting));
		const struct key *key = keytable_find(keys, name);
		if (key != NULL) {
			if (!load_key(document, key, setting, base, err))
				return false;
		} else if (!is_group(keys, name)) {
			keytable_fail(document, setting, NULL, err, "unknown key %.80s", name);
			return hint_nearest(keys, name, err);
		} else if (!config_setting_is_group(setting)) {
			keytable_fail(document, setting, name, err, "a group is wanted");
			return error_hint(err, "%s = { key = value; };", name);
		} else if (!load_group(document, setting, name, keys, base, err)) {
			return false;
		}
	}
	return true;
}

bool keytable_load(const struct keytable_document *document, config_setting_t *group, const struct key *keys, void *base,
                   struct error *err) {
	if (group == NULL)
		group = config_root_setting(&document->config);
	keytable_defaults(keys, base);
	if (!load_group(document, group, "", keys, base, err))
		return false;
	for (const struct key *key = keys; key->name != NULL; key++) {
		if ((key->flags & KEY_REQUIRED) != 0 && keytable_setting(document, group, key->name) == NULL) {
			keytable_fail(document, group, key->name, err, "missing, but required");
			return error_hint(err, "%s: %s", key->name, key->doc);
		}
	}
	return true;
}

/* ---- set KEY=VALUE ---- */

static bool fail_set(const struct key *key, struct error *err) {
	if (err != NULL)
		err->code = ERROR_USAGE;
	return error_prefix(err, "%s", key->name);
}

bool keytable_set(const struct key *keys, const char *name, const char *value, void *base, struct error *err) {
	const struct key *key = keytable_find(keys, name);
	if (key == NULL) {
		error_set(err, ERROR_USAGE, "unknown key %.80s", name);
		return hint_nearest(keys, name, err);
	}
	if ((key->flags & KEY_LIVE) == 0) {
		error_set(err, ERROR_USAGE, "%s: can't be changed once the job is submitted", name);
		return error_hint(
			err,
			"cancel the job and submit another with a new id; batch.*, throttle.*, guards.*, windows and timezone can be set");
	}
	struct key_value v;
	if (!key_value_from_text(key, value, &v, err))
		return fail_set(key, err);
	if (!check_built(key, &v, err)) {
		key_value_free(&v);
		return fail_set(key, err);
	}
	store(key, &v, base, true);
	return true;
}
