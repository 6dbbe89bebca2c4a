#include "daemon/engine/engine.h"

#include <string.h>

static const struct engine *const engines[] = {&engine_postgres, &engine_mysql};
enum { NENGINES = sizeof engines / sizeof *engines };

static bool has_scheme(const struct engine *engine, const char *url) {
	for (const char *const *scheme = engine->url_schemes; *scheme != NULL; scheme++)
		if (strncmp(url, *scheme, strlen(*scheme)) == 0)
			return true;
	return false;
}

const struct engine *engine_for_url(const char *url, struct error *err) {
	for (size_t i = 0; i < NENGINES; i++)
		if (has_scheme(engines[i], url))
			return engines[i];

	char known[128] = "";
	for (size_t i = 0; i < NENGINES; i++) {
		strncat(known, i > 0 ? ", " : "", sizeof known - strlen(known) - 1);
		strncat(known, engines[i]->url_schemes[0], sizeof known - strlen(known) - 1);
	}
	/* The URL itself may hold a password; what stands before "://" does not. */
	const char *end = strstr(url, "://");
	size_t length = strspn(url, "abcdefghijklmnopqrstuvwxyz0123456789+");
	if (end != NULL && url + length == end)
		error_set(err, ERROR_CONFIG, "no engine for URLs that begin with %.*s://", (int)(length > 32 ? 32 : length), url);
	else
		error_set(err, ERROR_CONFIG, "a target's URL must begin with its scheme");
	error_hint(err, "known: %s", known);
	return NULL;
}

const char *engine_value(const struct engine_result *result, int row, int column) {
	const struct engine_rows *rows = result->rows;
	if (rows == NULL || row < 0 || row >= result->nrows || column < 0 || column >= result->ncolumns)
		return NULL;
	return rows->value(rows, row, column);
}

const char *engine_value_named(const struct engine_result *result, int row, const char *column) {
	const struct engine_rows *rows = result->rows;
	for (int i = 0; rows != NULL && i < result->ncolumns; i++)
		if (strcmp(rows->name(rows, i), column) == 0)
			return engine_value(result, row, i);
	return NULL;
}

void engine_execute(struct engine_conn *conn, const char *sql, const char *const *params, size_t nparams, int timeout_ms,
                    engine_result_fn *fn, void *context) {
	conn->engine->execute(conn, sql, params, nparams, timeout_ms, fn, context);
}

void engine_fly(struct engine_conn *conn, const struct engine_statement *statements, size_t count, int timeout_ms,
                engine_flown_fn *fn, void *context) {
	conn->engine->fly(conn, statements, count, timeout_ms, fn, context);
}

void engine_close(struct engine_conn *conn) {
	if (conn != NULL)
		conn->engine->close(conn);
}

void engine_on_lost(struct engine_conn *conn, engine_lost_fn *fn, void *context) {
	conn->engine->on_lost(conn, fn, context);
}

int64_t engine_backend_pid(const struct engine_conn *conn) {
	return conn->engine->backend_pid(conn);
}

const char *engine_peer(const struct engine_conn *conn) {
	return conn->engine->peer(conn);
}
