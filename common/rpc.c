#include "common/rpc.h"

#include "common/mem.h"
#include "common/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void rpc_reader_add(struct rpc_reader *reader, const char *bytes, size_t length) {
	/* Lines were handed out in place; drop them all at once, so that many small lines don't cost a memmove each. */
	if (reader->start > 0) {
		strbuf_consume(&reader->buffer, reader->start);
		reader->scanned -= reader->start;
		reader->start = 0;
	}
	strbuf_add_n(&reader->buffer, bytes, length);
}

enum rpc_line rpc_reader_next(struct rpc_reader *reader, const char **line, size_t *length) {
	struct strbuf *b = &reader->buffer;
	while (reader->scanned < b->length) {
		char *end = memchr(b->data + reader->scanned, '\n', b->length - reader->scanned);
		if (end == NULL) {
			reader->scanned = b->length;
			break;
		}
		char *begin = b->data + reader->start;
		size_t size = (size_t)(end - begin);
		if (size > 0 && begin[size - 1] == '\r')
			size--;
		if (size > reader->max_bytes)
			return RPC_LINE_TOO_LONG;
		reader->start = reader->scanned = (size_t)(end - b->data) + 1;
		if (size == 0)
			continue;
		begin[size] = '\0';
		*line = begin;
		*length = size;
		return RPC_LINE_READY;
	}
	/* One byte more may be the \r of the line's end. */
	if (b->length - reader->start > reader->max_bytes + 1)
		return RPC_LINE_TOO_LONG;
	/* An idle client keeps no buffer. */
	if (b->length == reader->start)
		rpc_reader_free(reader);
	return RPC_LINE_NONE;
}

void rpc_reader_free(struct rpc_reader *reader) {
	strbuf_free(&reader->buffer);
	reader->start = reader->scanned = 0;
}

static bool fault_set(struct rpc_fault *fault, enum rpc_code code, const char *format, ...) __attribute__((format(printf, 3, 4)));
static bool fault_set(struct rpc_fault *fault, enum rpc_code code, const char *format, ...) {
	va_list args;
	va_start(args, format);
	text_vformat(fault->message, sizeof fault->message, format, args);
	va_end(args);
	fault->code = code;
	return false;
}

static bool check_request(json_t *root, struct rpc_request *request, struct rpc_fault *fault) {
	if (json_is_array(root))
		return fault_set(fault, RPC_INVALID_REQUEST, "batches are not supported: send one request a line");
	if (!json_is_object(root))
		return fault_set(fault, RPC_INVALID_REQUEST, "a request is a JSON object");

	json_t *id = json_object_get(root, "id");
	if (!json_is_string(id) && !json_is_number(id))
		return fault_set(fault, RPC_INVALID_REQUEST, "\"id\" must be a string or a number");
	fault->id = json_incref(id);

	const char *version = json_string_value(json_object_get(root, "jsonrpc"));
	if (version == NULL || strcmp(version, "2.0") != 0)
		return fault_set(fault, RPC_INVALID_REQUEST, "\"jsonrpc\" must be \"2.0\"");
	const char *method = json_string_value(json_object_get(root, "method"));
	if (method == NULL)
		return fault_set(fault, RPC_INVALID_REQUEST, "\"method\" must be a string");

	json_t *params = json_object_get(root, "params");
	if (params == NULL) {
		params = json_object();
		json_object_set_new(root, "params", params);
	}
	if (!json_is_object(params))
		return fault_set(fault, RPC_INVALID_PARAMS, "\"params\" must be an object");
	*request = (struct rpc_request){.root = root, .id = id, .method = method, .params = params};
	return true;
}

bool rpc_parse_request(const char *line, size_t length, struct rpc_request *request, struct rpc_fault *fault) {
	*fault = (struct rpc_fault){0};
	json_error_t why;
	json_t *root = json_loadb(line, length, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &why);
	if (root == NULL)
		return fault_set(fault, RPC_PARSE_ERROR, "not JSON: %s (byte %d)", why.text, why.position);
	if (!check_request(root, request, fault)) {
		json_decref(root);
		return false;
	}
	rpc_fault_free(fault);
	return true;
}

void rpc_request_free(struct rpc_request *request) {
	json_decref(request->root);
	*request = (struct rpc_request){0};
}

void rpc_fault_free(struct rpc_fault *fault) {
	json_decref(fault->id);
	fault->id = NULL;
}

/* jansson gives NULL only when memory runs out, as our texts are made valid first; an incomplete message is worse. */
static json_t *built(json_t *json) {
	if (json == NULL) {
		fputs("out of memory: exiting\n", stderr);
		_Exit(ERROR_INTERNAL);
	}
	return json;
}

