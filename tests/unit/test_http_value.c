/* test_http_value.c: paths into JSON, and what an answer says to a probe. */
#include "common/json_path.h"
#include "common/mem.h"
#include "daemon/throttle/http_value.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* --- paths --- */

static void paths_are_checked(void **state) {
	(void)state;
	static const char *const good[] = {"a", "a.b", "[0]", "[0][1].x", "data.result[0].value[1]", "a b.ü", "a[999999999]"};
	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		struct error err = {0};
		if (!json_path_check(good[i], &err))
			fail_msg("%s: %s", good[i], err.message);
	}
	static const struct {
		const char *path, *message;
	} bad[] = {
		{"", "the path \"\" has no name at position 1"},
		{".a", "the path \".a\" has no name at position 1"},
		{"a.", "the path \"a.\" has no name at position 3"},
		{"a..b", "the path \"a..b\" has no name at position 3"},
		{"a.[0]", "the path \"a.[0]\" has no name at position 3"},
		{"a[0]b", "the path \"a[0]b\" has neither a dot nor a bracket at position 5"},
		{"a]", "the path \"a]\" has neither a dot nor a bracket at position 2"},
		{"a[", "the path \"a[\" has no number in brackets at position 2, as [0]"},
		{"a[]", "the path \"a[]\" has no number in brackets at position 2, as [0]"},
		{"a[-1]", "the path \"a[-1]\" has no number in brackets at position 2, as [0]"},
		{"a[1", "the path \"a[1\" has no number in brackets at position 2, as [0]"},
		{"a[*]", "the path \"a[*]\" has no number in brackets at position 2, as [0]"},
		{"a[1000000000]", "the path \"a[1000000000]\" has no number in brackets at position 2, as [0]"},
	};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct error err = {0};
		assert_false(json_path_check(bad[i].path, &err));
		assert_string_equal(err.message, bad[i].message);
		assert_int_equal(err.code, ERROR_DATA);
	}
}

static void texts_are_numbers_or_not(void **state) {
	(void)state;
	static const struct {
		const char *text;
		double number;
	} good[] = {{"0.0123", 0.0123}, {" 5\r\n", 5}, {"-1e3", -1000}, {"+.5", 0.5}, {"5.", 5}, {"1E-400", 0}, {"007", 7}};
	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		double number = -1;
		if (!json_path_text_number(good[i].text, strlen(good[i].text), &number) || number != good[i].number)
			fail_msg("\"%s\" is %g", good[i].text, number);
	}
	static const char *const bad[] = {"",      " ",  "NaN", "nan", "Inf", "-Inf",  "+Inf", "infinity", "0x10",
	                                  "1e999", "1e", "-",   "1 2", "1,5", "1.2.3", "5ms",  "e5",       "."};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		double number;
		if (json_path_text_number(bad[i], strlen(bad[i]), &number))
			fail_msg("\"%s\" was taken", bad[i]);
	}
	double number;
	assert_false(json_path_text_number("5\0006", 3, &number));
	assert_true(json_path_text_number("56", 1, &number) && number == 5);
}

/* --- answers --- */

static struct http_value value_of(long status, const char *body, const char *path) {
	struct http_response answer = {.answered = true, .status = status, .body = body, .length = strlen(body)};
	return http_value_of(&answer, path);
}

static void assert_number(const char *body, const char *path, double number) {
	struct http_value value = value_of(200, body, path);
	if (value.kind != HTTP_VALUE_NUMBER || value.number != number)
		fail_msg("%s: kind %d, %g, %s", body, value.kind, value.number, value.why);
	assert_string_equal(value.why, "");
}

static void assert_unknown(long status, const char *body, const char *path, const char *why) {
	struct http_value value = value_of(status, body, path);
	if (value.kind != HTTP_VALUE_UNKNOWN || strcmp(value.why, why) != 0)
		fail_msg("%s: kind %d, %g, %s", body, value.kind, value.number, value.why);
}

