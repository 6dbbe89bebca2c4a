#include "daemon/base/config.h"

#include "common/limit_keys.h"
#include "common/mem.h"
#include "daemon/base/config_keys.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- URLs ---- */

static int hex_digit(char c) {
	return isdigit((unsigned char)c) ? c - '0' : isxdigit((unsigned char)c) ? tolower((unsigned char)c) - 'a' + 10 : -1;
}

/* Is the parameter that begins at `at` ("name=…") of that name? libpq decodes %xx in names too. */
static bool is_parameter(const char *at, const char *name) {
	for (; *name != '\0'; name++) {
		char c = *at++;
		if (c == '%' && hex_digit(at[0]) >= 0 && hex_digit(at[1]) >= 0) {
			c = (char)(hex_digit(at[0]) * 16 + hex_digit(at[1]));
			at += 2;
		}
		if (c != *name)
			return false;
	}
	return *at == '=';
}

/* Is there a host's port behind the first colon, or none at all, rather than a password with a bare / or ? in it? */
static bool has_port(const char *authority) {
	const char *colon = authority + strcspn(authority, ":/?");
	return authority[0] == '[' || *colon != ':' || strchr(",/?", colon[1 + strspn(colon + 1, "0123456789%")]) != NULL;
}

/*
 * Where the user's part ends: the last @ before the parameters, so that a password with an unescaped @, / or ? is
 * covered too. NULL: there is none.
 */
static const char *find_user_end(const char *authority) {
	const char *at = strchr(authority, '@');
	if (at == NULL)
		return NULL;
	/* libpq looks for a user before the first / only; behind both, the @ is a parameter's: host/db?name=a@b, ?host=/x&name=a@b.
	 * Or all of it is a password: then nobody knows where it ends. */
	const char *slash = strchr(authority, '/'), *question = strchr(authority, '?');
	if (slash != NULL && question != NULL && slash < at && question < at)
		return has_port(authority) ? NULL : authority + strlen(authority);
	size_t length = strcspn(at, "?");
	const char *last = at;
	for (size_t i = 0; i < length; i++)
		if (at[i] == '@')
			last = at + i;
	return last;
}

char *config_mask_url(const char *url) {
	autostrbuf out = {0};
	const char *scheme = strstr(url, "://");
	const char *at = scheme != NULL ? scheme + 3 : url;
	const char *end = find_user_end(at), *colon = strchr(at, ':');
	strbuf_add_n(&out, url, (size_t)(at - url));
	if (end != NULL && colon != NULL && colon < end) {
		strbuf_add_n(&out, at, (size_t)(colon + 1 - at));
		strbuf_add(&out, "****");
		at = end;
	}
	size_t length = strcspn(end != NULL ? end : at, "?");
	const char *parameters = (end != NULL ? end : at) + length;
	strbuf_add_n(&out, at, (size_t)(parameters - at));
	while (*parameters != '\0') {
		strbuf_add_n(&out, parameters++, 1); /* ? or & */
		size_t part = strcspn(parameters, "&");
		if (is_parameter(parameters, "password") || is_parameter(parameters, "sslpassword")) {
			strbuf_add_n(&out, parameters, strcspn(parameters, "=") + 1);
			strbuf_add(&out, "****");
		} else {
			strbuf_add_n(&out, parameters, part);
		}
		parameters += part;
	}
	return strbuf_take(&out);
}

static bool has_password(const char *url) {
	autofree char *masked = config_mask_url(url);
	return strcmp(masked, url) != 0;
}

static bool has_prefix(const char *text, const char *prefix) {
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

static bool check_url(const struct keytable_document *d, config_setting_t *group, const char *key, const char *url,
                      struct error *err) {
	static const char *const schemes[] = {"postgresql://", "postgres://", "mysql://", "mariadb://"};
	const config_setting_t *setting = keytable_setting(d, group, key);
	bool ok = url == NULL;
	for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++)
		ok = ok || has_prefix(url, schemes[i]);
	if (ok)
		return true;
	keytable_fail(d, setting, key, err, "not a URL of a database");
	return error_hint(err, "postgresql://user@host/database, as libpq takes it, or mysql://user@host:port/database");
}

/* ---- Replicas and targets ---- */

static bool check_is_list(const struct keytable_document *d, const struct key *key, const config_setting_t *setting,
                          struct error *err) {
	if (config_setting_is_list(setting))
		return true;
	keytable_fail(d, setting, key->name, err, "a list of groups is wanted");
	return error_hint(err, "%s = ( { name = \"…\"; url = \"…\"; } );", key->name);
}

