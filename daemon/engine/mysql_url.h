/*
 * mysql_url.h: mysql://[user[:password]@][host[:port][,host[:port]…]][/database][?option=value[&…]]. Pure: neither files nor
 * names are looked up.
 */
#ifndef BACKFILLD_MYSQL_URL_H
#define BACKFILLD_MYSQL_URL_H

#include "common/error.h"

#include <stdbool.h>
#include <stddef.h>

enum mysql_tls {                      /* ssl_mode= */
	             MYSQL_TLS_PREFERRED, /* over TCP if the server can; the default */
	             MYSQL_TLS_DISABLED,
	             MYSQL_TLS_REQUIRED,
	             MYSQL_TLS_VERIFY_CA,
	             MYSQL_TLS_VERIFY_IDENTITY,
};

struct mysql_host {
	char *name; /* NULL: whatever the option file says, or the library's default socket */
	int port;   /* 0: not said */
};

struct mysql_url {
	char *user, *password, *database; /* NULL: not said */
	struct mysql_host *hosts;         /* at least one */
	size_t nhosts;
	enum mysql_tls tls;
	char *unix_socket, *read_default_file, *read_default_group, *ssl_ca, *ssl_cert, *ssl_key;
};

/* False, and err, which never shows a password: of what can't be read it shows nothing at all. */
bool mysql_url_parse(const char *text, struct mysql_url *url, struct error *err);
void mysql_url_clear(struct mysql_url *url);

#endif
