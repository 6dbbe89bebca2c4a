/* rpc: lines out of any fragmentation, every kind of bad request with its code, errors that survive the way. */
#include "common/rpc.h"

#include "common/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void lines_come_out_of_any_fragmentation(void **state) {
	(void)state;
	const char *stream = "{\"a\":1}\n\r\n\n{\"b\":2}\r\nlast\n";
	for (size_t piece = 1; piece <= strlen(stream); piece++) {
		struct rpc_reader reader = {.max_bytes = 64};
		autostrbuf seen = {0};
		for (size_t at = 0; at < strlen(stream); at += piece) {
			size_t left = strlen(stream) - at;
			rpc_reader_add(&reader, stream + at, left < piece ? left : piece);
			const char *line = NULL;
			size_t length = 0;
			while (rpc_reader_next(&reader, &line, &length) == RPC_LINE_READY) {
				assert_int_equal(strlen(line), length);
				strbuf_printf(&seen, "<%s>", line);
			}
		}
		assert_string_equal(seen.data, "<{\"a\":1}><{\"b\":2}><last>");
		assert_null(reader.buffer.data); /* idle: no memory */
		rpc_reader_free(&reader);
	}
}

static void too_long_lines_are_told(void **state) {
	(void)state;
	const char *line = NULL;
	size_t length = 0;
	struct rpc_reader reader = {.max_bytes = 8};
	rpc_reader_add(&reader, "12345678\n", 9);
	assert_int_equal(rpc_reader_next(&reader, &line, &length), RPC_LINE_READY);
	assert_int_equal(length, 8);
	rpc_reader_add(&reader, "12345678\r\n", 10);
	assert_int_equal(rpc_reader_next(&reader, &line, &length), RPC_LINE_READY);
	assert_int_equal(length, 8);
	rpc_reader_add(&reader, "123456789\n", 10);
	assert_int_equal(rpc_reader_next(&reader, &line, &length), RPC_LINE_TOO_LONG);
	rpc_reader_free(&reader);

	reader.max_bytes = 8; /* told before the end has come */
	rpc_reader_add(&reader, "1234567890", 10);
	assert_int_equal(rpc_reader_next(&reader, &line, &length), RPC_LINE_TOO_LONG);
	rpc_reader_free(&reader);
}

static void a_good_request_is_taken_apart(void **state) {
	(void)state;
	const char *line = "{\"jsonrpc\":\"2.0\",\"id\":\"x\",\"method\":\"job.show\",\"params\":{\"job\":\"1\"}}";
	struct rpc_request request;
	struct rpc_fault fault;
	assert_true(rpc_parse_request(line, strlen(line), &request, &fault));
	assert_string_equal(request.method, "job.show");
	assert_string_equal(json_string_value(request.id), "x");
	assert_string_equal(json_string_value(json_object_get(request.params, "job")), "1");
	rpc_request_free(&request);

	line = "{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"target.list\"}";
	assert_true(rpc_parse_request(line, strlen(line), &request, &fault));
	assert_true(json_is_object(request.params));
	rpc_request_free(&request);
}

static void bad_requests_have_their_codes(void **state) {
	(void)state;
	static const struct {
		const char *line;
		int code;
		bool id; /* known in the answer */
	} cases[] = {
		{"garbage", RPC_PARSE_ERROR, false},
		{"{\"jsonrpc\":\"2.0\",", RPC_PARSE_ERROR, false},
		{"{\"id\":1,\"id\":2}", RPC_PARSE_ERROR, false},
		{"\"\xff\"", RPC_PARSE_ERROR, false},
		{"[]", RPC_INVALID_REQUEST, false},
		{"[{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"x\"}]", RPC_INVALID_REQUEST, false},
		{"7", RPC_INVALID_REQUEST, false},
		{"{\"jsonrpc\":\"2.0\",\"method\":\"x\"}", RPC_INVALID_REQUEST, false},
		{"{\"jsonrpc\":\"2.0\",\"id\":null,\"method\":\"x\"}", RPC_INVALID_REQUEST, false},
		{"{\"jsonrpc\":\"2.0\",\"id\":{},\"method\":\"x\"}", RPC_INVALID_REQUEST, false},
		{"{\"id\":1,\"method\":\"x\"}", RPC_INVALID_REQUEST, true},
		{"{\"jsonrpc\":\"1.0\",\"id\":1,\"method\":\"x\"}", RPC_INVALID_REQUEST, true},
		{"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":5}", RPC_INVALID_REQUEST, true},
		{"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"x\",\"params\":[1]}", RPC_INVALID_PARAMS, true},
		{"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"x\",\"params\":null}", RPC_INVALID_PARAMS, true},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct rpc_request request;
		struct rpc_fault fault;
		assert_false(rpc_parse_request(cases[i].line, strlen(cases[i].line), &request, &fault));
		if ((int)fault.code != cases[i].code || (fault.id != NULL) != cases[i].id)
			fail_msg("%s: code %d, %s", cases[i].line, (int)fault.code, fault.message);
		assert_true(fault.message[0] != '\0');
		rpc_fault_free(&fault);
	}
}

