/*
 * mysql_connect.c: how libmariadb makes a connection, in the thread of connecting.h: option files, names, TLS, authentication.
 * Of several hosts the first that takes writes.
 */
#include "common/mem.h"
#include "common/strbuf.h"
#include "common/text.h"
#include "daemon/engine/connecting.h"
#include "daemon/engine/dialect.h"
#include "daemon/engine/mysql.h"
#include "daemon/engine/mysql_url.h"

#include <errmsg.h>
#include <errno.h>
#include <mariadb_version.h>
#include <mysqld_error.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const char charset[] = "utf8mb4"; /* our texts are */

struct plan {
	struct mysql_url url;
	char *application_name;
	unsigned timeout_s; /* for each host */
};

/* A session, or err. */
struct brought {
	MYSQL *mysql;
	struct error err;
};

/* Without a port "localhost" is a Unix socket's, as for all programs of MySQL; so is no name at all. */
static bool goes_over_tcp(const struct mysql_url *url, const struct mysql_host *host) {
	return url->unix_socket == NULL && (host->port != 0 || (host->name != NULL && strcmp(host->name, "localhost") != 0));
}

static void set_flag(MYSQL *mysql, enum mysql_option option, bool value) {
	my_bool flag = value;
	mysql_options(mysql, option, &flag);
}

static void set_text(MYSQL *mysql, enum mysql_option option, const char *value) {
	if (value != NULL)
		mysql_options(mysql, option, value);
}

/*
 * The library 3.3 looks at the server's certificate when it has an authority's, and at the name in it when it is told to.
 * From 3.4 on it looks at all or nothing; then the authority's certificate alone asks for all.
 */
static void set_tls(MYSQL *mysql, const struct mysql_url *url, bool over_tcp) {
	bool name_too =
		url->tls == MYSQL_TLS_VERIFY_IDENTITY || (url->tls == MYSQL_TLS_VERIFY_CA && mysql_get_client_version() >= 30400);
	set_flag(mysql, MYSQL_OPT_SSL_ENFORCE, url->tls == MYSQL_TLS_PREFERRED ? over_tcp : url->tls != MYSQL_TLS_DISABLED);
	set_flag(mysql, MYSQL_OPT_SSL_VERIFY_SERVER_CERT, name_too);
	set_text(mysql, MYSQL_OPT_SSL_CA, url->ssl_ca);
	set_text(mysql, MYSQL_OPT_SSL_CERT, url->ssl_cert);
	set_text(mysql, MYSQL_OPT_SSL_KEY, url->ssl_key);
}

/*
 * Where there may be no TLS, a server, or whoever stands in for it, could ask for the password as it is (mysql_clear_password,
 * dialog), and the library would give it. These ways don't.
 */
static void set_ways_to_log_in(MYSQL *mysql, const struct mysql_url *url, bool over_tcp) {
	static const char none_in_clear[] = "mysql_native_password,caching_sha2_password,sha256_password,client_ed25519,parsec";
	if (over_tcp && url->tls < MYSQL_TLS_REQUIRED)
		mysql_options(mysql, MARIADB_OPT_RESTRICTED_AUTH, none_in_clear);
}

static void set_options(MYSQL *mysql, const struct plan *plan, bool over_tcp) {
	const struct mysql_url *url = &plan->url;
	const unsigned none = 0, tcp = MYSQL_PROTOCOL_TCP;
	mysql_options(mysql, MYSQL_OPT_CONNECT_TIMEOUT, &plan->timeout_s);
	mysql_options(mysql, MYSQL_SET_CHARSET_NAME, charset);
	mysql_options(mysql, MYSQL_OPT_LOCAL_INFILE, &none); /* no server asks us for files */
	mysql_options4(mysql, MYSQL_OPT_CONNECT_ATTR_ADD, "program_name", plan->application_name);
	if (over_tcp)
		mysql_options(mysql, MYSQL_OPT_PROTOCOL, &tcp);
	set_text(mysql, MYSQL_READ_DEFAULT_FILE, url->read_default_file);
	set_text(mysql, MYSQL_READ_DEFAULT_GROUP, url->read_default_group);
	set_tls(mysql, url, over_tcp);
	set_ways_to_log_in(mysql, url, over_tcp);
}

