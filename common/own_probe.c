#include "common/own_probe.h"

#include "common/limit_keys.h"
#include "common/mem.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_PROBES = 32, MAX_QUERY_BYTES = 16 * 1024 };
#define PROBE(MEMBER) .offset = offsetof(struct own_probe, MEMBER)
/* How often, and from which value on to which: the same for each kind of probe. */
#define PROBE_KEYS(LIMIT_FLAGS, LIMIT_DOC)                                                                                       \
	{.name = "name",                                                                                                             \
	 .type = KEY_STRING,                                                                                                         \
	 .flags = KEY_REQUIRED,                                                                                                      \
	 PROBE(name),                                                                                                                \
	 .pattern = "^[a-zA-Z_][a-zA-Z0-9_]{0,62}$",                                                                                 \
	 .wanted = "a name (letters, digits and _, at most 63)",                                                                     \
	 .doc = "What reasons call it."},                                                                                            \
		{.name = "ok",                                                                                                           \
	     .type = KEY_FLOAT,                                                                                                      \
	     PROBE(ok),                                                                                                              \
	     .said_offset = offsetof(struct own_probe, ok_said),                                                                     \
	     .max = 1e18,                                                                                                            \
	     .doc = "Up to this value there is no pressure. Left out: half the limit."},                                             \
		{.name = "limit",                                                                                                        \
	     .type = KEY_FLOAT,                                                                                                      \
	     .flags = (LIMIT_FLAGS),                                                                                                 \
	     PROBE(limit),                                                                                                           \
	     .min = 1e-9,                                                                                                            \
	     .max = 1e18,                                                                                                            \
	     .doc = "No batch starts while the value is as high as this." LIMIT_DOC},                                                \
	{                                                                                                                            \
		.name = "every", .type = KEY_DURATION, PROBE(every_ms), .min = 100, .max = 10000, .fallback = "5s",                      \
		.doc = "How often it is asked."                                                                                          \
	}

const struct key own_probe_sql_keys[] = {
	PROBE_KEYS(KEY_REQUIRED, ""),
	{.name = "sql",
     .type = KEY_STRING,
     .flags = KEY_REQUIRED,
     PROBE(text),
     .min = 1,
     .max = MAX_QUERY_BYTES,
     .pattern = "^[^;]*$",
     .wanted = "one query, without a semicolon",
     .doc = "One query that answers with one number, asked of the primary in a read-only transaction of at most 1 s. An error, "
            "NULL, no row "
            "or anything but a number holds."},
	{0},
};

const struct key own_probe_http_keys[] = {
	PROBE_KEYS(0, " Left out: only the status counts, 429 is stop and 200 is go, as freno answers."),
	{.name = "url",
     .type = KEY_STRING,
     .flags = KEY_REQUIRED | KEY_SECRET,
     PROBE(text),
     .min = 1,
     .max = LIMIT_URL_BYTES,
     .pattern = LIMIT_URL_PATTERN,
     .wanted = LIMIT_URL_WANTED,
     .doc =
         "What is asked, with user:password@, if need be, which is never shown. It answers with a number, as Prometheus does to "
         "a "
         "query of one series, or with JSON. 429 holds whatever else it says; an error, any other status, no answer within 1 s "
         "or no number where there is a limit holds, too."},
	{.name = "path",
     .type = KEY_STRING,
     PROBE(path),
     .min = 1,
     .max = 200,
     .check = limit_keys_check_path,
     .doc = "Where in the answer's JSON the number stands: `data.p95[0]`."},
	{0},
};

static bool check_limit(const struct keytable_document *document, config_setting_t *group, const struct own_probe *one,
                        struct error *err) {
	const char *alone = one->limit > 0 ? NULL : one->ok_said ? "ok" : one->path != NULL ? "path" : NULL;
	if (alone == NULL)
		return true;
	return keytable_fail(document, keytable_setting(document, group, alone), alone, err,
	                     "tells nothing without limit: only the status counts then");
}

static bool check_one(const struct keytable_document *document, config_setting_t *group, const struct own_probe *list,
                      struct own_probe *one, struct error *err) {
	if (!one->ok_said)
		one->ok = one->limit / 2;
	if (!check_limit(document, group, one, err))
		return false;
	if (one->limit > 0 && one->ok >= one->limit)
		return keytable_fail(document, keytable_setting(document, group, "ok"), "ok", err, "%.10g is not below limit, %.10g",
		                     one->ok, one->limit);
	if (own_probe_find(list, (size_t)(one - list), one->name) != NULL)
		return keytable_fail(document, keytable_setting(document, group, "name"), "name", err, "two probes are named \"%s\"",
		                     one->name);
	return true;
}