static bool check_is_group(const struct keytable_document *d, const struct key *key, const config_setting_t *setting,
                           struct error *err) {
	if (config_setting_is_group(setting))
		return true;
	keytable_fail(d, setting, key->name, err, "a group { … } is wanted in the list");
	return error_hint(err, "%s = ( { name = \"…\"; url = \"…\"; } );", key->name);
}

static bool load_replicas(const struct keytable_document *d, const struct key *key, config_setting_t *setting, void *base,
                          struct error *err) {
	struct config_target *target = base;
	if (!check_is_list(d, key, setting, err))
		return false;
	size_t count = (size_t)config_setting_length(setting);
	target->replicas = mem_alloc((count + 1) * sizeof *target->replicas);
	target->nreplicas = count;
	for (size_t i = 0; i < count; i++) {
		config_setting_t *group = config_setting_get_elem(setting, (unsigned)i);
		struct config_replica *replica = &target->replicas[i];
		if (!check_is_group(d, key, group, err) || !keytable_load(d, group, config_replica_keys, replica, err) ||
		    !check_url(d, group, "url", replica->url, err))
			return false;
		for (size_t j = 0; j < i; j++)
			if (strcmp(target->replicas[j].name, replica->name) == 0)
				return keytable_fail(d, keytable_setting(d, group, "name"), "name", err,
				                     "this target has two replicas named \"%s\"", replica->name);
	}
	return true;
}

static bool load_target(const struct keytable_document *d, config_setting_t *group, struct config_target *target,
                        struct error *err) {
	if (!keytable_load(d, group, config_target_keys, target, err) || !check_url(d, group, "url", target->url, err) ||
	    !check_url(d, group, "admin_url", target->admin_url, err) ||
	    !limit_keys_check_latency(d, group, &target->throttle, true, err))
		return false;
	if (target->admin_url == NULL)
		target->admin_url = mem_dup(target->url);
	if (target->napprovals > 0 && strcmp(target->environment, "production") == 0) {
		keytable_fail(d, keytable_setting(d, group, "approvals"), "approvals", err,
		              "not built yet for environment \"production\"; leave it out until then");
		return error_hint(err, "without it `submit` asks for the database's name (--confirm)");
	}
	return true;
}

static bool load_targets(const struct keytable_document *d, const struct key *key, config_setting_t *setting, void *base,
                         struct error *err) {
	struct config *config = base;
	if (!check_is_list(d, key, setting, err))
		return false;
	size_t count = (size_t)config_setting_length(setting);
	config->targets = mem_alloc((count + 1) * sizeof *config->targets);
	config->ntargets = count;
	for (size_t i = 0; i < count; i++) {
		config_setting_t *group = config_setting_get_elem(setting, (unsigned)i);
		if (!check_is_group(d, key, group, err) || !load_target(d, group, &config->targets[i], err))
			return false;
		for (size_t j = 0; j < i; j++) {
			if (strcmp(config->targets[j].name, config->targets[i].name) == 0)
				return keytable_fail(d, keytable_setting(d, group, "name"), "name", err, "two targets are named \"%s\"",
				                     config->targets[i].name);
			if (strcmp(config->targets[j].url, config->targets[i].url) == 0)
				return keytable_fail(d, keytable_setting(d, group, "url"), "url", err,
				                     "targets \"%s\" and \"%s\" lead to the same database", config->targets[j].name,
				                     config->targets[i].name);
		}
	}
	return true;
}

/* ---- The tables ---- */

#define TARGET_NAME "^[a-zA-Z_][a-zA-Z0-9_-]{0,62}$"
#define NAME_WANTED "a name (letters, digits, _ and -, at most 63)"
#define CONFIG(MEMBER) .offset = offsetof(struct config, MEMBER)
#define TARGET(MEMBER) .offset = offsetof(struct config_target, MEMBER)

