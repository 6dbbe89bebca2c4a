/* keytable: each type of key from a file and from `set`, each refusal with its line and hint, and the texts that libconfig must
 * never see. */
#include "common/keytable.h"

#include "common/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum color { COLOR_RED, COLOR_GREEN };

struct sample {
	bool flag;
	int64_t count;
	double share;
	int64_t time_ms;
	int64_t bytes;
	char *name;
	enum color color;
	char **words;
	size_t nwords;
	char *custom;
	bool count_said;
	bool hidden;
};

static bool load_custom(const struct keytable_document *d, const struct key *key, config_setting_t *setting, void *base,
                        struct error *err) {
	const char *text = NULL;
	if (!keytable_string(d, key, setting, &text, err))
		return false;
	((struct sample *)base)->custom = mem_dup(text);
	return true;
}

#define AT(MEMBER) .offset = offsetof(struct sample, MEMBER)

static const struct key keys[] = {
	{.name = "flag", .type = KEY_BOOL, AT(flag), .fallback = "true", .flags = KEY_LIVE, .doc = "a flag"},
	{.name = "batch.count",
     .type = KEY_INT,
     AT(count),
     .min = 1,
     .max = 5e9,
     .fallback = "7",
     .flags = KEY_LIVE,
     .said_offset = offsetof(struct sample, count_said),
     .doc = "a count"},
	{.name = "batch.share",
     .type = KEY_FLOAT,
     AT(share),
     .min = -1,
     .max = 1,
     .fallback = "0.5",
     .flags = KEY_LIVE,
     .doc = "a share"},
	{.name = "time",
     .type = KEY_DURATION,
     AT(time_ms),
     .min = 1,
     .max = 60000,
     .fallback = "250ms",
     .flags = KEY_LIVE,
     .doc = "time"},
	{.name = "bytes",
     .type = KEY_SIZE,
     AT(bytes),
     .min = 1024,
     .max = 1048576,
     .fallback = "8kB",
     .flags = KEY_LIVE,
     .doc = "size"},
	{.name = "name",
     .type = KEY_STRING,
     AT(name),
     .min = 1,
     .max = 20,
     .pattern = "^[a-z |]+$",
     .wanted = "small letters",
     .flags = KEY_REQUIRED | KEY_LIVE,
     .doc = "a name, a|b"},
	{.name = "color",
     .type = KEY_CHOICE,
     AT(color),
     .choices = (const char *const[]){"red", "green", NULL},
     .fallback = "green",
     .flags = KEY_LIVE,
     .doc = "a color"},
	{.name = "words",
     .type = KEY_STRINGS,
     AT(words),
     .count_offset = offsetof(struct sample, nwords),
     .max = 3,
     .pattern = "^[a-z]+$",
     .wanted = "a word",
     .flags = KEY_LIVE,
     .fallback = "x,y",
     .doc = "words"},
	{.name = "custom", .type = KEY_CUSTOM, .load = load_custom, .max = 5, .wanted = "text", .doc = "custom"},
	{.name = "fixed", .type = KEY_INT, .flags = KEY_UNSTORED, .max = 9, .doc = "not live"},
	{.name = "later.number",
     .type = KEY_INT,
     .flags = KEY_LATER | KEY_UNSTORED | KEY_LIVE,
     .max = 9,
     .fallback = "0",
     .doc = "later"},
	{.name = "later.color",
     .type = KEY_CHOICE,
     .flags = KEY_LATER | KEY_UNSTORED,
     .choices = (const char *const[]){"red", "green", NULL},
     .doc = "later"},
	{.name = "later.mode",
     .type = KEY_CHOICE,
     .flags = KEY_LATER | KEY_UNSTORED,
     .choices = (const char *const[]){"red", "none", NULL},
     .fallback = "none",
     .doc = "later"},
	{.name = "later.list", .type = KEY_STRINGS, .flags = KEY_LATER | KEY_UNSTORED, .max = 3, .doc = "later"},
	{.name = "hidden", .type = KEY_BOOL, AT(hidden), .flags = KEY_SET_ONLY | KEY_LIVE, .fallback = "true", .doc = "only set"},
	{0},
};

