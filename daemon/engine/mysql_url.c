#include "daemon/engine/mysql_url.h"

#include "common/mem.h"

#include <ctype.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_PORT = 65535 };

static const struct {
	const char *name;
	size_t offset; /* of a text in struct mysql_url; ssl_mode has none */
} options[] = {
	{"unix_socket", offsetof(struct mysql_url, unix_socket)},
	{"read_default_file", offsetof(struct mysql_url, read_default_file)},
	{"read_default_group", offsetof(struct mysql_url, read_default_group)},
	{"ssl_ca", offsetof(struct mysql_url, ssl_ca)},
	{"ssl_cert", offsetof(struct mysql_url, ssl_cert)},
	{"ssl_key", offsetof(struct mysql_url, ssl_key)},
};

static const struct {
	const char *name;
	enum mysql_tls tls;
} ssl_modes[] = {
	{"disabled", MYSQL_TLS_DISABLED},
	{"preferred", MYSQL_TLS_PREFERRED},
	{"required", MYSQL_TLS_REQUIRED},
	{"verify_ca", MYSQL_TLS_VERIFY_CA},
	{"verify_identity", MYSQL_TLS_VERIFY_IDENTITY},
};

static int hex_digit(char c) {
	static const char digits[] = "0123456789abcdef";
	const char *found = c != '\0' ? strchr(digits, tolower((unsigned char)c)) : NULL;
	return found != NULL ? (int)(found - digits) : -1;
}

/* NULL and err: what stands behind a % is no byte. */
static char *decode(const char *from, const char *end, struct error *err) {
	char *text = mem_alloc((size_t)(end - from) + 1), *out = text;
	while (from < end) {
		if (*from != '%') {
			*out++ = *from++;
			continue;
		}
		int high = end - from > 2 ? hex_digit(from[1]) : -1, low = high >= 0 ? hex_digit(from[2]) : -1;
		if (low < 0 || high + low == 0) {
			free(text);
			error_set(err, ERROR_CONFIG, "the URL cannot be read: a %% without two hexadecimal digits behind it");
			error_hint(err, "write %%25 for %%; %%00 can't be");
			return NULL;
		}
		*out++ = (char)(high * 16 + low);
		from += 3;
	}
	return text;
}

/* True if there is nothing to decode: an empty text says nothing. */
static bool decode_into(char **out, const char *from, const char *end, struct error *err) {
	if (from == end)
		return true;
	free(*out);
	*out = decode(from, end, err);
	return *out != NULL;
}

/*
 * A password with a bare @, / or ? moves the end of "user:password", and the rest of it would turn up as a host, a database
 * or an option in messages. So the one @ that there may be stands before the first / and ?.
 */
static bool separators_are_plain(const char *rest, struct error *err) {
	const char *at = strchr(rest, '@');
	if (at == NULL || (at < rest + strcspn(rest, "/?") && strchr(at + 1, '@') == NULL))
		return true;
	error_set(err, ERROR_CONFIG, "the URL has an @, / or ? where none can be");
	return error_hint(err, "write %%40 for @, %%2F for / and %%3F for ?, in a user name or password and in options");
}

static bool parse_user(struct mysql_url *url, const char *from, const char *end, struct error *err) {
	const char *colon = memchr(from, ':', (size_t)(end - from));
	return decode_into(&url->user, from, colon != NULL ? colon : end, err) &&
	       (colon == NULL || decode_into(&url->password, colon + 1, end, err));
}

static bool parse_port(struct mysql_host *host, const char *from, const char *end, struct error *err) {
	host->port = 0;
	for (const char *p = from; p < end; p++) {
		host->port = isdigit((unsigned char)*p) ? host->port * 10 + (*p - '0') : MAX_PORT + 1;
		if (host->port > MAX_PORT)
			return error_set(err, ERROR_CONFIG, "the URL cannot be read: a port is a number up to %d", (int)MAX_PORT);
	}
	return true;
}

/* host:port, [address]:port, or either part alone. */
static bool parse_host(struct mysql_url *url, const char *from, const char *end, struct error *err) {
	url->hosts = mem_resize(url->hosts, url->nhosts + 1, sizeof *url->hosts);
	struct mysql_host *host = &url->hosts[url->nhosts++];
	*host = (struct mysql_host){0};
	const char *name_end = memchr(from, ':', (size_t)(end - from)), *port = name_end;
	if (from < end && *from == '[') {
		from++;
		name_end = memchr(from, ']', (size_t)(end - from));
		port = name_end != NULL ? name_end + 1 : NULL;
		if (port == NULL || (port < end && *port != ':'))
			return error_set(err, ERROR_CONFIG, "the URL cannot be read: an address in brackets does not end");
		port = port < end ? port : NULL;
	}
	if (name_end == NULL)
		name_end = end;
	return decode_into(&host->name, from, name_end, err) && (port == NULL || parse_port(host, port + 1, end, err));
}

