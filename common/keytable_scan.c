/*
 * keytable_scan.c: the pass over a configuration text before libconfig 1.5 sees it. libconfig wraps integers silently
 * (4294968296 became 1000), cuts strings at \x00 and opens files for @include, also from a text that was submitted.
 */
#include "common/keytable.h"
#include "common/mem.h"
#include "common/text.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct scan {
	const char *at, *end;
	const char *name;
	enum error_code code;
	int line;
	int depth;
};

static bool fail(const struct scan *s, struct error *err, const char *message) {
	return error_set(err, s->code, "%s:%d: %s", s->name, s->line, message);
}

static char peek(const struct scan *s, size_t ahead) {
	return (size_t)(s->end - s->at) > ahead ? s->at[ahead] : '\0';
}

static void advance(struct scan *s) {
	if (*s->at == '\n')
		s->line++;
	s->at++;
}

static bool check_bytes(struct scan *s, struct error *err) {
	const char *start = s->at;
	while (s->at < s->end) {
		size_t length = text_character(s->at, (size_t)(s->end - s->at));
		if (length == 0 || *s->at == '\0') {
			fail(s, err, length == 0 ? "not valid UTF-8" : "a NUL byte");
			return error_hint(err, "save the file as UTF-8 text, e.g. iconv -t UTF-8");
		}
		if (*s->at == '\n')
			s->line++;
		s->at += length;
	}
	s->at = start;
	s->line = 1;
	return true;
}

static void skip_line(struct scan *s) {
	while (s->at < s->end && *s->at != '\n')
		s->at++;
}

static bool skip_comment(struct scan *s, struct error *err) {
	struct scan begin = *s;
	s->at += 2;
	while (s->at < s->end && !(*s->at == '*' && peek(s, 1) == '/'))
		advance(s);
	if (s->at >= s->end)
		return fail(&begin, err, "this comment does not end");
	s->at += 2;
	return true;
}

static bool scan_string(struct scan *s, struct error *err) {
	struct scan begin = *s;
	for (s->at++; s->at < s->end && *s->at != '"'; advance(s)) {
		if (*s->at != '\\')
			continue;
		if (peek(s, 1) == 'x' && isxdigit((unsigned char)peek(s, 2)) && isxdigit((unsigned char)peek(s, 3))) {
			char byte[] = {peek(s, 2), peek(s, 3), '\0'};
			if (strtol(byte, NULL, 16) == 0)
				return fail(s, err, "\\x00 would cut the string");
			if (strtol(byte, NULL, 16) >= 0x80) {
				fail(s, err, "\\x80 to \\xff are not UTF-8");
				return error_hint(err, "write the character itself");
			}
		}
		if (peek(s, 1) == '"' || peek(s, 1) == '\\')
			s->at++;
	}
	if (s->at >= s->end) {
		fail(&begin, err, "this string does not end");
		return error_hint(err, "close it with \"; a quote inside of it is written \\\"");
	}
	s->at++;
	return true;
}

/* `text` is the digits with their sign. */
static bool check_integer(const struct scan *s, const char *text, bool is_long, bool is_hex, struct error *err) {
	char *end = NULL;
	errno = 0;
	long long value = strtoll(text, &end, is_hex ? 16 : 10);
	if (errno == ERANGE)
		return error_set(err, s->code, "%s:%d: the number %.40s does not fit in 64 bits", s->name, s->line, text);
	if (!is_long && (value > INT32_MAX || value < INT32_MIN)) {
		error_set(err, s->code, "%s:%d: the number %.40s does not fit in 32 bits and would be cut", s->name, s->line, text);
		return error_hint(err, "write %.40sL", text);
	}
	return true;
}