static void sample_clear(struct sample *s) {
	keytable_clear(keys, s);
	free(s->custom);
	memset(s, 0, sizeof *s);
}

static bool load(const char *text, struct sample *s, struct error *err) {
	struct keytable_document *d = NULL;
	*err = (struct error){0};
	memset(s, 0, sizeof *s);
	if (!keytable_parse(text, strlen(text), "f.conf", ERROR_DATA, &d, err))
		return false;
	bool ok = keytable_load(d, NULL, keys, s, err);
	keytable_document_free(d);
	return ok;
}

static void refused(const char *text, const char *message, const char *hint) {
	struct sample s;
	struct error err;
	bool ok = load(text, &s, &err);
	sample_clear(&s);
	assert_false(ok);
	assert_string_equal(err.message, message);
	if (hint != NULL)
		assert_string_equal(err.hint, hint);
	assert_int_equal(err.code, ERROR_DATA);
}

static void defaults_come_from_the_table(void **state) {
	(void)state;
	struct sample s;
	struct error err;
	assert_true(load("name = \"a\";", &s, &err));
	assert_true(s.flag && s.hidden && !s.count_said);
	assert_int_equal(s.count, 7);
	assert_true(s.share == 0.5);
	assert_int_equal(s.time_ms, 250);
	assert_int_equal(s.bytes, 8192);
	assert_int_equal(s.color, COLOR_GREEN);
	assert_int_equal(s.nwords, 2);
	assert_string_equal(s.words[1], "y");
	sample_clear(&s);
}

static void each_type_is_read(void **state) {
	(void)state;
	struct sample s;
	struct error err;
	const char *text = "/* all */ flag = false;\nbatch = { count = 4294968296L; share = 1; };\ntime: \"2s\"\nbytes = \"64kB\", "
					   "name = \"a\" \" b\"; # two parts\ncolor = \"red\"; words = [\"p\", \"q\", \"r\"]; custom = \"abc\"; "
					   "later = { number = 0; mode = \"none\"; list = []; }; // no end of line";
	assert_true(load(text, &s, &err));
	assert_true(!s.flag && s.count_said);
	assert_true(s.count == INT64_C(4294968296));
	assert_true(s.share == 1.0);
	assert_int_equal(s.time_ms, 2000);
	assert_int_equal(s.bytes, 65536);
	assert_string_equal(s.name, "a b");
	assert_int_equal(s.color, COLOR_RED);
	assert_int_equal(s.nwords, 3);
	assert_string_equal(s.words[2], "r");
	assert_string_equal(s.custom, "abc");
	sample_clear(&s);
	assert_true(load("name = \"a\"; words = (\"p\"); batch = { share = -0.25; };", &s, &err));
	assert_int_equal(s.nwords, 1);
	assert_true(s.share == -0.25);
	sample_clear(&s);
	assert_true(load("name = \"a\"; words = \"p\";", &s, &err));
	assert_string_equal(s.words[0], "p");
	sample_clear(&s);
}

static void wrong_types_are_refused(void **state) {
	(void)state;
	static const char duration_hint[] =
		"a whole number with ms, s, m or h, in a file with quotes: \"250ms\", \"2s\", \"5m\", \"1h\"";
	refused("flag = 1;", "f.conf:1: flag: true or false is wanted, not a whole number", "");
	refused("\n\nbatch = {\ncount = \"5\"; };", "f.conf:4: batch.count: a whole number is wanted, not a string", "");
	refused("batch = { count = 1.5; };", "f.conf:1: batch.count: a whole number is wanted, not a fraction", "");
	refused("batch = { share = true; };", "f.conf:1: batch.share: a number is wanted, not true or false", "");
	refused("time = 5;", "f.conf:1: time: a duration is wanted, not a whole number", duration_hint);
	refused("time = \"5 days\";", "f.conf:1: time: a duration is wanted, not this text", duration_hint);
	refused("bytes = \"5x\";", "f.conf:1: bytes: a size is wanted, not this text",
	        "a whole number with kB, MB or GB, in a file with quotes: \"64MB\"");
	refused("name = 5;", "f.conf:1: name: a string is wanted, not a whole number", "put it into double quotes");
	refused("name = {};", "f.conf:1: name: a string is wanted, not a group { … }", NULL);
	refused("color = [1];", "f.conf:1: color: a string is wanted, not an array [ … ]", NULL);
	refused("color = ();", "f.conf:1: color: a string is wanted, not a list ( … )", NULL);
	refused("words = [1];", "f.conf:1: words: a list of strings is wanted, not one with something else in it",
	        "in a file [ \"a\", \"b\" ], for `set` a,b");
	refused("words = {};", "f.conf:1: words: a list of strings is wanted, not a group { … }", NULL);
	refused("custom = 5;", "f.conf:1: custom: a string is wanted, not a whole number", NULL);
	refused("batch = 5;", "f.conf:1: batch: a group is wanted", "batch = { key = value; };");
}