static bool parse_hosts(struct mysql_url *url, const char *from, const char *end, struct error *err) {
	for (const char *comma = NULL; comma != end; from = comma + 1) {
		comma = memchr(from, ',', (size_t)(end - from));
		if (comma == NULL)
			comma = end;
		if (!parse_host(url, from, comma, err))
			return false;
	}
	for (size_t i = 0; url->nhosts > 1 && i < url->nhosts; i++)
		if (url->hosts[i].name == NULL)
			return error_set(err, ERROR_CONFIG, "the URL cannot be read: of its hosts one has no name");
	return true;
}

static bool set_ssl_mode(struct mysql_url *url, const char *value, struct error *err) {
	for (size_t i = 0; i < sizeof ssl_modes / sizeof *ssl_modes; i++)
		if (strcmp(value, ssl_modes[i].name) == 0) {
			url->tls = ssl_modes[i].tls;
			return true;
		}
	error_set(err, ERROR_CONFIG, "the URL's ssl_mode is none");
	return error_hint(err, "known: disabled, preferred, required, verify_ca, verify_identity");
}

static bool is_option(const char *name, const char *from, const char *end) {
	return strlen(name) == (size_t)(end - from) && memcmp(name, from, (size_t)(end - from)) == 0;
}

static bool parse_option(struct mysql_url *url, const char *from, const char *end, struct error *err) {
	const char *equals = memchr(from, '=', (size_t)(end - from));
	if (equals == NULL)
		return error_set(err, ERROR_CONFIG, "the URL cannot be read: an option has no value");
	for (size_t i = 0; i < sizeof options / sizeof *options; i++)
		if (is_option(options[i].name, from, equals))
			return decode_into((char **)((char *)url + options[i].offset), equals + 1, end, err);
	if (is_option("ssl_mode", from, equals)) {
		autofree char *value = decode(equals + 1, end, err);
		return value != NULL && set_ssl_mode(url, value, err);
	}
	error_set(err, ERROR_CONFIG, "the URL has an option that is not known");
	return error_hint(err, "known: unix_socket, read_default_file, read_default_group, ssl_mode, ssl_ca, ssl_cert, ssl_key");
}

static bool parse_options(struct mysql_url *url, const char *from, struct error *err) {
	while (*from != '\0') {
		const char *end = from + strcspn(from, "&");
		if (end > from && !parse_option(url, from, end, err))
			return false;
		from = *end != '\0' ? end + 1 : end;
	}
	return true;
}

static bool parse_rest(struct mysql_url *url, const char *rest, struct error *err) {
	const char *at = strchr(rest, '@');
	if (at != NULL && !parse_user(url, rest, at, err))
		return false;
	const char *hosts = at != NULL ? at + 1 : rest;
	const char *hosts_end = hosts + strcspn(hosts, "/?");
	const char *query = hosts_end + strcspn(hosts_end, "?");
	return parse_hosts(url, hosts, hosts_end, err) &&
	       (hosts_end == query || decode_into(&url->database, hosts_end + 1, query, err)) &&
	       (*query == '\0' || parse_options(url, query + 1, err));
}

static bool fits_together(const struct mysql_url *url, struct error *err) {
	const char *host = url->hosts[0].name;
	if (url->unix_socket != NULL &&
	    (url->nhosts > 1 || url->hosts[0].port != 0 || (host != NULL && strcmp(host, "localhost") != 0)))
		return error_set(err, ERROR_CONFIG, "the URL has a host and a unix_socket: one of them leads to the server");
	if (url->tls == MYSQL_TLS_VERIFY_CA && url->ssl_ca == NULL)
		return error_set(err, ERROR_CONFIG, "the URL's ssl_mode=verify_ca needs ssl_ca, the file of the authority's certificate");
	return true;
}

bool mysql_url_parse(const char *text, struct mysql_url *url, struct error *err) {
	struct mysql_url parsed = {0};
	const char *scheme = strstr(text, "://");
	const char *rest = scheme != NULL ? scheme + 3 : text;
	if (separators_are_plain(rest, err) && parse_rest(&parsed, rest, err) && fits_together(&parsed, err)) {
		*url = parsed;
		return true;
	}
	mysql_url_clear(&parsed);
	return false;
}

void mysql_url_clear(struct mysql_url *url) {
	for (size_t i = 0; i < url->nhosts; i++)
		free(url->hosts[i].name);
	free(url->hosts);
	free(url->user);
	free(url->password);
	free(url->database);
	for (size_t i = 0; i < sizeof options / sizeof *options; i++)
		free(*(char **)((char *)url + options[i].offset));
	*url = (struct mysql_url){0};
}
