/*
 * http_value.h: what an answer says to a probe: a number, go, stop, or nothing that we understand. Pure. Unknown is not zero:
 * what might have been meant as a number and is none, as Prometheus's NaN, is neither 0 nor go.
 */
#ifndef BACKFILLD_HTTP_VALUE_H
#define BACKFILLD_HTTP_VALUE_H

#include "daemon/base/http_client.h"

enum http_value_kind {
	HTTP_VALUE_UNKNOWN, /* `why` says why, and what to do */
	HTTP_VALUE_NUMBER,  /* finite */
	HTTP_VALUE_GO,      /* status 200, and no number was asked for: for whoever has a limit for a number that is unknown, too */
	HTTP_VALUE_STOP,    /* status 429, as freno's check answers; whatever else it says */
};

struct http_value {
	enum http_value_kind kind;
	double number;
	char why[300]; /* "" for a number and for go */
};

/*
 * With a path (json_path.h; NULL: none) the body is JSON and the number stands there. Without one the body is a number, or an
 * answer of Prometheus's to a query that has one series, or else the status alone speaks.
 */
struct http_value http_value_of(const struct http_response *answer, const char *path);

#endif
