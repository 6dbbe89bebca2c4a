/*
 * fuzz_rpc.c: a stream of frames. However it is cut, the same lines come of it; every line is a request or a fault; and
 * what we write can be read by the other side.
 */
#include "common/mem.h"
#include "common/rpc.h"
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_LINE = 200 };

/* Takes the message; it is one line. */
static void require_readable(json_t *message) {
	autostrbuf line = {0};
	rpc_write(&line, message);
	json_decref(message);
	require(line.length > 1 && memchr(line.data, '\n', line.length) == line.data + line.length - 1);
	struct rpc_message back;
	struct error err = {0};
	require(rpc_parse_message(line.data, line.length - 1, &back, &err));
	require(!back.failed || (fuzz_is_utf8(back.error.message) && fuzz_is_utf8(back.error.hint)));
	rpc_message_free(&back);
}

static void try_line(const char *line, size_t length) {
	struct rpc_request request;
	struct rpc_fault fault;
	if (rpc_parse_request(line, length, &request, &fault)) {
		require(request.method != NULL && json_is_object(request.params) && request.id != NULL);
		require_readable(rpc_response(request.id, json_deep_copy(request.params)));
		require_readable(rpc_notification(request.method, request.params));
		rpc_request_free(&request);
	} else {
		require(fault.message[0] != '\0' && fuzz_is_utf8(fault.message));
		require_readable(rpc_error(fault.id, fault.code, fault.message));
		rpc_fault_free(&fault);
	}
	struct rpc_message message;
	struct error err = {0};
	if (rpc_parse_message(line, length, &message, &err)) {
		require(message.result != NULL || message.failed || message.method != NULL);
		if (message.failed)
			require_readable(rpc_error_from(NULL, &message.error));
		rpc_message_free(&message);
	} else {
		fuzz_require_error(&err, ERROR_INTERNAL);
	}
}

/* All lines of the stream, each with its length, as one text. */
static char *lines_of(const uint8_t *data, size_t size, size_t step, bool try) {
	struct rpc_reader reader = {.max_bytes = MAX_LINE};
	autostrbuf all = {0};
	enum rpc_line found = RPC_LINE_NONE;
	for (size_t at = 0; at < size && found != RPC_LINE_TOO_LONG; at += step) {
		rpc_reader_add(&reader, (const char *)data + at, size - at < step ? size - at : step);
		const char *line = NULL;
		size_t length = 0;
		while ((found = rpc_reader_next(&reader, &line, &length)) == RPC_LINE_READY) {
			require(length > 0 && length <= MAX_LINE && line[length] == '\0' && memchr(line, '\n', length) == NULL);
			strbuf_printf(&all, "%zu:", length);
			strbuf_add_n(&all, line, length);
			if (try)
				try_line(line, length);
		}
	}
	strbuf_add(&all, found == RPC_LINE_TOO_LONG ? "too long" : "end");
	rpc_reader_free(&reader);
	strbuf_add_n(&all, "", 1);
	return strbuf_take(&all);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
	if (size == 0)
		return 0;
	autofree char *whole = lines_of(data, size, size, true);
	for (size_t step = 1; step < 8; step += 3) {
		autofree char *cut = lines_of(data, size, step, false);
		require(strcmp(whole, cut) == 0);
	}
	return 0;
}