static void values_out_of_bounds_are_refused(void **state) {
	(void)state;
	refused("batch = { count = 0; };", "f.conf:1: batch.count: 0 is out of range: 1 to 5000000000 is allowed", "");
	refused("batch = { count = 9000000000L; };", "f.conf:1: batch.count: 9000000000 is out of range: 1 to 5000000000 is allowed",
	        "");
	refused("batch = { share = 1.5; };", "f.conf:1: batch.share: 1.5 is out of range: -1 to 1 is allowed", "");
	refused("batch = { share = 1.0e999; };", "f.conf:1: batch.share: inf is out of range: -1 to 1 is allowed", "");
	refused("time = \"2m\";", "f.conf:1: time: 2m is out of range: 1ms to 1m is allowed", "");
	refused("time = \"0\";", "f.conf:1: time: 0ms is out of range: 1ms to 1m is allowed", "");
	refused("bytes = \"1GB\";", "f.conf:1: bytes: 1GB is out of range: 1kB to 1MB is allowed", "");
	refused("name = \"\";", "f.conf:1: name: must not be empty", "");
	refused("name = \" \\n\";", "f.conf:1: name: must not be empty", "");
	refused("name = \"aaaaaaaaaaaaaaaaaaaaa\";", "f.conf:1: name: 21 bytes are too long: at most 20 are allowed", "");
	refused("name = \"Ab\";", "f.conf:1: name: \"Ab\" is not small letters", "");
	refused("color = \"blue\";", "f.conf:1: color: \"blue\" is none of its values", "one of \"red\", \"green\"");
	refused("words = [\"a\", \"B\"];", "f.conf:1: words: \"B\" is not a word", "");
	refused("words = [\"a\", \"b\", \"c\", \"d\"];", "f.conf:1: words: 4 strings: 0 to 3 are allowed", "");
	refused("custom = \"abcdef\";", "f.conf:1: custom: 6 bytes are too long: at most 5 are allowed", "");
	refused("time = \"1s\";", "f.conf:1: name: missing, but required", "name: a name, a|b");
}

static void unknown_keys_name_the_nearest(void **state) {
	(void)state;
	refused("name = \"a\";\ncolour = \"red\";", "f.conf:2: unknown key colour", "did you mean color?");
	refused("batch = { cuont = 5; };", "f.conf:1: unknown key batch.cuont", "did you mean batch.count?");
	refused("count = 5;", "f.conf:1: unknown key count", "did you mean batch.count?");
	refused("flags = true;", "f.conf:1: unknown key flags", "did you mean flag?");
	refused("something = 1;", "f.conf:1: unknown key something", "the reference in the documentation lists the keys");
	refused("batsch = { count = 5; };", "f.conf:1: unknown key batsch", NULL);
	refused("hidden = true;", "f.conf:1: hidden: not a key of the file",
	        "backfillctl set JOB hidden=… changes it while the job runs");
	refused("a12345678901234567890123456789012345678901234567890123456789012345678901234567890123456789 = 1;",
	        "f.conf:1: unknown key a1234567890123456789012345678901234567890123456789012345678901234567890123456789",
	        "the reference in the documentation lists the keys");
}

