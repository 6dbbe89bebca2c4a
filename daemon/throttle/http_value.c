#include "daemon/throttle/http_value.h"

#include "common/json_path.h"
#include "common/mem.h"
#include "common/text.h"

#include <ctype.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

enum { STATUS_OK = 200, STATUS_TOO_MANY_REQUESTS = 429 };

/* Those that monitoring, and what stands before it, answers with. */
static const struct {
	long status;
	const char *name;
} statuses[] = {
	{301, "moved; redirects are not followed"},
	{302, "moved; redirects are not followed"},
	{307, "moved; redirects are not followed"},
	{308, "moved; redirects are not followed"},
	{400, "bad request"},
	{401, "the URL's user or password is refused"},
	{403, "forbidden"},
	{404, "not found"},
	{417, "expectation failed"},
	{422, "the query can't be executed"},
	{500, "internal server error"},
	{502, "bad gateway"},
	{503, "service unavailable"},
	{504, "gateway timeout"},
};

static struct http_value number_value(double number) {
	return (struct http_value){.kind = HTTP_VALUE_NUMBER, .number = number};
}

__attribute__((format(printf, 1, 2))) static struct http_value unknown(const char *format, ...) {
	struct http_value value = {.kind = HTTP_VALUE_UNKNOWN};
	va_list args;
	va_start(args, format);
	autofree char *text = mem_vprintf(format, args);
	va_end(args);
	text_one_line(value.why, sizeof value.why, text); /* the server's words may be in it */
	return value;
}

static json_t *parse(const struct http_response *answer, json_error_t *why) {
	/* Integers as reals: those of more than 64 bits are no error. */
	return json_loadb(answer->body, answer->length, JSON_DECODE_ANY | JSON_DECODE_INT_AS_REAL, why);
}

static bool is_blank(const struct http_response *answer) {
	for (size_t i = 0; i < answer->length; i++)
		if (!isspace((unsigned char)answer->body[i]))
			return false;
	return true;
}

static struct http_value value_of_path(const struct http_response *answer, const char *path) {
	if (is_blank(answer))
		return unknown("the answer is empty, it has no \"%s\"", path);
	json_error_t parse_error;
	json_t *document = parse(answer, &parse_error);
	if (document == NULL)
		return unknown("the answer is not JSON: line %d: %s", parse_error.line, parse_error.text);
	struct error err;
	double number = 0;
	autofree char *what = mem_printf("\"%s\"", path);
	const json_t *found = json_path_find(document, path, &err);
	bool is_number = found != NULL && json_path_number(found, what, &number, &err);
	json_decref(document);
	return is_number ? number_value(number) : unknown("%s", err.message);
}

/* --- Prometheus: https://prometheus.io/docs/prometheus/latest/querying/api/#instant-queries --- */

/* { "status": "success", "data": … } or { "status": "error", … } */
static bool is_prometheus(const json_t *document) {
	const char *status = json_string_value(json_object_get(document, "status"));
	if (status == NULL)
		return false;
	return strcmp(status, "error") == 0 || (strcmp(status, "success") == 0 && json_object_get(document, "data") != NULL);
}

/* What it says of a query that failed; NULL if it is no such answer. */
static const char *prometheus_error(const json_t *document) {
	bool is_one = is_prometheus(document) && json_object_get(document, "errorType") != NULL;
	return is_one ? json_string_value(json_object_get(document, "error")) : NULL;
}

/* [time, "value"]; a native histogram has none. */
static struct http_value value_of_sample(const json_t *sample) {
	struct error err;
	double number;
	const json_t *value = json_array_get(sample, 1);
	if (value == NULL)
		return unknown("the query gives a sample without a number");
	if (json_path_number(value, "the query's value", &number, &err))
		return number_value(number);
	const char *text = json_string_value(value);
	bool is_nan = text != NULL && strcmp(text, "NaN") == 0;
	return unknown("%s%s", err.message, is_nan ? ": a division by zero while nothing happens?" : "");
}

