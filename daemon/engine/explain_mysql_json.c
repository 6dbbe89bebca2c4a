#include "daemon/engine/explain_mysql_json.h"

#include "common/strbuf.h"
#include "common/text.h"

#include <string.h>

/*
 * MariaDB puts the text of a condition between quotes as it is, with the quotes, backslashes and control characters of its
 * literals, but for an end of line, which is \n there. So the quote that ends a text is not known by itself, but by its place:
 * each member has its line, and so has each element of an array that is not written in one.
 */

/* What may stand between the quotes of a JSON string stays as it is: all that MySQL writes. */
static size_t escape_length(const char *c, size_t left) {
	if (left >= 2 && strchr("\"\\/bfnrt", c[1]) != NULL)
		return 2;
	return left >= 6 && c[1] == 'u' && strspn(c + 2, "0123456789abcdefABCDEF") >= 4 ? 6 : 0;
}

static void add_inside(struct strbuf *b, const char *c, const char *end) {
	while (c < end) {
		size_t left = (size_t)(end - c), length = *c == '\\' ? escape_length(c, left) : text_character(c, left);
		if ((unsigned char)*c < ' ')
			strbuf_printf(b, "\\u%04x", (unsigned)*c);
		else if (length == 0 && *c != '\\')
			strbuf_add(b, "?");
		else if (length == 0 || *c == '"')
			strbuf_printf(b, "\\%c", *c);
		else
			strbuf_add_n(b, c, length);
		c += length > 0 ? length : 1;
	}
}

/* A text from its first quote on, and what stands behind the last quote before `end`. */
static void add_text(struct strbuf *b, const char *c, const char *end) {
	const char *last = memrchr(c + 1, '"', (size_t)(end - c - 1));
	const char *behind = last != NULL ? last : end;
	strbuf_add(b, "\"");
	add_inside(b, c + 1, behind);
	strbuf_add_n(b, behind, (size_t)(end - behind));
}

/* "…", "…", … */
static void add_texts(struct strbuf *b, const char *c, const char *end) {
	static const char between[] = "\", \"";
	for (const char *next; (next = memmem(c, (size_t)(end - c), between, strlen(between))) != NULL; c = next + 3) {
		add_text(b, c, next + 1);
		strbuf_add(b, ", ");
	}
	add_text(b, c, end);
}

/* "name": with the space behind it; 0: the line has an element, not a member. */
static size_t name_length(const char *line) {
	size_t length = 1 + strcspn(line + 1, "\"\\\n");
	return strncmp(line + length, "\": ", 3) == 0 ? length + 3 : 0;
}

static void add_line(struct strbuf *b, const char *c, const char *end) {
	size_t indent = strspn(c, " ");
	size_t before = indent + (c[indent] == '"' ? name_length(c + indent) : 0);
	before += c[before] == '[' ? 1 : 0;
	strbuf_add_n(b, c, before);
	if (c[before] != '"')
		strbuf_add_n(b, c + before, (size_t)(end - c) - before);
	else if (before > 0 && c[before - 1] == '[')
		add_texts(b, c + before, end);
	else
		add_text(b, c + before, end);
}

json_t *explain_mysql_json(const char *document, json_error_t *why) {
	autostrbuf b = {0};
	for (const char *end; *document != '\0'; document = end + strspn(end, "\n")) {
		end = strchrnul(document, '\n');
		add_line(&b, document, end);
		strbuf_add(&b, "\n");
	}
	return json_loads(b.data != NULL ? b.data : "", 0, why);
}
