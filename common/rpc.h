/*
 * rpc.h: JSON-RPC 2.0 as the control socket speaks it: one object a line. Splits a byte stream into lines, checks
 * requests, builds and reads messages. Pure: no socket, no event loop.
 *
 * Narrower than the standard on purpose: no batches, named parameters only, and every request carries an id, so that
 * whoever pauses a job also hears what came of it.
 */
#ifndef BACKFILLD_RPC_H
#define BACKFILLD_RPC_H

#include "common/error.h"
#include "common/strbuf.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

enum {
	RPC_MAX_REQUEST_BYTES = 1024 * 1024,       /* without the newline */
	RPC_MAX_RESPONSE_BYTES = 64 * 1024 * 1024, /* what a client accepts: a long list is one line */
};

enum rpc_code {
	RPC_PARSE_ERROR = -32700,
	RPC_INVALID_REQUEST = -32600,
	RPC_METHOD_NOT_FOUND = -32601,
	RPC_INVALID_PARAMS = -32602,
	RPC_APPLICATION = -32000, /* a struct error travels in "data" */
};

/* Bytes come in as the socket gives them, lines go out. Zero-initialise and set max_bytes. */
struct rpc_reader {
	struct strbuf buffer;
	size_t start;   /* of the line that is being read */
	size_t scanned; /* up to here there is no newline */
	size_t max_bytes;
};

enum rpc_line { RPC_LINE_NONE, RPC_LINE_READY, RPC_LINE_TOO_LONG };

/* Ends the life of every line given out before. */
void rpc_reader_add(struct rpc_reader *reader, const char *bytes, size_t length);
/* The next line without its end (\n or \r\n), borrowed until the next add; empty lines are skipped. After TOO_LONG the framing
 * is lost. */
enum rpc_line rpc_reader_next(struct rpc_reader *reader, const char **line, size_t *length);
void rpc_reader_free(struct rpc_reader *reader);

struct rpc_request {
	json_t *root;       /* owns the rest */
	json_t *id;         /* string or number */
	const char *method; /* never NULL */
	json_t *params;     /* an object; borrowed from root */
};

/* Why a request was refused, ready for rpc_error. */
struct rpc_fault {
	enum rpc_code code;
	char message[256];
	json_t *id; /* a new reference, NULL if it could not be read */
};

/* On success the caller calls rpc_request_free, on failure rpc_fault_free. */
bool rpc_parse_request(const char *line, size_t length, struct rpc_request *request, struct rpc_fault *fault);
void rpc_request_free(struct rpc_request *request);
void rpc_fault_free(struct rpc_fault *fault);

/* Builders give a new reference. `id` is borrowed (NULL = null); params and result are stolen. */
json_t *rpc_request(json_int_t id, const char *method, json_t *params);
json_t *rpc_response(json_t *id, json_t *result);
json_t *rpc_error(json_t *id, enum rpc_code code, const char *message);
json_t *rpc_error_from(json_t *id, const struct error *err);
/* `params` is borrowed. */
json_t *rpc_notification(const char *method, const json_t *params);
/* A JSON string of any bytes: what is not UTF-8 (a server's message in another encoding, a cut text) becomes '?'. */
json_t *rpc_string(const char *text);
/* The message and a newline. */
void rpc_write(struct strbuf *out, const json_t *message);

/* What a server sends. */
struct rpc_message {
	json_t *root;       /* owns the rest */
	const json_t *id;   /* NULL for a notification */
	json_t *result;     /* set if the call succeeded */
	bool failed;        /* then `error` is filled */
	const char *method; /* of a notification, else NULL */
	json_t *params;     /* of a notification, may be NULL */
	struct error error;
};

/* False with ERROR_INTERNAL if the line is no message. On success the caller calls rpc_message_free. */
bool rpc_parse_message(const char *line, size_t length, struct rpc_message *message, struct error *err);
void rpc_message_free(struct rpc_message *message);

#endif
