/* Texts are UTF-8, whatever they were made of. */
#include "common/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void characters_are_told_from_bytes(void **state) {
	(void)state;
	static const struct {
		const char *bytes;
		size_t length;
	} cases[] = {
		{"a", 1},
		{"\xC3\xA4", 2},
		{"\xE2\x82\xAC", 3},
		{"\xF0\x9F\x98\x80", 4}, /* a, ä, €, 😀 */
		{"\xC3", 0},
		{"\xE2\x82", 0},
		{"\xF0\x9F\x98", 0}, /* cut */
		{"\x80", 0},
		{"\xC0\xAF", 0},
		{"\xE0\x80\xAF", 0},
		{"\xF0\x80\x80\xAF", 0}, /* alone, overlong */
		{"\xED\xA0\x80", 0},
		{"\xF4\x90\x80\x80", 0},
		{"\xFF", 0},
		{"\xC3(", 0}, /* surrogate, beyond */
		{"\xED\x9F\xBF", 3},
		{"\xF4\x8F\xBF\xBF", 4},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		assert_int_equal(text_character(cases[i].bytes, strlen(cases[i].bytes)), cases[i].length);
	assert_int_equal(text_character("\xC3\xA4", 1), 0);
}

static void a_cut_splits_no_character(void **state) {
	(void)state;
	static const char *const cut[] = {"", "", "", "\xE2\x82\xAC", "\xE2\x82\xAC", "\xE2\x82\xAC", "\xE2\x82\xAC\xE2\x82\xAC"};
	for (size_t size = 1; size <= 7; size++) {
		char out[8];
		memset(out, '#', sizeof out);
		text_format(out, size, "%s%s", "\xE2\x82\xAC", "\xE2\x82\xAC");
		assert_string_equal(out, cut[size - 1]);
		assert_int_equal(out[size], '#');
	}
}

static void a_byte_that_is_no_character_is_shown(void **state) {
	(void)state;
	char out[20];
	text_format(out, sizeof out, "a%sb", "\xE4\xC3\xA4\xFF");
	assert_string_equal(out, "a?\xC3\xA4?b");
	text_format(out, sizeof out, "%s", "");
	assert_string_equal(out, "");
}

static void one_line_is_one_line(void **state) {
	(void)state;
	char out[12];
	text_one_line(out, sizeof out,
	              "a\n\tb\x7f"
	              "c\n \n");
	assert_string_equal(out, "a  b c");
	text_one_line(out, sizeof out, "0123456789\xC3\xA4");
	assert_string_equal(out, "0123456789");
	text_one_line(out, sizeof out, "\n");
	assert_string_equal(out, "");
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(characters_are_told_from_bytes),
		cmocka_unit_test(a_cut_splits_no_character),
		cmocka_unit_test(a_byte_that_is_no_character_is_shown),
		cmocka_unit_test(one_line_is_one_line),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