const struct key config_keys[] = {
	{.name = "control.socket",
     .type = KEY_STRING,
     CONFIG(control.socket),
     .min = 1,
     .max = 107, /* sun_path, with its NUL */
     .pattern = "^/",
     .wanted = "an absolute path",
     .fallback = "/run/backfilld/control.sock",
     .doc = "The socket that backfillctl speaks to; a lock file stands beside it."},
	{.name = "control.operators",
     .type = KEY_STRING,
     CONFIG(control.operators),
     .max = 64,
     .doc = "The group that may change jobs. Root and the daemon's own user always may."},
	{.name = "control.viewers", .type = KEY_STRING, CONFIG(control.viewers), .max = 64, .doc = "The group that may look."},
	{.name = "http.listen",
     .type = KEY_STRING,
     .flags = KEY_LATER | KEY_UNSTORED,
     .max = 255,
     .fallback = "",
     .doc = "host:port of metrics, API and dashboard; empty = off."},
	{.name = "state_dir",
     .type = KEY_STRING,
     CONFIG(state_dir),
     .min = 1,
     .max = 1024,
     .pattern = "^/",
     .wanted = "an absolute path",
     .fallback = "/var/lib/backfilld",
     .doc = "A directory of the daemon's own. Nothing that a job needs to survive is there."},
	{.name = "emergency_stop.files",
     .type = KEY_STRINGS,
     CONFIG(stop_files),
     .count_offset = offsetof(struct config, nstop_files),
     .min = 1,
     .max = 16,
     .pattern = "^/.*[^/]$",
     .wanted = "an absolute path of a file",
     .fallback = "/var/lib/backfilld/EMERGENCY_STOP",
     .doc = "While one of them exists no batch starts. Not in /run: systemd empties it. A directory that can't be read counts as "
            "stop."},
	{.name = "emergency_stop.cancel_in_flight",
     .type = KEY_BOOL,
     CONFIG(cancel_in_flight),
     .fallback = "false",
     .doc = "true: an emergency stop cancels the batch in flight instead of letting it commit."},
	{.name = "shutdown_grace",
     .type = KEY_DURATION,
     CONFIG(shutdown_grace_ms),
     .max = 10 * 60e3,
     .fallback = "10s",
     .doc = "How long SIGTERM waits for a batch in flight."},
	{.name = "targets",
     .type = KEY_CUSTOM,
     CONFIG(targets),
     .wanted = "list of groups",
     .load = load_targets,
     .doc = "The databases; the keys of each are below."},
	{.name = "webhooks",
     .type = KEY_CUSTOM,
     .flags = KEY_LATER | KEY_UNSTORED,
     .wanted = "list of groups",
     .load = limit_keys_load_later,
     .doc = "Where events are posted to."},
	{0},
};

const struct key config_target_keys[] = {
	{.name = "name",
     .type = KEY_STRING,
     .flags = KEY_REQUIRED,
     TARGET(name),
     .pattern = TARGET_NAME,
     .wanted = NAME_WANTED,
     .doc = "What jobs call it. A job is done by daemons that have a target of this name, on whatever host."},
	{.name = "url",
     .type = KEY_STRING,
     .flags = KEY_REQUIRED | KEY_SECRET,
     TARGET(url),
     .min = 1,
     .max = 4096,
     .doc = "postgresql://… of the primary, as libpq takes it; or mysql://… (docs/mysql.md). Passwords belong into a "
            "password file, not here."},
	{.name = "admin_url",
     .type = KEY_STRING,
     .flags = KEY_SECRET,
     TARGET(admin_url),
     .min = 1,
     .max = 4096,
     .doc = "Used by `init` alone, for a role that may create the control tables; left out: url."},
	{.name = "replicas",
     .type = KEY_CUSTOM,
     TARGET(replicas),
     .wanted = "list of groups { name; url }",
     .load = load_replicas,
     .doc = "Replicas whose lag is read on themselves; left out: what the primary knows of its replicas."},
	{.name = "environment",
     .type = KEY_STRING,
     TARGET(environment),
     .min = 1,
     .max = 63,
     .pattern = "^[a-zA-Z0-9_-]+$",
     .wanted = "a name (letters, digits, _ and -)",
     .fallback = "production",
     .doc = "Anything but production skips approvals and the confirmation by name."},
	{.name = "max_workers",
     .type = KEY_INT,
     TARGET(max_workers),
     .min = 1,
     .max = 64,
     .fallback = "2",
     .doc = "Batches in flight on this target, all jobs together."},
	{.name = "approvals",
     .type = KEY_STRINGS,
     TARGET(approvals),
     .count_offset = offsetof(struct config_target, napprovals),
     .max = 16,
     .pattern = "^[a-zA-Z_][a-zA-Z0-9_-]{0,62}$",
     .wanted = "an approval's name",
     .doc = "What has to be ticked before a job starts. Not built yet for production."},
	{.name = "owner_timeout",
     .type = KEY_DURATION,
     TARGET(owner_timeout_ms),
     .min = 1000,
     .max = MS_PER_HOUR,
     .fallback = "10s",
     .doc = "After so much silence of its owner another daemon may claim a job."},
	THROTTLE_KEYS(struct config_target, throttle),
	GUARD_KEYS(struct config_target, guards),
	{0},
};