/* Both ends of a dead path must notice about as fast as idle_write_transaction_timeout (2 s) would. */
static void set_keepalive(MYSQL *mysql) {
	static const struct {
		int option, value;
	} tcp[] = {{TCP_KEEPIDLE, 2}, {TCP_KEEPINTVL, 2}, {TCP_KEEPCNT, 3}, {TCP_USER_TIMEOUT, 6000}};
	const int on = 1;
	if (mysql->unix_socket != NULL)
		return;
	setsockopt(mysql_get_socket(mysql), SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
	for (size_t i = 0; i < sizeof tcp / sizeof *tcp; i++)
		setsockopt(mysql_get_socket(mysql), IPPROTO_TCP, tcp[i].option, &tcp[i].value, sizeof tcp[i].value);
}

/* What server and library leave out. */
static const char *why_perhaps(const struct mysql_url *url, unsigned number) {
	if (number == ER_ACCESS_DENIED_ERROR && url->tls == MYSQL_TLS_DISABLED)
		return "; the account or the server may require TLS, which the url's ssl_mode forbids";
	if (number == CR_SSL_CONNECTION_ERROR && url->tls == MYSQL_TLS_VERIFY_IDENTITY)
		return "; the certificate has to name the url's host and to be signed by ssl_ca";
	return "";
}

/* Of a way to log in that is not allowed, the library 3.3 gives no name but whatever its buffer holds. */
static const char *words(MYSQL *mysql) {
	if (mysql_errno(mysql) == MYSQL_WAY_NOT_ALLOWED)
		return "without TLS the server asks for the password in a way that shows it to others; ssl_mode=required allows that";
	return mysql_error(mysql);
}

static bool fail(MYSQL *mysql, const struct mysql_url *url, struct error *err) {
	char why[800];
	mysql_message(why, sizeof why, mysql_errno(mysql), words(mysql));
	error_set(err, mysql_connect_code(mysql_errno(mysql), mysql_error(mysql)), "%s%s", why, why_perhaps(url, mysql_errno(mysql)));
	if (err->code == ERROR_CONFIG)
		error_hint(err, "check the URL, the option file and the server's accounts");
	return false;
}

/* What an option file, or the server's init_connect, may have set otherwise. The library 3.3 goes on without TLS where the server
 * has none. */
static bool make_ours(MYSQL *mysql, const struct mysql_url *url, struct error *err) {
	set_flag(mysql, MYSQL_OPT_RECONNECT, false);
	if (url->tls >= MYSQL_TLS_REQUIRED && mysql_get_ssl_cipher(mysql) == NULL)
		return error_set(err, ERROR_CONFIG, "the server has no TLS, and the URL's ssl_mode requires it");
	if (strcmp(mysql_character_set_name(mysql), charset) != 0 && mysql_set_character_set(mysql, charset) != 0)
		return fail(mysql, url, err);
	const char *ours = dialect_sql(&dialect_mysql, "connect");
	if (mysql_real_query(mysql, ours, strlen(ours)) != 0)
		return fail(mysql, url, err);
	set_keepalive(mysql);
	return true;
}

static bool connect_to_host(MYSQL *mysql, const struct plan *plan, const struct mysql_host *host, struct error *err) {
	const struct mysql_url *url = &plan->url;
	set_options(mysql, plan, goes_over_tcp(url, host));
	if (mysql_real_connect(mysql, host->name, url->user, url->password, url->database, (unsigned)host->port, url->unix_socket,
	                       CLIENT_FOUND_ROWS) == NULL)
		return fail(mysql, url, err);
	return make_ours(mysql, url, err);
}

/* The library passes over an option file that it can't read, and of the others it does not say which. */
static bool can_read_files(const struct mysql_url *url, struct error *err) {
	const char *const files[] = {url->read_default_file, url->ssl_ca, url->ssl_cert, url->ssl_key};
	for (size_t i = 0; i < sizeof files / sizeof *files; i++)
		if (files[i] != NULL && access(files[i], R_OK) != 0)
			return error_set(err, ERROR_CONFIG, "%s cannot be read: %s", files[i], strerrordesc_np(errno));
	return true;
}

/* As target_session_attrs=read-write does it for libpq: of several hosts only one that takes writes is the primary. */
static bool takes_writes(MYSQL *mysql, const struct mysql_url *url, struct error *err) {
	enum { IS_REPLICA = 3 }; /* of status.sql */
	const char *text = dialect_sql(&dialect_mysql, "status");
	MYSQL_RES *status = mysql_real_query(mysql, text, strlen(text)) == 0 ? mysql_store_result(mysql) : NULL;
	MYSQL_ROW row = status != NULL ? mysql_fetch_row(status) : NULL;
	bool failed = row == NULL, writable = !failed && strcmp(row[IS_REPLICA], "false") == 0;
	mysql_free_result(status);
	if (failed)
		return fail(mysql, url, err);
	return writable || error_set(err, ERROR_TRY_AGAIN, "it is read only");
}

static bool try_host(struct brought *brought, const struct plan *plan, const struct mysql_host *host, struct error *err) {
	const struct mysql_url *url = &plan->url;
	brought->mysql = mysql_init(NULL);
	if (connect_to_host(brought->mysql, plan, host, err) && (url->nhosts == 1 || takes_writes(brought->mysql, url, err)))
		return true;
	mysql_close(brought->mysql);
	brought->mysql = NULL;
	return false;
}

/* What each of several hosts said; it passes if it may pass with one of them. */
static void add_error(struct error *all, const struct mysql_host *host, const struct error *err) {
	struct error before = *all;
	enum error_code code = before.code == ERROR_TRY_AGAIN ? ERROR_TRY_AGAIN : err->code;
	error_set(all, code, "%s%s%s: %s", before.message, before.message[0] != '\0' ? "; " : "", host->name, err->message);
	if (code == ERROR_CONFIG)
		error_hint(all, "%s", err->hint);
}

static void *connect_blocking(const void *argument) {
	const struct plan *plan = argument;
	const struct mysql_url *url = &plan->url;
	struct brought *brought = mem_alloc(sizeof *brought);
	if (!can_read_files(url, &brought->err))
		return brought;
	if (url->nhosts == 1)
		try_host(brought, plan, &url->hosts[0], &brought->err);
	for (size_t i = 0; url->nhosts > 1 && i < url->nhosts && brought->mysql == NULL; i++) {
		struct error err = {0};
		if (!try_host(brought, plan, &url->hosts[i], &err))
			add_error(&brought->err, &url->hosts[i], &err);
	}
	mysql_thread_end();
	return brought;
}

static void drop(void *argument) {
	struct brought *brought = argument;
	if (brought != NULL)
		mysql_close(brought->mysql);
	free(brought);
}

static struct engine_conn *arrive(struct ev_loop *loop, void *argument, struct error *err) {
	struct brought *brought = argument;
	struct engine_conn *conn = NULL;
	if (brought->mysql != NULL)
		conn = mysql_conn_new(loop, brought->mysql);
	else
		*err = brought->err;
	free(brought);
	return conn;
}

static void free_plan(void *argument) {
	struct plan *plan = argument;
	mysql_url_clear(&plan->url);
	free(plan->application_name);
	free(plan);
}

static const struct connecting_method method = {
	.connect = connect_blocking,
	.arrive = arrive,
	.drop = drop,
	.free_plan = free_plan,
};

/* "database "x" at host:port", as far as the URL says it. */
static void describe(char *out, size_t size, const struct mysql_url *url) {
	autostrbuf text = {0};
	if (url->database != NULL)
		strbuf_printf(&text, "database \"%s\"", url->database);
	else
		strbuf_add(&text, "the server");
	if (url->unix_socket != NULL)
		strbuf_printf(&text, " at %s", url->unix_socket);
	for (size_t i = 0; url->unix_socket == NULL && i < url->nhosts; i++) {
		const struct mysql_host *host = &url->hosts[i];
		if (host->name != NULL)
			strbuf_printf(&text, "%s%s", i > 0 ? "," : " at ", host->name);
		if (host->port != 0)
			strbuf_printf(&text, "%s%d", host->name != NULL ? ":" : " at port ", host->port);
	}
	text_one_line(out, size, text.data);
}

struct engine_connecting *mysql_engine_connect(struct ev_loop *loop, const char *url,
                                               const struct engine_connect_options *options, engine_connected_fn *fn,
                                               void *context) {
	struct connecting_plan plan = {.method = &method, .timeout_s = options->timeout_s};
	struct mysql_url parsed;
	if (mysql_url_parse(url, &parsed, &plan.err)) {
		mysql_library_init(0, NULL, NULL); /* once, and not in several threads */
		describe(plan.place, sizeof plan.place, &parsed);
		int share_s = options->timeout_s / (int)parsed.nhosts;
		struct plan *ours = plan.plan = mem_alloc(sizeof *ours);
		ours->url = parsed;
		ours->application_name = mem_dup(options->application_name);
		ours->timeout_s = share_s > 2 ? (unsigned)share_s : 2;
	}
	return connecting_start(loop, &plan, fn, context);
}