static void a_body_may_be_a_number(void **state) {
	(void)state;
	assert_number("0.0123\n", NULL, 0.0123);
	assert_number("+5", NULL, 5);
	assert_number("\"0.5\"", NULL, 0.5);
	assert_number("123456789012345678901234567890", NULL, 123456789012345678901234567890.0);
	assert_unknown(200, "NaN\n", NULL, "the answer is \"NaN\", not a number");
	assert_unknown(200, "-Inf", NULL, "the answer is \"-Inf\", not a number");
	assert_unknown(200, "\"NaN\"", NULL, "the answer is \"NaN\", not a number");
	assert_unknown(200, "1e999", NULL, "the answer is \"1e999\", not a number");
	assert_unknown(200, "null", NULL, "the answer is null, not a number");
	assert_unknown(200, "false", NULL, "the answer is false, not a number");
	struct http_response nul = {.answered = true, .status = 200, .body = "5\0garbage", .length = 9};
	assert_int_equal(http_value_of(&nul, NULL).kind, HTTP_VALUE_UNKNOWN);
}

static void a_path_leads_to_the_number(void **state) {
	(void)state;
	static const char body[] = "{\"a\": [{\"b\": 1.5}, \"2.5\", null, \"NaN\", 99999999999999999999], \"c d\": {\"e\": -3}}";
	assert_number(body, "a[0].b", 1.5);
	assert_number(body, "a[1]", 2.5);
	assert_number(body, "a[4]", 1e20);
	assert_number(body, "c d.e", -3);
	assert_number("[[7]]", "[0][0]", 7);
	assert_unknown(200, body, "x", "the JSON has no \"x\"");
	assert_unknown(200, body, "[0]", "the JSON is an object, it has no [0]");
	assert_unknown(200, body, "a.b", "\"a\" is an array, it has no \"b\"");
	assert_unknown(200, body, "a[5]", "\"a\" has 5 elements, none at [5]");
	assert_unknown(200, body, "a[0].c", "\"a[0]\" has no \"c\"");
	assert_unknown(200, body, "a[0].b.c", "\"a[0].b\" is a number, it has no \"c\"");
	assert_unknown(200, body, "a[0]", "\"a[0]\" is an object, not a number");
	assert_unknown(200, body, "a[2]", "\"a[2]\" is null, not a number");
	assert_unknown(200, body, "a[3]", "\"a[3]\" is \"NaN\", not a number");
	assert_unknown(200, body, "a[", "the path \"a[\" has no number in brackets at position 2, as [0]");
	assert_unknown(200, "5", "a", "the JSON is a number, it has no \"a\"");
	assert_unknown(200, " \n", "a", "the answer is empty, it has no \"a\"");
	assert_unknown(200, "<html>", "a", "the answer is not JSON: line 1: invalid token near '<'");
	assert_unknown(200, "{\"a\": 1e999}", "a", "the answer is not JSON: line 1: real number overflow near '1e999'");
}

#define VECTOR(series) "{\"status\":\"success\",\"data\":{\"resultType\":\"vector\",\"result\":[" series "]}}"
#define SERIES(value) "{\"metric\":{\"job\":\"a\"},\"value\":[1795251600.123,\"" value "\"]}"

