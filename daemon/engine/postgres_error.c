#include "daemon/engine/postgres.h"

#include "common/text.h"

#include <stdio.h>
#include <string.h>

void postgres_message(char *out, size_t size, const PGresult *result) {
	const char *primary = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
	const char *detail = PQresultErrorField(result, PG_DIAG_MESSAGE_DETAIL);
	if (primary == NULL) /* libpq made this error itself: it has the text only */
		primary = PQresultErrorMessage(result);
	text_one_line(out, size, primary);
	size_t used = strlen(out);
	if (detail == NULL || used + 3 >= size)
		return;
	out[used++] = ':';
	out[used++] = ' ';
	text_one_line(out + used, size - used, detail);
}

/* The manual, appendix A "PostgreSQL Error Codes". The first prefix that matches decides. */
static const struct {
	const char *prefix;
	enum engine_error error;
} classes[] = {
	{"55P03", ENGINE_ERROR_CONTENTION}, /* lock_not_available: lock_timeout, NOWAIT */
	{"40001", ENGINE_ERROR_CONTENTION}, /* serialization_failure */
	{"40P01", ENGINE_ERROR_CONTENTION}, /* deadlock_detected */
	{"26000", ENGINE_ERROR_CONTENTION}, /* invalid_sql_statement_name: what we prepared is gone. It is not prepared again */
	{"57014", ENGINE_ERROR_TIMEOUT},    /* query_canceled: statement_timeout, pg_cancel_backend */
	{"21000", ENGINE_ERROR_AMBIGUOUS},  /* ON CONFLICT DO UPDATE cannot affect a row a second time */
	{"22", ENGINE_ERROR_DATA},          /* data exception */
	{"23", ENGINE_ERROR_DATA},          /* integrity constraint violation */
	{"P0001", ENGINE_ERROR_DATA},       /* raise_exception: a trigger's veto */
	{"25006", ENGINE_ERROR_READ_ONLY},  /* read_only_sql_transaction: a standby */
	{"53100", ENGINE_ERROR_DISK_FULL},  {"42501", ENGINE_ERROR_PRIVILEGE}, {"42", ENGINE_ERROR_SCHEMA},
	{"0A", ENGINE_ERROR_SCHEMA},    /* feature not supported */
	{"3D", ENGINE_ERROR_SCHEMA},    /* no such database */
	{"3F", ENGINE_ERROR_SCHEMA},    /* no such schema */
	{"2BP01", ENGINE_ERROR_SCHEMA}, /* dependent objects still exist */
	{"53", ENGINE_ERROR_RESOURCE},  /* out of memory, too many connections */
	{"57P01", ENGINE_ERROR_RESOURCE},   {"57P02", ENGINE_ERROR_RESOURCE},  {"57P03", ENGINE_ERROR_RESOURCE},
};

enum engine_error postgres_classify(const char *sqlstate, const char *message) {
	/* io_error: errcode_for_file_access() gives ENOSPC 53100, but not every caller asks it. */
	if (strcmp(sqlstate, "58030") == 0 && strstr(message, "No space left") != NULL)
		return ENGINE_ERROR_DISK_FULL;
	for (size_t i = 0; i < sizeof classes / sizeof *classes; i++)
		if (strncmp(sqlstate, classes[i].prefix, strlen(classes[i].prefix)) == 0)
			return classes[i].error;
	return ENGINE_ERROR_OTHER;
}

/*
 * libpq 15 does not give the SQLSTATE of a refused connection, only the text, in the server's own language. A text that
 * is not known here means "try again", which ends by itself as soon as somebody mends the configuration.
 */
enum error_code postgres_connect_code(const char *message) {
	static const char *const final[] = {
		"authentication failed",    /* 28P01, 28000: password, peer, ident, certificate, … */
		"no pg_hba.conf entry",     /* 28000 */
		"pg_hba.conf rejects",      /* 28000 */
		"is not permitted to log",  /* 28000 */
		"no password supplied",     /* libpq: the server wants one and no file holds it */
		"permission denied for d",  /* 42501, …atabase: CONNECT is missing */
		"does not exist",           /* 3D000 database, 28000 role */
		"invalid port number",      /* libpq */
		"definition of service \"", /* libpq: not found */
	};
	for (size_t i = 0; i < sizeof final / sizeof *final; i++)
		if (strstr(message, final[i]) != NULL)
			return ERROR_CONFIG;
	return ERROR_TRY_AGAIN;
}

/*
 * A password with a bare @ or / moves the end of libpq's "user:password" part, and the rest of the password would turn
 * up as a host, port or database name in messages.
 */
static bool separators_are_plain(const char *url) {
	const char *scheme = strstr(url, "://");
	const char *rest = scheme != NULL ? scheme + 3 : url;
	const char *at = strchr(rest, '@');
	if (at == NULL)
		return true;
	const char *slash = strchr(rest, '/');
	const char *second = slash != NULL && slash < at ? at : strchr(at + 1, '@');
	const char *query = strchr(slash != NULL && slash < at ? slash : at, '?');
	return second == NULL || (query != NULL && query < second);
}

PQconninfoOption *postgres_parse_url(const char *url, struct error *err) {
	if (!separators_are_plain(url)) {
		error_set(err, ERROR_CONFIG, "the URL has an @ or / where none can be");
		error_hint(err, "in a user name or password write %%40 for @ and %%2F for /");
		return NULL;
	}
	char *why = NULL;
	PQconninfoOption *options = PQconninfoParse(url, &why);
	if (options == NULL) {
		/* libpq quotes the offending piece, or all of the URL, from the first " on. */
		size_t length = why != NULL ? strcspn(why, "\"\n") : 0;
		while (length > 0 && strchr(" :(", why[length - 1]) != NULL)
			length--;
		error_set(err, ERROR_CONFIG, "the URL cannot be read: %.*s", (int)length, length > 0 ? why : "");
		error_hint(err, "see \"Connection URIs\" in PostgreSQL's manual; special characters are written %%XX");
		PQfreemem(why);
	}
	return options;
}

const char *postgres_url_option(const PQconninfoOption *options, const char *keyword) {
	for (; options != NULL && options->keyword != NULL; options++)
		if (strcmp(options->keyword, keyword) == 0)
			return options->val;
	return NULL;
}
