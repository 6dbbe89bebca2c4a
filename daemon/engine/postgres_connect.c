/*
 * postgres_connect.c: how libpq makes a connection: service and password files, TLS and authentication, in the thread of
 * connecting.h.
 */
#include "common/mem.h"
#include "common/strbuf.h"
#include "common/text.h"
#include "daemon/engine/connecting.h"
#include "daemon/engine/postgres.h"

#include <stdio.h>
#include <stdlib.h>

enum { MAX_PARAMS = 16 };

struct plan {
	char *url, *application_name;
	char timeout[16];
};

/* libpq: where a keyword is given twice the later one counts, and with expand_dbname a URL in dbname stands for its keywords. */
static void *connect_blocking(const void *argument) {
	const struct plan *plan = argument;
	const char *const params[][2] = {
		{"application_name", plan->application_name},
		{"connect_timeout", plan->timeout},
		/* Both ends of a dead path must notice about as fast as idle_in_transaction_session_timeout (2 s) would. */
		{"keepalives", "1"},
		{"keepalives_idle", "2"},
		{"keepalives_interval", "2"},
		{"keepalives_count", "3"},
		{"tcp_user_timeout", "6000"},
		{"dbname", plan->url}, /* overrides all above */
		{"fallback_application_name", "backfilld"},
		{"client_encoding", "UTF8"}, /* our texts are */
	};
	const char *keywords[MAX_PARAMS] = {NULL}, *values[MAX_PARAMS] = {NULL};
	_Static_assert(sizeof params / sizeof *params < MAX_PARAMS, "the lists end with NULL");
	for (size_t i = 0; i < sizeof params / sizeof *params; i++) {
		keywords[i] = params[i][0];
		values[i] = params[i][1];
	}
	return PQconnectdbParams(keywords, values, 1);
}

static void drop(void *pg) {
	PQfinish(pg);
}

static void free_plan(void *argument) {
	struct plan *plan = argument;
	free(plan->url);
	free(plan->application_name);
	free(plan);
}

static struct engine_conn *arrive(struct ev_loop *loop, void *brought, struct error *err) {
	PGconn *pg = brought;
	if (pg != NULL && PQstatus(pg) == CONNECTION_OK)
		return postgres_conn_new(loop, pg);
	char why[800];
	text_one_line(why, sizeof why, pg != NULL ? PQerrorMessage(pg) : "out of memory");
	PQfinish(pg);
	error_set(err, postgres_connect_code(why), "%s", why);
	if (err->code == ERROR_CONFIG)
		error_hint(err, "check the URL, the password file and the server's pg_hba.conf");
	return NULL;
}

static const struct connecting_method method = {
	.connect = connect_blocking,
	.arrive = arrive,
	.drop = drop,
	.free_plan = free_plan,
};

/* "database "x" at host:port", as far as the URL says it. */
static void describe(char *out, size_t size, const PQconninfoOption *options) {
	const char *name = postgres_url_option(options, "dbname"), *service = postgres_url_option(options, "service");
	const char *host = postgres_url_option(options, "host"), *port = postgres_url_option(options, "port");
	if (host == NULL)
		host = postgres_url_option(options, "hostaddr");
	autostrbuf text = {0};
	if (name != NULL)
		strbuf_printf(&text, "database \"%s\"", name);
	else
		strbuf_add(&text, "the database");
	if (service != NULL)
		strbuf_printf(&text, " of service \"%s\"", service);
	if (host != NULL)
		strbuf_printf(&text, " at %s%s%s", host, port != NULL ? ":" : "", port != NULL ? port : "");
	text_one_line(out, size, text.data);
}

/*
 * libpq gives each host the whole connect_timeout. Of a URL with several hosts each gets its share, so that one that is
 * silent does not keep us from the next; below 2 s libpq does not go.
 */
static int timeout_per_host_s(const PQconninfoOption *options, int timeout_s) {
	const char *hosts = postgres_url_option(options, "host");
	int count = 1;
	for (const char *p = hosts; p != NULL && *p != '\0'; p++)
		count += *p == ',';
	return timeout_s / count > 2 ? timeout_s / count : 2;
}

static struct plan *plan_new(const char *url, const char *application_name, int timeout_s) {
	struct plan *plan = mem_alloc(sizeof *plan);
	plan->url = mem_dup(url);
	plan->application_name = mem_dup(application_name);
	snprintf(plan->timeout, sizeof plan->timeout, "%d", timeout_s);
	return plan;
}

struct engine_connecting *postgres_connect(struct ev_loop *loop, const char *url, const struct engine_connect_options *options,
                                           engine_connected_fn *fn, void *context) {
	struct connecting_plan plan = {.method = &method, .timeout_s = options->timeout_s};
	PQconninfoOption *parsed = postgres_parse_url(url, &plan.err);
	if (parsed != NULL) {
		describe(plan.place, sizeof plan.place, parsed);
		plan.plan = plan_new(url, options->application_name, timeout_per_host_s(parsed, options->timeout_s));
		PQconninfoFree(parsed);
	}
	return connecting_start(loop, &plan, fn, context);
}