static bool scan_number(struct scan *s, struct error *err) {
	const char *start = s->at;
	bool is_hex = *s->at == '0' && (peek(s, 1) == 'x' || peek(s, 1) == 'X');
	s->at += is_hex ? 2 : 1; /* a sign or the first digit */
	while (s->at < s->end && (is_hex ? isxdigit((unsigned char)*s->at) : isdigit((unsigned char)*s->at)))
		s->at++;
	bool is_exponent = (peek(s, 0) == 'e' || peek(s, 0) == 'E') &&
	                   (isdigit((unsigned char)peek(s, 1)) || peek(s, 1) == '-' || peek(s, 1) == '+');
	if (!is_hex && (peek(s, 0) == '.' || is_exponent)) {
		while (s->at < s->end && (isalnum((unsigned char)*s->at) || strchr(".+-", *s->at) != NULL))
			s->at++;
		return true; /* a fraction: its range is checked with the key's */
	}
	autofree char *text = mem_dup_n(start, (size_t)(s->at - start));
	bool is_long = peek(s, 0) == 'L';
	while (peek(s, 0) == 'L')
		s->at++;
	return check_integer(s, text, is_long, is_hex, err);
}

static bool scan_bracket(struct scan *s, struct error *err) {
	if (strchr("{[(", *s->at) != NULL) {
		if (++s->depth > KEYTABLE_MAX_DEPTH)
			return fail(s, err, "nested more than 16 deep");
	} else if (--s->depth < 0) {
		return fail(s, err, "this bracket closes what was not opened");
	}
	s->at++;
	return true;
}

static bool scan_token(struct scan *s, struct error *err) {
	char c = *s->at, next = peek(s, 1);
	if (c == '#' || (c == '/' && next == '/')) {
		skip_line(s);
		return true;
	}
	if (c == '/' && next == '*')
		return skip_comment(s, err);
	if (c == '"')
		return scan_string(s, err);
	if (c == '@') {
		fail(s, err, "@include is not supported");
		return error_hint(err, "put everything into one file");
	}
	if (isalpha((unsigned char)c) || c == '*') {
		while (s->at < s->end && (isalnum((unsigned char)*s->at) || strchr("*_-", *s->at) != NULL))
			s->at++;
		return true;
	}
	if (isdigit((unsigned char)c) || ((c == '-' || c == '+') && isdigit((unsigned char)next)))
		return scan_number(s, err);
	if (strchr("{}[]()", c) != NULL)
		return scan_bracket(s, err);
	advance(s);
	return true;
}

static bool scan_text(struct scan *s, struct error *err) {
	if (s->end - s->at > KEYTABLE_MAX_BYTES)
		return fail(s, err, "larger than 256 KiB");
	if (!check_bytes(s, err))
		return false;
	while (s->at < s->end)
		if (!scan_token(s, err))
			return false;
	return true;
}

static bool fail_syntax(const struct keytable_document *d, struct error *err) {
	error_set(err, d->code, "%s:%d: %s", d->name, config_error_line(&d->config), config_error_text(&d->config));
	if (strcmp(config_error_text(&d->config), "duplicate setting name") == 0)
		return error_hint(err, "a key may stand once; remove one of the two");
	if (strcmp(config_error_text(&d->config), "syntax error") == 0)
		return error_hint(
			err, "a setting is written  key = value;  with strings in double quotes; the mistake may be just before this "
				 "line");
	return false;
}

bool keytable_parse(const char *text, size_t length, const char *name, enum error_code code, struct keytable_document **document,
                    struct error *err) {
	struct scan scan = {.at = text, .end = text + length, .name = name, .code = code, .line = 1};
	if (!scan_text(&scan, err))
		return false;
	struct keytable_document *d = mem_alloc(sizeof *d);
	d->name = mem_dup(name);
	d->code = code;
	config_init(&d->config);
	/* Put before an include's path by libconfig: should the pass above ever miss one, it still opens nothing. */
	config_set_include_dir(&d->config, "/dev/null");
	/* libconfig takes a comment in a last line without an end for a syntax error. */
	autofree char *copy = mem_printf("%.*s\n", (int)length, text);
	if (!config_read_string(&d->config, copy)) {
		fail_syntax(d, err);
		keytable_document_free(d);
		return false;
	}
	*document = d;
	return true;
}

void keytable_document_free(struct keytable_document *document) {
	if (document == NULL)
		return;
	config_destroy(&document->config);
	free(document->name);
	free(document);
}
