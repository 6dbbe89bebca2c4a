#include "common/jobfile.h"

#include "common/jobfile_keys.h"
#include "common/limit_keys.h"
#include "common/mem.h"
#include "common/own_probe.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

static const char *const kinds[] = {[JOB_UPDATE] = "update", [JOB_INSERT] = "insert", [JOB_STATEMENT] = "statement"};

const char *job_kind_name(enum job_kind kind) {
	return kinds[kind];
}

static void free_assignments(struct assignment *list, size_t count) {
	for (size_t i = 0; i < count; i++) {
		free(list[i].column);
		free(list[i].expr);
	}
	free(list);
}

void jobfile_free(struct jobfile *job) {
	if (job == NULL)
		return;
	keytable_clear(jobfile_keys, job);
	free(job->schema);
	free(job->table);
	free(job->into_schema);
	free(job->into_table);
	free_assignments(job->set, job->nset);
	free_assignments(job->columns, job->ncolumns);
	own_probe_free_all(job->settings.throttle.sql, job->settings.throttle.nsql);
	own_probe_free_all(job->settings.throttle.http, job->settings.throttle.nhttp);
	free(job);
}

/* ---- Checks between keys ---- */

static char *scope_names(unsigned scope) {
	autostrbuf text = {0};
	for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
		if ((scope & (1U << i)) != 0)
			strbuf_printf(&text, "%s%s", text.length > 0 ? " and " : "", kinds[i]);
	return strbuf_take(&text);
}

static bool check_scope(const struct keytable_document *d, const struct jobfile *job, struct error *err) {
	for (const struct key *key = jobfile_keys; key->name != NULL; key++) {
		const config_setting_t *setting = keytable_setting(d, NULL, key->name);
		if (setting == NULL || key->scope == 0 || (key->scope & (1U << job->kind)) != 0)
			continue;
		autofree char *names = scope_names(key->scope);
		keytable_fail(d, setting, key->name, err, "not a key of kind \"%s\"", kinds[job->kind]);
		return error_hint(err, "%s belongs to kind %s", key->name, names);
	}
	return true;
}

static bool check_required(const struct keytable_document *d, const struct jobfile *job, struct error *err) {
	static const char *const required[][2] = {
		[JOB_UPDATE] = {"set"}, [JOB_INSERT] = {"into", "columns"}, [JOB_STATEMENT] = {"statement"}};
	for (size_t i = 0; i < 2 && required[job->kind][i] != NULL; i++) {
		const char *name = required[job->kind][i];
		if (keytable_setting(d, NULL, name) == NULL) {
			keytable_fail(d, keytable_setting(d, NULL, "kind"), name, err, "missing: kind \"%s\" needs it", kinds[job->kind]);
			return error_hint(err, "%s", keytable_find(jobfile_keys, name)->doc);
		}
	}
	if (job->kind == JOB_STATEMENT && keytable_setting(d, NULL, "rollback.keep_old_values") == NULL) {
		keytable_fail(d, keytable_setting(d, NULL, "kind"), "rollback.keep_old_values", err,
		              "missing: a statement can't be rolled back, which must be said");
		return error_hint(err, "rollback = { keep_old_values = false; };");
	}
	if (job->kind == JOB_STATEMENT && job->keep_old_values) {
		const char *name = "rollback.keep_old_values";
		keytable_fail(d, keytable_setting(d, NULL, name), name, err, "a statement's old values can't be kept");
		return error_hint(err, "rollback = { keep_old_values = false; };");
	}
	return true;
}

static bool check_no_twins(const struct keytable_document *d, const char *key, char *const *names, size_t count,
                           struct error *err) {
	for (size_t i = 0; i < count; i++)
		for (size_t j = 0; j < i; j++)
			if (strcmp(names[i], names[j]) == 0)
				return keytable_fail(d, keytable_setting(d, NULL, key), key, err, "column %s stands twice", names[i]);
	return true;
}

/* The key that breaks an order and what it must be; NULL if all is well. */
static const char *check_batch(const struct job_settings *s, char *message, size_t size) {
	if (s->batch.min_rows > s->batch.rows) {
		snprintf(message, size, "%lld is more than batch.rows, %lld", (long long)s->batch.min_rows, (long long)s->batch.rows);
		return "batch.min_rows";
	}
	if (s->batch.max_rows < s->batch.rows) {
		snprintf(message, size, "%lld is less than batch.rows, %lld", (long long)s->batch.max_rows, (long long)s->batch.rows);
		return "batch.max_rows";
	}
	return NULL;
}

static const char batch_hint[] = "batch.min_rows <= batch.rows <= batch.max_rows";

static bool check_settings(const struct keytable_document *d, const struct jobfile *job, struct error *err) {
	char message[128];
	const char *key = check_batch(&job->settings, message, sizeof message);
	if (key == NULL)
		return true;
	const config_setting_t *setting = keytable_setting(d, NULL, key);
	/* One that was not said has its default: then the other one is to blame. */
	keytable_fail(d, setting != NULL ? setting : keytable_setting(d, NULL, "batch.rows"), key, err, "%s", message);
	return error_hint(err, "%s", batch_hint);
}

/* ---- Identity ---- */

static void add_text(struct strbuf *out, const char *name, const char *text) {
	if (text != NULL)
		strbuf_printf(out, "%s=%zu:%s\n", name, strlen(text), text);
}

static int by_column(const void *a, const void *b) {
	const struct assignment *x = a, *y = b;
	return strcmp(x->column, y->column);
}