const struct key config_replica_keys[] = {
	{.name = "name",
     .type = KEY_STRING,
     .flags = KEY_REQUIRED,
     .offset = offsetof(struct config_replica, name),
     .pattern = TARGET_NAME,
     .wanted = NAME_WANTED,
     .doc = "What the throttle calls it."},
	{.name = "url",
     .type = KEY_STRING,
     .flags = KEY_REQUIRED | KEY_SECRET,
     .offset = offsetof(struct config_replica, url),
     .min = 1,
     .max = 4096,
     .doc = "Of the replica, with the primary's scheme."},
	{0},
};

/* ---- Reading ---- */

static bool read_file(const char *path, char **text, size_t *length, struct error *err) {
	FILE *file = fopen(path, "re");
	char *buffer = mem_alloc(KEYTABLE_MAX_BYTES + 1);
	size_t got = file != NULL ? fread(buffer, 1, KEYTABLE_MAX_BYTES + 1, file) : 0;
	int problem = file == NULL || ferror(file) ? errno : 0;
	if (file != NULL)
		fclose(file);
	if (problem != 0) {
		free(buffer);
		error_set(err, ERROR_CONFIG, "%s: can't be read: %s", path, strerror(problem));
		return error_hint(err, "backfilld -c FILE names another; its user must be able to read it");
	}
	*text = buffer;
	*length = got;
	return true;
}

static void warn_password(const struct config *config, const char *target, const char *what, const char *url,
                          void (*warn)(const char *message)) {
	if (url == NULL || !has_password(url))
		return;
	autofree char *message = mem_printf(
		"%s: target \"%s\": %s holds a password; a password file (passfile=) or an option file (read_default_file=) keeps it out "
		"of the configuration",
		config->path, target, what);
	warn(message);
}

static void warn_passwords(const struct config *config, void (*warn)(const char *message)) {
	for (size_t i = 0; i < config->ntargets && warn != NULL; i++) {
		const struct config_target *t = &config->targets[i];
		warn_password(config, t->name, "url", t->url, warn);
		if (strcmp(t->admin_url, t->url) != 0)
			warn_password(config, t->name, "admin_url", t->admin_url, warn);
		for (size_t j = 0; j < t->nreplicas; j++) {
			autofree char *what = mem_printf("the url of replica \"%s\"", t->replicas[j].name);
			warn_password(config, t->name, what, t->replicas[j].url, warn);
		}
	}
}

bool config_load(const char *path, void (*warn)(const char *message), struct config **config, struct error *err) {
	autofree char *text = NULL;
	size_t length = 0;
	struct keytable_document *document = NULL;
	if (!read_file(path, &text, &length, err) || !keytable_parse(text, length, path, ERROR_CONFIG, &document, err))
		return false;
	struct config *c = mem_alloc(sizeof *c);
	c->path = mem_dup(path);
	bool ok = keytable_load(document, NULL, config_keys, c, err);
	keytable_document_free(document);
	if (!ok) {
		config_free(c);
		return false;
	}
	warn_passwords(c, warn);
	*config = c;
	return true;
}

void config_free(struct config *config) {
	if (config == NULL)
		return;
	for (size_t i = 0; i < config->ntargets; i++) {
		struct config_target *target = &config->targets[i];
		for (size_t j = 0; j < target->nreplicas; j++)
			keytable_clear(config_replica_keys, &target->replicas[j]);
		free(target->replicas);
		own_probe_free_all(target->throttle.sql, target->throttle.nsql);
		own_probe_free_all(target->throttle.http, target->throttle.nhttp);
		keytable_clear(config_target_keys, target);
	}
	free(config->targets);
	keytable_clear(config_keys, config);
	free(config->path);
	free(config);
}

const struct config_target *config_find_target(const struct config *config, const char *name) {
	for (size_t i = 0; i < config->ntargets; i++)
		if (strcmp(config->targets[i].name, name) == 0)
			return &config->targets[i];
	return NULL;
}