static void what_is_not_built_is_refused_by_name(void **state) {
	(void)state;
	refused("later = { number = 5; };", "f.conf:1: later.number: not built yet; leave it out or set it to 0", "");
	refused("later = { number = 10; };", "f.conf:1: later.number: 10 is out of range: 0 to 9 is allowed", "");
	refused("later = { color = \"red\"; };", "f.conf:1: later.color: not built yet; leave it out", "");
	refused("later = { mode = \"red\"; };", "f.conf:1: later.mode: not built yet; leave it out or set it to \"none\"", "");
	refused("later = { list = [\"a\"]; };", "f.conf:1: later.list: not built yet; leave it out", "");
}

static void dangerous_texts_never_reach_libconfig(void **state) {
	(void)state;
	static const char include_hint[] = "put everything into one file";
	refused("@include \"/etc/passwd\"\n", "f.conf:1: @include is not supported", include_hint);
	refused("time = \"1s\";\n\t@include \"/etc/passwd\"\n", "f.conf:2: @include is not supported", include_hint);
	refused("/* \" */\n@include \"/etc/passwd\"\n", "f.conf:2: @include is not supported", include_hint);
	refused("name = \"a\\\\\";\n@include \"/etc/passwd\"\n", "f.conf:2: @include is not supported", include_hint);
	refused("# \"\n@include \"/etc/passwd\"\n", "f.conf:2: @include is not supported", include_hint);
	refused("name = \"a\\x00b\";", "f.conf:1: \\x00 would cut the string", "");
	refused("name = \"\\xFF\";", "f.conf:1: \\x80 to \\xff are not UTF-8", "write the character itself");
	refused("\nbatch = { count = 4294968296; };", "f.conf:2: the number 4294968296 does not fit in 32 bits and would be cut",
	        "write 4294968296L");
	refused("x = -2147483649;", "f.conf:1: the number -2147483649 does not fit in 32 bits and would be cut",
	        "write -2147483649L");
	refused("x = 0x80000000;", "f.conf:1: the number 0x80000000 does not fit in 32 bits and would be cut", "write 0x80000000L");
	refused("x = 9223372036854775808L;", "f.conf:1: the number 9223372036854775808 does not fit in 64 bits", "");
	refused("x = ((((((((((((((((()))))))))))))))));", "f.conf:1: nested more than 16 deep", "");
	refused("x = 1; };", "f.conf:1: this bracket closes what was not opened", "");
	refused("name = \"\xC3(\";", "f.conf:1: not valid UTF-8", "save the file as UTF-8 text, e.g. iconv -t UTF-8");
	refused("\n\n# \xED\xA0\x80", "f.conf:3: not valid UTF-8", NULL); /* a surrogate */
	refused("# \xC0\x80", "f.conf:1: not valid UTF-8", NULL);         /* an overlong NUL */
	refused("# \xF4\x90\x80\x80", "f.conf:1: not valid UTF-8", NULL); /* beyond U+10FFFF */
	refused("# \xE2\x82", "f.conf:1: not valid UTF-8", NULL);         /* cut */
	refused("\nname = \"a;\n\n", "f.conf:2: this string does not end", "close it with \"; a quote inside of it is written \\\"");
	refused("\n/* a\n\n", "f.conf:2: this comment does not end", "");
	refused("name = \"a\";\nname = \"b\";", "f.conf:2: duplicate setting name", "a key may stand once; remove one of the two");
	refused("name = \"a\";\n\"b\" = 5;", "f.conf:2: syntax error", NULL); /* libconfig leaks here: tests/lsan.supp */
	refused("name = \"a\";\n\ntime = = 5;", "f.conf:3: syntax error",
	        "a setting is written  key = value;  with strings in double quotes; the mistake may be just before this line");
}

