/*
 * http_client.h: asks web servers, on the loop, and blocks it nowhere: libcurl's sockets and timers are watchers of ours, names
 * are looked up in a thread of libcurl's, which may outlive its request until the resolver gives up. Owns the requests that are
 * under way and the connections that are kept for the next ones.
 *
 * http:// and https:// only; certificates are checked. A redirect is an answer like any other and is not followed: a probe asks
 * what its configuration names. http_proxy and its like in the environment are ignored: a daemon's environment is not what its
 * operator looks at, and a proxy that stands in between would be one more thing that can say no.
 */
#ifndef BACKFILLD_HTTP_CLIENT_H
#define BACKFILLD_HTTP_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ev_loop;
struct http_client;
struct http_request;

/* All of it is copied. */
struct http_call {
	const char *url;            /* with user:password@, if need be: sent as HTTP's basic authentication; spaces are encoded */
	int timeout_ms;             /* > 0; for everything, from the look-up of the name to the last byte */
	size_t max_bytes;           /* of the body; a longer one is no answer */
	const char *const *headers; /* "Name: value", ends with NULL; NULL: none */
};

struct http_response {
	bool answered;
	long status;      /* 200, 429, …; 0 if not answered */
	const char *body; /* NUL-terminated behind `length` bytes, which may have NULs themselves; "" if there is none */
	size_t length;
	char why[300];       /* not answered: "host:port: connection refused"; of the URL it shows no more than host and port */
	int64_t duration_us; /* from the call to the answer's last byte */
};

/* The answer is gone when this returns, and the request was gone before. It may start, cancel and free as it likes. */
typedef void http_done_fn(void *context, const struct http_response *response);

enum { HTTP_PLACE_BYTES = 270 };
/* "host:port" of a URL, for a person; "" if it can't be read. */
void http_place(const char *url, char *out, size_t size);

/* It initialises libcurl, for the whole process: make it before threads are started. The process has to ignore SIGPIPE, which
 * OpenSSL's writes raise. */
struct http_client *http_client_new(struct ev_loop *loop);
/* Cancels all that is under way. NULL allowed. */
void http_client_free(struct http_client *client);

/* Tells fn, once, and from the loop; an error of the call, too. */
struct http_request *http_get(struct http_client *client, const struct http_call *call, http_done_fn *fn, void *context);
/* fn is not told any more. NULL allowed. */
void http_cancel(struct http_request *request);

#endif