static void deep_nesting_is_refused(void **state) {
	(void)state;
	autostrbuf line = {0};
	for (int i = 0; i < 500000; i++)
		strbuf_add(&line, "[");
	struct rpc_request request;
	struct rpc_fault fault;
	assert_false(rpc_parse_request(line.data, line.length, &request, &fault));
	assert_int_equal(fault.code, RPC_PARSE_ERROR);
	rpc_fault_free(&fault);
}

static void an_error_survives_the_way(void **state) {
	(void)state;
	static const enum error_code codes[] = {ERROR_USAGE,     ERROR_DATA,          ERROR_UNAVAILABLE, ERROR_INTERNAL,
	                                        ERROR_TRY_AGAIN, ERROR_NOT_PERMITTED, ERROR_CONFIG};
	for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
		struct error sent = {.code = codes[i], .message = "table \"x\" has no key: caf\xc3\xa9 \xff", .hint = "add one"};
		json_t *id = json_integer(4);
		json_t *json = rpc_error_from(id, &sent);
		autostrbuf wire = {0};
		rpc_write(&wire, json);
		json_decref(json);
		json_decref(id);
		assert_ptr_equal(strchr(wire.data, '\n'), wire.data + wire.length - 1);

		struct rpc_message message;
		struct error err;
		assert_true(rpc_parse_message(wire.data, wire.length - 1, &message, &err));
		assert_true(message.failed);
		assert_int_equal(json_integer_value(message.id), 4);
		assert_int_equal(message.error.code, codes[i]);
		assert_string_equal(message.error.message, "table \"x\" has no key: caf\xc3\xa9 ?");
		assert_string_equal(message.error.hint, "add one");
		rpc_message_free(&message);
	}
}

static void an_unknown_exit_code_is_internal(void **state) {
	(void)state;
	const char *line = "{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{\"code\":-32000,\"message\":\"m\",\"data\":{\"exit\":0}}}";
	struct rpc_message message;
	struct error err;
	assert_true(rpc_parse_message(line, strlen(line), &message, &err));
	assert_int_equal(message.error.code, ERROR_INTERNAL);
	rpc_message_free(&message);
	assert_false(rpc_parse_message("{}", 2, &message, &err));
	assert_false(rpc_parse_message("nonsense", 8, &message, &err));
	assert_int_equal(err.code, ERROR_INTERNAL);
}

static void messages_keep_their_shape(void **state) {
	(void)state;
	autostrbuf wire = {0};
	json_t *request = rpc_request(3, "job.list", json_object());
	rpc_write(&wire, request);
	json_decref(request);
	json_t *params = json_pack("{s:f}", "progress", 0.42);
	json_t *notification = rpc_notification("event", params);
	rpc_write(&wire, notification);
	json_decref(notification);
	json_decref(params);
	json_t *response = rpc_response(NULL, NULL);
	rpc_write(&wire, response);
	json_decref(response);
	assert_string_equal(wire.data, "{\"jsonrpc\":\"2.0\",\"id\":3,\"method\":\"job.list\",\"params\":{}}\n"
	                               "{\"jsonrpc\":\"2.0\",\"method\":\"event\",\"params\":{\"progress\":0.42}}\n"
	                               "{\"jsonrpc\":\"2.0\",\"id\":null,\"result\":null}\n");
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_come_out_of_any_fragmentation),
		cmocka_unit_test(too_long_lines_are_told),
		cmocka_unit_test(a_good_request_is_taken_apart),
		cmocka_unit_test(bad_requests_have_their_codes),
		cmocka_unit_test(deep_nesting_is_refused),
		cmocka_unit_test(an_error_survives_the_way),
		cmocka_unit_test(an_unknown_exit_code_is_internal),
		cmocka_unit_test(messages_keep_their_shape),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