static struct http_value value_of_prometheus(const json_t *document) {
	const json_t *data = json_object_get(document, "data"), *result = json_object_get(data, "result");
	const char *said = prometheus_error(document);
	const char *type = json_string_value(json_object_get(data, "resultType"));
	if (data == NULL)
		return unknown("the query failed: %.200s", said != NULL ? said : "it is not said why");
	if (type != NULL && strcmp(type, "scalar") == 0)
		return value_of_sample(result);
	if (type == NULL || strcmp(type, "vector") != 0)
		return unknown("the query's result is of type \"%.40s\", not one number: ask /api/v1/query", type != NULL ? type : "");
	size_t series = json_array_size(result);
	if (series == 0)
		return unknown("the query finds no series: is its metric written like that?");
	if (series > 1)
		return unknown("the query gives %zu series, not one: put max(…) or sum(…) around it", series);
	return value_of_sample(json_object_get(json_array_get(result, 0), "value"));
}

/* --- without a path --- */

static const char blanks[] = " \t\r\n";

/* "NaN", "-Inf", "1e999", "0x10": somebody meant a number. */
static bool is_like_number(const char *text) {
	char *end;
	strtod(text, &end);
	return end != text && end[strspn(end, blanks)] == '\0';
}

static struct http_value not_a_number(const char *text) {
	autofree char *word = mem_dup_n(text, strnlen(text, 40));
	char *rest = word + strspn(word, blanks);
	rest[strcspn(rest, blanks)] = '\0';
	return unknown("the answer is \"%s\", not a number", rest);
}

/* False: it says nothing to us. */
static bool read_json(const json_t *document, struct http_value *value) {
	const char *text = json_string_value(document);
	double number;
	if (is_prometheus(document))
		*value = value_of_prometheus(document);
	else if (text != NULL && json_path_text_number(text, json_string_length(document), &number))
		*value = number_value(number);
	else if (text != NULL && is_like_number(text))
		*value = not_a_number(text);
	else if (json_is_null(document) || json_is_false(document))
		*value = unknown("the answer is %s, not a number", json_is_null(document) ? "null" : "false");
	else
		return false;
	return true;
}

static struct http_value value_of_body(const struct http_response *answer) {
	double number;
	if (json_path_text_number(answer->body, answer->length, &number))
		return number_value(number);
	if (is_like_number(answer->body))
		return not_a_number(answer->body);
	json_error_t why;
	json_t *document = parse(answer, &why);
	struct http_value value;
	bool known = document != NULL && read_json(document, &value);
	json_decref(document);
	if (known)
		return value;
	if (answer->status != STATUS_OK)
		return unknown("HTTP %ld without a number", answer->status);
	return (struct http_value){.kind = HTTP_VALUE_GO};
}

/* --- the status --- */

/* Prometheus says what is wrong with a query. Of other bodies nothing is shown: they may repeat the URL, with what is secret in
 * it. */
static struct http_value value_of_refusal(const struct http_response *answer) {
	json_error_t why;
	json_t *document = parse(answer, &why);
	const char *said = prometheus_error(document), *name = NULL;
	for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++)
		if (statuses[i].status == answer->status)
			name = statuses[i].name;
	struct http_value value = said != NULL   ? unknown("HTTP %ld: %.200s", answer->status, said)
	                          : name != NULL ? unknown("HTTP %ld (%s)", answer->status, name)
	                                         : unknown("HTTP %ld", answer->status);
	json_decref(document);
	return value;
}

struct http_value http_value_of(const struct http_response *answer, const char *path) {
	if (!answer->answered)
		return unknown("%s", answer->why);
	if (answer->status == STATUS_TOO_MANY_REQUESTS) {
		struct http_value value = unknown("HTTP 429: it says that there is too much load");
		value.kind = HTTP_VALUE_STOP;
		return value;
	}
	if (answer->status < 200 || answer->status > 299)
		return value_of_refusal(answer);
	return path != NULL ? value_of_path(answer, path) : value_of_body(answer);
}
