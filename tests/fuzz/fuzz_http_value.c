/*
 * fuzz_http_value.c: a line with a status, one with a path, and the answer's body. Whatever it is, a number is finite, and what
 * is unknown has a reason that can be shown. A body that is a number by itself is the same number at the end of a path.
 */
#include "common/json_path.h"
#include "common/mem.h"
#include "common/strbuf.h"
#include "daemon/throttle/http_value.h"
#include "tests/fuzz/fuzz.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static struct http_value value_of(long status, const char *body, size_t length, const char *path) {
	struct http_response answer = {.answered = true, .status = status, .body = body, .length = length};
	struct http_value value = http_value_of(&answer, path);
	require(value.kind == HTTP_VALUE_NUMBER ? isfinite(value.number) : value.number == 0);
	require((value.kind == HTTP_VALUE_NUMBER || value.kind == HTTP_VALUE_GO) == (value.why[0] == '\0'));
	require(fuzz_is_utf8(value.why) && strpbrk(value.why, "\r\n") == NULL);
	require((value.kind == HTTP_VALUE_STOP) == (status == 429));
	require(value.kind != HTTP_VALUE_GO || (status == 200 && path == NULL));
	return value;
}

/* In quotes, as numbers may have forms that JSON has not. */
static void require_same_at_path(const char *body, size_t length, double number) {
	autostrbuf deeper = {0};
	strbuf_add(&deeper, "{\"status\":\"success\",\"data\":{\"resultType\":\"scalar\",\"result\":[0,\"");
	for (size_t i = 0; i < length; i++)
		if (strchr("\"\t\r\n\v\f", body[i]) == NULL) /* what may stand around a number */
			strbuf_add_n(&deeper, body + i, 1);
	strbuf_add(&deeper, "\"]}}");
	struct http_value value = value_of(200, deeper.data, deeper.length, "data.result[1]");
	require(value.kind == HTTP_VALUE_NUMBER && value.number == number);
	value = value_of(200, deeper.data, deeper.length, NULL);
	require(value.kind == HTTP_VALUE_NUMBER && value.number == number);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
	autofree char *text = fuzz_text(data, size);
	char *lines[3];
	if (fuzz_split(text, '\n', lines, 3) < 3)
		return 0;
	long status = strtol(lines[0], NULL, 10);
	size_t begin = (size_t)(lines[2] - text), length = size - begin;
	autofree char *body = mem_dup_n((const char *)data + begin, length); /* with its NULs */
	struct error err = {0};
	if (!json_path_check(lines[1], &err))
		fuzz_require_error(&err, ERROR_DATA);
	struct http_value value = value_of(status, body, length, lines[1]);
	require(json_path_check(lines[1], NULL) || value.kind != HTTP_VALUE_NUMBER);
	value = value_of(status, body, length, NULL);
	if (value.kind == HTTP_VALUE_NUMBER && memchr(body, '{', length) == NULL && memchr(body, '\\', length) == NULL)
		require_same_at_path(body, length, value.number);
	return 0;
}
