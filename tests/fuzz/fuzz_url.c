/*
 * fuzz_url.c: a target's URL. Every `~` stands for a secret: where libpq takes it for a password, nothing that we show of
 * the URL has it, and the masked URL still leads to the same place.
 */
#include "common/mem.h"
#include "common/strbuf.h"
#include "daemon/base/config.h"
#include "daemon/engine/postgres.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>

static const char secret[] = "hunter2";

static char *with_secrets(const char *text) {
	autostrbuf url = {0};
	strbuf_add(&url, "postgresql://");
	for (; *text != '\0'; text++)
		strbuf_add_n(&url, *text == '~' ? secret : text, *text == '~' ? sizeof secret - 1 : 1);
	return strbuf_take(&url);
}

static bool is_password(const char *keyword) {
	return strcmp(keyword, "password") == 0 || strcmp(keyword, "sslpassword") == 0;
}

/*
 * Whether libpq's view tells where each secret stands: what a later parameter overrides is in no option. One parameter can
 * override only what stands before it. A ? before the @ is the user's.
 */
static bool is_plain(const char *url) {
	const char *place = strstr(url, "://") + 3, *user_end = place + strcspn(place, "@/");
	const char *query = strchr(*user_end == '@' ? user_end : place, '?');
	return query == NULL || (strchr(query, '=') == strrchr(query, '=') && strstr(url, secret) > query);
}

/*
 * libpq takes anything for an address in brackets, `[h?password=x]`, and for a port, which is then no port of a server. There we
 * may see a password, and mask too much. A bare @ in a parameter is one only because of the / before it, which may be in a
 * password: masked, the @ ends a user.
 */
static bool has_odd_place(const char *url) {
	const char *place = strstr(url, "://") + 3;
	bool has_user = place[strcspn(place, "@/")] == '@';
	const char *colon = place + strcspn(place, ":/?");
	bool odd_port = *colon == ':' && strchr(",/?", colon[1 + strspn(colon + 1, "0123456789")]) == NULL;
	bool odd_at = !has_user && strchr(place, '@') != NULL;
	return strchr(url, '[') != NULL || (!has_user && odd_port) || odd_at;
}

static void require_same_place(const char *masked, const PQconninfoOption *options) {
	PQconninfoOption *shown = PQconninfoParse(masked, NULL);
	require(shown != NULL);
	for (size_t i = 0; options[i].keyword != NULL; i++) {
		const char *value = options[i].val, *seen = shown[i].val;
		/* Of an empty password libpq makes none. */
		if (is_password(options[i].keyword))
			require(seen != NULL ? strcmp(seen, "****") == 0 : value == NULL);
		else
			require(value != NULL ? seen != NULL && strcmp(value, seen) == 0 : seen == NULL);
	}
	PQconninfoFree(shown);
}

/* No address is of these; whoever writes one has written no password. */
static bool has_odd_address(const PQconninfoOption *options) {
	const char *host = postgres_url_option(options, "host");
	return host != NULL && strpbrk(host, "?&@=") != NULL;
}

static void require_masked(const char *url, const PQconninfoOption *options) {
	autofree char *masked = config_mask_url(url);
	if (!has_odd_place(url))
		require_same_place(masked, options);
	/* What libpq takes and forgets, as requiressl's value, is no password. */
	bool elsewhere = !is_plain(url), password = false;
	for (size_t i = 0; options[i].keyword != NULL; i++)
		if (options[i].val != NULL && strstr(options[i].val, secret) != NULL)
			*(is_password(options[i].keyword) ? &password : &elsewhere) = true;
	require(elsewhere || !password || strstr(masked, secret) == NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
	autofree char *text = fuzz_text(data, size);
	autofree char *url = with_secrets(text);
	struct error err = {0};
	require(engine_for_url(url, &err) == &engine_postgres);
	autofree char *unknown = mem_printf("oracle%s", strstr(url, "://"));
	require(engine_for_url(unknown, &err) == NULL);
	fuzz_require_error(&err, ERROR_CONFIG);
	require(strstr(err.message, secret) == NULL);
	if (engine_for_url(text, &err) == NULL)
		fuzz_require_error(&err, ERROR_CONFIG);
	PQconninfoOption *options = postgres_parse_url(url, &err);
	if (options != NULL) {
		if (!has_odd_address(options))
			require_masked(url, options);
		PQconninfoFree(options);
	} else {
		fuzz_require_error(&err, ERROR_CONFIG);
		require(strstr(err.message, secret) == NULL && strstr(err.hint, secret) == NULL);
	}
	return 0;
}