static json_t *any_id(json_t *id) {
	return id != NULL ? json_incref(id) : json_null();
}

json_t *rpc_request(json_int_t id, const char *method, json_t *params) {
	return built(json_pack("{s:s,s:I,s:s,s:o}", "jsonrpc", "2.0", "id", id, "method", method, "params", params));
}

json_t *rpc_response(json_t *id, json_t *result) {
	if (result == NULL)
		result = json_null();
	return built(json_pack("{s:s,s:o,s:o}", "jsonrpc", "2.0", "id", any_id(id), "result", result));
}

json_t *rpc_error(json_t *id, enum rpc_code code, const char *message) {
	return built(json_pack("{s:s,s:o,s:{s:i,s:o}}", "jsonrpc", "2.0", "id", any_id(id), "error", "code", (int)code, "message",
	                       rpc_string(message)));
}

json_t *rpc_error_from(json_t *id, const struct error *err) {
	json_t *message = rpc_error(id, RPC_APPLICATION, err->message);
	json_t *data = built(json_pack("{s:s,s:i}", "code", error_code_name(err->code), "exit", (int)err->code));
	if (err->hint[0] != '\0')
		json_object_set_new(data, "hint", rpc_string(err->hint));
	json_object_set_new(json_object_get(message, "error"), "data", data);
	return message;
}

json_t *rpc_notification(const char *method, const json_t *params) {
	return built(json_pack("{s:s,s:s,s:O}", "jsonrpc", "2.0", "method", method, "params", params));
}

json_t *rpc_string(const char *text) {
	json_t *string = json_string(text);
	if (string != NULL)
		return string;
	size_t size = strlen(text) + 1; /* it does not grow */
	autofree char *clean = mem_alloc(size);
	text_format(clean, size, "%s", text);
	return built(json_string(clean));
}

static int add_to_strbuf(const char *bytes, size_t length, void *context) {
	strbuf_add_n(context, bytes, length);
	return 0;
}

void rpc_write(struct strbuf *out, const json_t *message) {
	/* 15 digits: 0.42 stays 0.42. */
	json_dump_callback(message, add_to_strbuf, out, JSON_COMPACT | JSON_REAL_PRECISION(15));
	strbuf_add_n(out, "\n", 1);
}

/* An exit code from the other side is believed only if it is one of ours. */
static enum error_code code_of_exit(json_int_t value) {
	static const enum error_code known[] = {ERROR_USAGE,     ERROR_DATA,          ERROR_UNAVAILABLE, ERROR_INTERNAL,
	                                        ERROR_TRY_AGAIN, ERROR_NOT_PERMITTED, ERROR_CONFIG};
	for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
		if ((json_int_t)known[i] == value)
			return known[i];
	}
	return ERROR_INTERNAL;
}

static void read_error(const json_t *error, struct error *err) {
	const char *text = json_string_value(json_object_get(error, "message"));
	json_int_t code = json_integer_value(json_object_get(error, "code"));
	const json_t *data = json_object_get(error, "data");
	enum error_code exit_code = ERROR_INTERNAL;
	if (code == RPC_METHOD_NOT_FOUND || code == RPC_INVALID_PARAMS)
		exit_code = ERROR_USAGE;
	if (json_is_object(data))
		exit_code = code_of_exit(json_integer_value(json_object_get(data, "exit")));
	error_set(err, exit_code, "%s", text != NULL ? text : "the daemon refused without saying why");
	const char *hint = json_string_value(json_object_get(data, "hint"));
	if (hint != NULL)
		error_hint(err, "%s", hint);
}

bool rpc_parse_message(const char *line, size_t length, struct rpc_message *message, struct error *err) {
	json_t *root = json_loadb(line, length, 0, NULL);
	*message = (struct rpc_message){.root = root};
	if (json_is_object(root)) {
		message->id = json_object_get(root, "id");
		message->result = json_object_get(root, "result");
		message->method = json_string_value(json_object_get(root, "method"));
		message->params = json_object_get(root, "params");
		const json_t *error = json_object_get(root, "error");
		message->failed = json_is_object(error);
		if (message->failed)
			read_error(error, &message->error);
		if (message->result != NULL || message->failed || message->method != NULL)
			return true;
	}
	rpc_message_free(message);
	return error_set(err, ERROR_INTERNAL, "the answer is not a JSON-RPC message");
}

void rpc_message_free(struct rpc_message *message) {
	json_decref(message->root);
	*message = (struct rpc_message){0};
}