static bool load(const struct keytable_document *document, const struct key *key, config_setting_t *setting, void *base,
                 bool is_http, struct error *err) {
	bool is_list = config_setting_is_list(setting) || (config_setting_is_array(setting) && config_setting_length(setting) == 0);
	size_t count = is_list ? (size_t)config_setting_length(setting) : 0;
	if (!is_list || count > MAX_PROBES) {
		keytable_fail(document, setting, key->name, err, is_list ? "more than 32 probes" : "a list of groups is wanted");
		return error_hint(err, is_http ? "http = ( { name = \"…\"; url = \"…\"; limit = 10; } );"
		                               : "sql = ( { name = \"…\"; sql = \"…\"; limit = 10; } );");
	}
	struct own_probe *list = mem_alloc((count + 1) * sizeof *list);
	memcpy((char *)base + key->offset, &list, sizeof list);
	memcpy((char *)base + key->count_offset, &count, sizeof count);
	for (size_t i = 0; i < count; i++) {
		config_setting_t *group = config_setting_get_elem(setting, (unsigned)i);
		if (!config_setting_is_group(group))
			return keytable_fail(document, group, key->name, err, "a group { … } is wanted in the list");
		if (!keytable_load(document, group, is_http ? own_probe_http_keys : own_probe_sql_keys, &list[i], err) ||
		    !check_one(document, group, list, &list[i], err))
			return false;
		list[i].is_http = is_http;
	}
	return true;
}

bool own_probe_load_sql(const struct keytable_document *document, const struct key *key, config_setting_t *setting, void *base,
                        struct error *err) {
	return load(document, key, setting, base, false, err);
}

bool own_probe_load_http(const struct keytable_document *document, const struct key *key, config_setting_t *setting, void *base,
                         struct error *err) {
	return load(document, key, setting, base, true, err);
}

static struct own_probe copy_of(const struct own_probe *one) {
	struct own_probe copy = *one;
	copy.name = mem_dup(one->name);
	copy.text = mem_dup(one->text);
	copy.path = mem_dup(one->path);
	return copy;
}

static void clear(struct own_probe *one) {
	free(one->name);
	free(one->text);
	free(one->path);
}

struct own_probe *own_probe_copy_all(const struct own_probe *list, size_t count) {
	struct own_probe *copy = count > 0 ? mem_alloc(count * sizeof *copy) : NULL;
	for (size_t i = 0; i < count; i++)
		copy[i] = copy_of(&list[i]);
	return copy;
}

void own_probe_free_all(struct own_probe *list, size_t count) {
	for (size_t i = 0; i < count; i++)
		clear(&list[i]);
	free(list);
}

const struct own_probe *own_probe_find(const struct own_probe *list, size_t count, const char *name) {
	for (size_t i = 0; i < count; i++)
		if (strcmp(list[i].name, name) == 0)
			return &list[i];
	return NULL;
}

void own_probe_inherit(struct own_probe **list, size_t *count, const struct own_probe *target, size_t ntarget) {
	size_t kept = 0;
	for (size_t i = 0; i < *count; i++) {
		if ((*list)[i].inherited)
			clear(&(*list)[i]);
		else
			(*list)[kept++] = (*list)[i];
	}
	*list = mem_resize(*list, kept + ntarget + 1, sizeof **list);
	for (size_t i = 0; i < ntarget; i++) {
		if (own_probe_find(*list, kept, target[i].name) != NULL)
			continue; /* the target got it after the job was submitted */
		(*list)[kept] = copy_of(&target[i]);
		(*list)[kept++].inherited = true;
	}
	*count = kept;
}

void own_probe_canonical(const char *key, const struct own_probe *list, size_t count, struct strbuf *out) {
	for (size_t i = 0; i < count; i++) {
		const struct own_probe *p = &list[i];
		if (p->inherited)
			continue;
		autofree char *text =
			mem_printf("%zu:%s%zu:%s%zu:%s%.15g %.15g %" PRId64, strlen(p->name), p->name, strlen(p->text), p->text,
		               p->path != NULL ? strlen(p->path) : 0, p->path != NULL ? p->path : "", p->ok, p->limit, p->every_ms);
		strbuf_printf(out, "%s=%zu:%s\n", key, strlen(text), text);
	}
}