static void prometheus_has_one_series(void **state) {
	(void)state;
	assert_number(VECTOR(SERIES("0.1")), NULL, 0.1);
	assert_number(VECTOR(SERIES("0.1")), "data.result[0].value[1]", 0.1);
	assert_number("{\"status\":\"success\",\"data\":{\"resultType\":\"scalar\",\"result\":[1795251600,\"2\"]}}", NULL, 2);
	assert_unknown(200, VECTOR(""), NULL, "the query finds no series: is its metric written like that?");
	assert_unknown(200, VECTOR(SERIES("1") "," SERIES("2") "," SERIES("3")), NULL,
	               "the query gives 3 series, not one: put max(…) or sum(…) around it");
	assert_unknown(200, VECTOR(SERIES("NaN")), NULL,
	               "the query's value is \"NaN\", not a number: a division by zero while nothing happens?");
	assert_unknown(200, VECTOR(SERIES("+Inf")), NULL, "the query's value is \"+Inf\", not a number");
	assert_unknown(200, VECTOR("{\"metric\":{},\"histogram\":[1,{}]}"), NULL, "the query gives a sample without a number");
	assert_unknown(200, VECTOR("1"), NULL, "the query gives a sample without a number");
	assert_unknown(200, "{\"status\":\"success\",\"data\":{\"resultType\":\"matrix\",\"result\":[]}}", NULL,
	               "the query's result is of type \"matrix\", not one number: ask /api/v1/query");
	assert_unknown(200, "{\"status\":\"success\",\"data\":5}", NULL,
	               "the query's result is of type \"\", not one number: ask /api/v1/query");
	assert_unknown(200, "{\"status\":\"error\",\"errorType\":\"timeout\",\"error\":\"too slow\"}", NULL,
	               "the query failed: too slow");
	assert_unknown(200, "{\"status\":\"error\"}", NULL, "the query failed: it is not said why");
	assert_unknown(400, "{\"status\":\"error\",\"errorType\":\"bad_data\",\"error\":\"1:3: parse\\nerror\"}", NULL,
	               "HTTP 400: 1:3: parse error");
}

static void a_status_may_be_all(void **state) {
	(void)state;
	static const char *const bodies[] = {
		"", "OK", "{\"StatusCode\":200,\"Value\":0.4}", "true", "[]", "\"fine\"", "{\"status\":\"up\"}"};
	for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++)
		assert_int_equal(value_of(200, bodies[i], NULL).kind, HTTP_VALUE_GO);
	struct http_value stop = value_of(429, "0.1", NULL);
	assert_int_equal(stop.kind, HTTP_VALUE_STOP);
	assert_string_equal(stop.why, "HTTP 429: it says that there is too much load");
	assert_int_equal(value_of(429, "{\"a\":1}", "a").kind, HTTP_VALUE_STOP);
	assert_unknown(204, "", NULL, "HTTP 204 without a number");
	assert_number("5", NULL, 5);
	assert_unknown(404, "5", NULL, "HTTP 404 (not found)");
	assert_unknown(417, "{\"a\":5}", "a", "HTTP 417 (expectation failed)");
	assert_unknown(500, "", NULL, "HTTP 500 (internal server error)");
	assert_unknown(503, "of /x?token=secret", NULL, "HTTP 503 (service unavailable)");
	assert_unknown(302, "", NULL, "HTTP 302 (moved; redirects are not followed)");
	assert_unknown(401, "{\"status\":\"error\",\"error\":\"bad token secret\"}", NULL,
	               "HTTP 401 (the URL's user or password is refused)");
	assert_unknown(599, "", NULL, "HTTP 599");
}

static void no_answer_says_why(void **state) {
	(void)state;
	struct http_response none = {.why = "127.0.0.1:9090: Connection refused", .body = ""};
	struct http_value value = http_value_of(&none, NULL);
	assert_int_equal(value.kind, HTTP_VALUE_UNKNOWN);
	assert_string_equal(value.why, "127.0.0.1:9090: Connection refused");
}

static void nesting_ends_somewhere(void **state) {
	(void)state;
	enum { DEEP = 100000 };
	char *body = mem_alloc(DEEP + 1);
	memset(body, '[', DEEP);
	struct http_value value = value_of(200, body, "[0]");
	assert_int_equal(value.kind, HTTP_VALUE_UNKNOWN);
	assert_non_null(strstr(value.why, "maximum parsing depth"));
	free(body);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(paths_are_checked),         cmocka_unit_test(texts_are_numbers_or_not),
		cmocka_unit_test(a_body_may_be_a_number),    cmocka_unit_test(a_path_leads_to_the_number),
		cmocka_unit_test(prometheus_has_one_series), cmocka_unit_test(a_status_may_be_all),
		cmocka_unit_test(no_answer_says_why),        cmocka_unit_test(nesting_ends_somewhere),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