/* Sorted: the order of columns means nothing, neither in UPDATE nor in INSERT with named columns. */
static void add_assignments(struct strbuf *out, const char *name, const struct assignment *list, size_t count) {
	if (count == 0)
		return;
	autofree struct assignment *sorted = mem_alloc(count * sizeof *sorted);
	memcpy(sorted, list, count * sizeof *sorted);
	qsort(sorted, count, sizeof *sorted, by_column);
	for (size_t i = 0; i < count; i++) {
		add_text(out, name, sorted[i].column);
		add_text(out, "=", sorted[i].expr);
	}
}

/*
 * Every field with its value, so that a default that is written out changes nothing. Keys that are not built yet are
 * left out (they are always off), and a key added later has to be left out at its default: stored jobs keep their sum.
 */
static bool fill_sha256(struct jobfile *job, struct error *err) {
	autostrbuf text = {0};
	keytable_canonical(jobfile_keys, job, &text);
	add_text(&text, "schema", job->schema);
	add_text(&text, "table", job->table);
	add_text(&text, "into.schema", job->into_schema);
	add_text(&text, "into.table", job->into_table);
	add_assignments(&text, "set", job->set, job->nset);
	add_assignments(&text, "columns", job->columns, job->ncolumns);
	own_probe_canonical("throttle.sql", job->settings.throttle.sql, job->settings.throttle.nsql, &text);
	own_probe_canonical("throttle.http", job->settings.throttle.http, job->settings.throttle.nhttp, &text);
	unsigned char sum[EVP_MAX_MD_SIZE];
	unsigned length = 0;
	if (EVP_Digest(text.data, text.length, sum, &length, EVP_sha256(), NULL) != 1)
		return error_set(err, ERROR_INTERNAL, "OpenSSL can't compute SHA-256");
	for (unsigned i = 0; i < length && 2 * i + 2 < sizeof job->sha256; i++)
		snprintf(job->sha256 + (size_t)2 * i, 3, "%02x", sum[i]);
	return true;
}

/* ---- Parsing ---- */

static bool load(const struct keytable_document *d, struct jobfile *job, struct error *err) {
	const config_setting_t *zone = keytable_setting(d, NULL, "timezone");
	job->timezone_line = zone != NULL ? config_setting_source_line(zone) : 1;
	return keytable_load(d, NULL, jobfile_keys, job, err) && check_scope(d, job, err) && check_required(d, job, err) &&
	       check_no_twins(d, "key", job->key, job->nkey, err) &&
	       check_no_twins(d, "conflict_key", job->conflict_key, job->nconflict_key, err) && check_settings(d, job, err) &&
	       limit_keys_check_latency(d, NULL, &job->settings.throttle, false, err) && fill_sha256(job, err);
}

bool jobfile_parse(const char *text, const char *name, struct jobfile **job, struct error *err) {
	struct keytable_document *document = NULL;
	if (!keytable_parse(text, strlen(text), name, ERROR_DATA, &document, err))
		return false;
	struct jobfile *j = mem_alloc(sizeof *j);
	bool ok = load(document, j, err);
	keytable_document_free(document);
	if (ok)
		*job = j;
	else
		jobfile_free(j);
	return ok;
}

/* ---- set ---- */

/* Of what `settings` owns; the rest is as it is. */
static struct job_settings settings_copy(const struct job_settings *settings) {
	struct job_settings copy = *settings;
	copy.throttle.replicas = mem_copy_strings(settings->throttle.replicas, settings->throttle.nreplicas);
	copy.throttle.latency_queries = mem_copy_strings(settings->throttle.latency_queries, settings->throttle.nlatency_queries);
	copy.windows = mem_copy_strings(settings->windows, settings->nwindows);
	copy.timezone = mem_dup(settings->timezone);
	copy.throttle.sql = own_probe_copy_all(settings->throttle.sql, settings->throttle.nsql);
	copy.throttle.http = own_probe_copy_all(settings->throttle.http, settings->throttle.nhttp);
	copy.throttle.latency_url = mem_dup(settings->throttle.latency_url);
	copy.throttle.latency_path = mem_dup(settings->throttle.latency_path);
	return copy;
}

static void settings_clear(struct job_settings *settings) {
	mem_free_strings(settings->throttle.replicas, settings->throttle.nreplicas);
	mem_free_strings(settings->throttle.latency_queries, settings->throttle.nlatency_queries);
	mem_free_strings(settings->windows, settings->nwindows);
	free(settings->timezone);
	own_probe_free_all(settings->throttle.sql, settings->throttle.nsql);
	own_probe_free_all(settings->throttle.http, settings->throttle.nhttp);
	free(settings->throttle.latency_url);
	free(settings->throttle.latency_path);
}

bool jobfile_set_many(struct jobfile *job, const struct jobfile_setting *settings, size_t count, struct error *err) {
	struct job_settings before = settings_copy(&job->settings);
	bool ok = true;
	for (size_t i = 0; i < count && ok; i++)
		ok = keytable_set(jobfile_keys, settings[i].key, settings[i].value, job, err);
	char message[128];
	const char *key = ok ? check_batch(&job->settings, message, sizeof message) : NULL;
	if (key != NULL) {
		ok = error_set(err, ERROR_USAGE, "%s: %s", key, message);
		error_hint(err, "%s", batch_hint);
	}
	settings_clear(ok ? &before : &job->settings);
	if (!ok)
		job->settings = before;
	return ok;
}

bool jobfile_set(struct jobfile *job, const char *key, const char *value, struct error *err) {
	return jobfile_set_many(job, &(struct jobfile_setting){.key = key, .value = value}, 1, err);
}
