/*
 * fuzz_mysql_url.c: a URL of MySQL or MariaDB. Every `~` stands for a secret: where it is read as a password, nothing that we
 * show of the URL has it, and the masked URL still leads to the same place.
 */
#include "common/mem.h"
#include "common/strbuf.h"
#include "daemon/base/config.h"
#include "daemon/engine/engine.h"
#include "daemon/engine/mysql_url.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>

static const char secret[] = "hunter2";

static char *with_secrets(const char *text) {
	autostrbuf url = {0};
	strbuf_add(&url, "mysql://");
	for (; *text != '\0'; text++)
		strbuf_add_n(&url, *text == '~' ? secret : text, *text == '~' ? sizeof secret - 1 : 1);
	return strbuf_take(&url);
}

static bool same(const char *a, const char *b) {
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static bool has_secret(const char *text) {
	return text != NULL && strstr(text, secret) != NULL;
}

static void require_same_place(const struct mysql_url *url, const struct mysql_url *shown) {
	require(same(url->user, shown->user) && same(url->database, shown->database));
	require(url->nhosts == shown->nhosts && url->tls == shown->tls);
	for (size_t i = 0; i < url->nhosts; i++)
		require(same(url->hosts[i].name, shown->hosts[i].name) && url->hosts[i].port == shown->hosts[i].port);
	require(same(url->unix_socket, shown->unix_socket) && same(url->read_default_file, shown->read_default_file));
	require(same(url->read_default_group, shown->read_default_group) && same(url->ssl_ca, shown->ssl_ca));
	require(same(url->ssl_cert, shown->ssl_cert) && same(url->ssl_key, shown->ssl_key));
}

static bool is_elsewhere(const struct mysql_url *url) {
	bool found = has_secret(url->user) || has_secret(url->database) || has_secret(url->unix_socket) ||
	             has_secret(url->read_default_file) || has_secret(url->read_default_group) || has_secret(url->ssl_ca) ||
	             has_secret(url->ssl_cert) || has_secret(url->ssl_key);
	for (size_t i = 0; i < url->nhosts; i++)
		found |= has_secret(url->hosts[i].name);
	return found;
}

/* A later option replaces an earlier one, which is then in no field of ours. */
static bool has_two_options(const char *text) {
	const char *query = strchr(text, '?');
	return query != NULL && strchr(query, '=') != strrchr(query, '=');
}

static void require_masked(const char *text, const struct mysql_url *url) {
	autofree char *masked = config_mask_url(text);
	struct mysql_url shown;
	struct error err;
	require(mysql_url_parse(masked, &shown, &err));
	require_same_place(url, &shown);
	require(url->password == NULL || strcmp(shown.password, "****") == 0);
	require(is_elsewhere(url) || has_two_options(text) || !has_secret(masked));
	mysql_url_clear(&shown);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
	autofree char *bytes = fuzz_text(data, size);
	autofree char *text = with_secrets(bytes);
	struct error err = {0};
	struct mysql_url url;
	require(engine_for_url(text, &err) == &engine_mysql);
	if (mysql_url_parse(text, &url, &err)) {
		require(url.nhosts > 0);
		require_masked(text, &url);
		mysql_url_clear(&url);
	} else {
		fuzz_require_error(&err, ERROR_CONFIG);
		require(strstr(err.message, secret) == NULL && strstr(err.hint, secret) == NULL);
	}
	return 0;
}
