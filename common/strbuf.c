#include "common/strbuf.h"

#include "common/mem.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

static void reserve(struct strbuf *b, size_t more) {
	size_t need = b->length + more + 1;
	if (need <= b->capacity)
		return;
	size_t capacity = b->capacity > 0 ? b->capacity : 64;
	while (capacity < need)
		capacity *= 2;
	b->data = mem_resize(b->data, capacity, 1);
	b->capacity = capacity;
}

void strbuf_add_n(struct strbuf *b, const char *bytes, size_t length) {
	reserve(b, length);
	if (length > 0)
		memcpy(b->data + b->length, bytes, length);
	b->length += length;
	b->data[b->length] = '\0';
}

void strbuf_add(struct strbuf *b, const char *text) {
	strbuf_add_n(b, text, strlen(text));
}

void strbuf_printf(struct strbuf *b, const char *format, ...) {
	va_list args;
	va_start(args, format);
	char *text = mem_vprintf(format, args);
	va_end(args);
	strbuf_add(b, text);
	free(text);
}

void strbuf_consume(struct strbuf *b, size_t length) {
	if (length >= b->length) {
		b->length = 0;
		if (b->data != NULL)
			b->data[0] = '\0';
		return;
	}
	memmove(b->data, b->data + length, b->length - length + 1);
	b->length -= length;
}

char *strbuf_take(struct strbuf *b) {
	char *data = b->data != NULL ? b->data : mem_dup("");
	*b = (struct strbuf){0};
	return data;
}

void strbuf_free(struct strbuf *b) {
	free(b->data);
	*b = (struct strbuf){0};
}
