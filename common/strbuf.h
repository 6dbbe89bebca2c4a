/* strbuf.h: a string that grows. Always NUL-terminated once something was added. */
#ifndef BACKFILLD_STRBUF_H
#define BACKFILLD_STRBUF_H

#include <stddef.h>

struct strbuf {
	char *data; /* NULL while empty */
	size_t length;
	size_t capacity;
};

void strbuf_add(struct strbuf *b, const char *text);
void strbuf_add_n(struct strbuf *b, const char *bytes, size_t length);
void strbuf_printf(struct strbuf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Drops the first `length` bytes. */
void strbuf_consume(struct strbuf *b, size_t length);
/* Gives the string away ("" if nothing was added) and empties the buffer. The caller frees it. */
char *strbuf_take(struct strbuf *b);
void strbuf_free(struct strbuf *b);

#define autostrbuf __attribute__((cleanup(strbuf_free))) struct strbuf

#endif