static void harmless_look_alikes_pass(void **state) {
	(void)state;
	struct sample s;
	struct error err;
	/* An @ in a string or comment, digits in names, a quote in a comment, 16 levels, the largest int. */
	assert_true(
		load("# @include \"x\" 4294968296\n/* @ \" { */ // ((((((((((((((((((\nname = \"a\"; custom = \"\n@{\\x41\";", &s, &err));
	assert_string_equal(s.custom, "\n@{A");
	sample_clear(&s);
	assert_true(load("name = \"a\"; batch = { count = 2147483647; };", &s, &err));
	assert_int_equal(s.count, 2147483647);
	sample_clear(&s);
	refused("x4294968296 = 1;", "f.conf:1: unknown key x4294968296", NULL);
	refused("x = ((((((((((((((((1))))))))))))))));", "f.conf:1: unknown key x", NULL);
}

static void size_and_nul_are_refused(void **state) {
	(void)state;
	struct keytable_document *d = NULL;
	struct error err;
	assert_false(keytable_parse("name = \"a\0b\";", 13, "f", ERROR_CONFIG, &d, &err));
	assert_string_equal(err.message, "f:1: a NUL byte");
	assert_int_equal(err.code, ERROR_CONFIG);
	autofree char *large = mem_alloc(KEYTABLE_MAX_BYTES + 2);
	memset(large, ' ', KEYTABLE_MAX_BYTES + 1);
	assert_false(keytable_parse(large, KEYTABLE_MAX_BYTES + 1, "f", ERROR_CONFIG, &d, &err));
	assert_string_equal(err.message, "f:1: larger than 256 KiB");
	assert_true(keytable_parse(large, KEYTABLE_MAX_BYTES, "f", ERROR_CONFIG, &d, &err));
	keytable_document_free(d);
	keytable_document_free(NULL);
}

static void set_changes_live_keys(void **state) {
	(void)state;
	struct sample s;
	struct error err;
	assert_true(load("name = \"a\";", &s, &err));
	assert_true(keytable_set(keys, "flag", "false", &s, &err) && !s.flag);
	assert_true(keytable_set(keys, "batch.count", "5000000000", &s, &err) && s.count == INT64_C(5000000000) && s.count_said);
	assert_true(keytable_set(keys, "batch.share", "0.25", &s, &err) && s.share == 0.25);
	assert_true(keytable_set(keys, "time", "1m", &s, &err) && s.time_ms == 60000);
	assert_true(keytable_set(keys, "bytes", "1MB", &s, &err) && s.bytes == 1048576);
	assert_true(keytable_set(keys, "name", "other", &s, &err));
	assert_string_equal(s.name, "other");
	assert_true(keytable_set(keys, "color", "red", &s, &err) && s.color == COLOR_RED);
	assert_true(keytable_set(keys, "words", "[ \"a\", \"b\" ]", &s, &err) && s.nwords == 2);
	assert_string_equal(s.words[0], "a");
	assert_string_equal(s.words[1], "b");
	assert_true(keytable_set(keys, "words", "[\"c\",d,\"e\"]", &s, &err) && s.nwords == 3);
	assert_string_equal(s.words[1], "d");
	assert_string_equal(s.words[2], "e");
	assert_true(keytable_set(keys, "words", "q", &s, &err) && s.nwords == 1);
	assert_true(keytable_set(keys, "words", "", &s, &err) && s.nwords == 0);
	assert_true(keytable_set(keys, "hidden", "false", &s, &err) && !s.hidden);
	assert_true(keytable_set(keys, "later.number", "0", &s, &err));
	sample_clear(&s);
}

static void set_refuses_and_leaves_all_as_it_was(void **state) {
	(void)state;
	static const struct {
		const char *key, *value, *message;
	} cases[] = {
		{"flag", "yes", "flag: true or false is wanted, not this text"},
		{"batch.count", "0", "batch.count: 0 is out of range: 1 to 5000000000 is allowed"},
		{"batch.count", "1e3", "batch.count: a whole number is wanted, not this text"},
		{"batch.count", "", "batch.count: a whole number is wanted, not this text"},
		{"batch.count", " 5", "batch.count: a whole number is wanted, not this text"},
		{"batch.count", "99999999999999999999", "batch.count: a whole number is wanted, not this text"},
		{"batch.share", "0x1", "batch.share: a number is wanted, not this text"},
		{"batch.share", "nan", "batch.share: nan is out of range: -1 to 1 is allowed"},
		{"time", "5", "time: a duration is wanted, not this text"},
		{"color", "blue", "color: \"blue\" is none of its values"},
		{"words", "a,B", "words: \"B\" is not a word"},
		{"words", "\"a,b\"", "words: \"a,b\" is not a word"},
		{"words", "\"a\" b", "words: a list of strings is wanted, not this text"},
		{"words", "a,\"b", "words: a list of strings is wanted, not this text"},
		{"words", "a,b,c,d", "words: 4 strings: 0 to 3 are allowed"},
		{"later.number", "3", "later.number: not built yet; leave it out or set it to 0"},
		{"fixed", "3", "fixed: can't be changed once the job is submitted"},
		{"batch.cuont", "3", "unknown key batch.cuont"},
	};
	struct sample s;
	struct error err;
	assert_true(load("name = \"a\";", &s, &err));
	autostrbuf before = {0};
	keytable_canonical(keys, &s, &before);
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		assert_false(keytable_set(keys, cases[i].key, cases[i].value, &s, &err));
		assert_string_equal(err.message, cases[i].message);
		assert_int_equal(err.code, ERROR_USAGE);
	}
	assert_string_equal(err.hint, "did you mean batch.count?");
	autostrbuf after = {0};
	keytable_canonical(keys, &s, &after);
	assert_string_equal(before.data, after.data);
	assert_false(keytable_set(keys, "flag", "yes", &s, NULL)); /* err may be NULL */
	sample_clear(&s);
}

static void canonical_text_holds_every_stored_value(void **state) {
	(void)state;
	struct sample s;
	struct error err;
	assert_true(load("name = \"a\";", &s, &err));
	autostrbuf text = {0};
	keytable_canonical(keys, &s, &text);
	/* batch.count was not said, and its key tells so. */
	assert_string_equal(text.data,
	                    "flag=4:true\nbatch.share=3:0.5\ntime=5:250ms\nbytes=3:8kB\nname=1:a\ncolor=5:green\nwords=3:x,y\n");
	sample_clear(&s);
}

static void the_reference_is_markdown(void **state) {
	(void)state;
	char *text = NULL;
	size_t length = 0;
	FILE *out = open_memstream(&text, &length);
	assert_non_null(out);
	keytable_write_markdown(keys, true, out);
	fclose(out);
	assert_non_null(strstr(text, "| `batch.count` | whole number, 1 to 5000000000 | `7` | a count *Live.* |\n"));
	assert_non_null(strstr(text, "| `name` | string: small letters | required | a name, a\\|b *Live.* |\n"));
	assert_non_null(strstr(text, "| `color` | one of `\"red\"`, `\"green\"` | `\"green\"` | a color *Live.* |\n"));
	assert_non_null(strstr(text, "| `later.mode` | one of `\"red\"`, `\"none\"` | `\"none\"` | later *Not built yet.* |\n"));
	assert_non_null(strstr(text, "| `hidden` | true or false | `true` | only set *Not in the file.* *Live.* |\n"));
	assert_non_null(strstr(text, "| `time` | duration, 1ms to 1m | `\"250ms\"` | time *Live.* |\n"));
	free(text);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults_come_from_the_table),
		cmocka_unit_test(each_type_is_read),
		cmocka_unit_test(wrong_types_are_refused),
		cmocka_unit_test(values_out_of_bounds_are_refused),
		cmocka_unit_test(unknown_keys_name_the_nearest),
		cmocka_unit_test(what_is_not_built_is_refused_by_name),
		cmocka_unit_test(dangerous_texts_never_reach_libconfig),
		cmocka_unit_test(harmless_look_alikes_pass),
		cmocka_unit_test(size_and_nul_are_refused),
		cmocka_unit_test(set_changes_live_keys),
		cmocka_unit_test(set_refuses_and_leaves_all_as_it_was),
		cmocka_unit_test(canonical_text_holds_every_stored_value),
		cmocka_unit_test(the_reference_is_markdown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
