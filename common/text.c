#include "common/text.h"

#include "common/mem.h"

#include <stdbool.h>
#include <string.h>

size_t text_character(const char *text, size_t left) {
	const unsigned char *p = (const unsigned char *)text;
	if (p[0] < 0x80)
		return 1;
	size_t length = p[0] >= 0xF0 ? 4 : p[0] >= 0xE0 ? 3 : 2;
	if (p[0] < 0xC2 || p[0] > 0xF4 || left < length)
		return 0;
	for (size_t i = 1; i < length; i++)
		if ((p[i] & 0xC0) != 0x80)
			return 0;
	bool overlong = (p[0] == 0xE0 && p[1] < 0xA0) || (p[0] == 0xF0 && p[1] < 0x90);
	bool beyond = (p[0] == 0xED && p[1] > 0x9F) || (p[0] == 0xF4 && p[1] > 0x8F);
	return overlong || beyond ? 0 : length;
}

static void copy_characters(char *out, size_t size, const char *text) {
	size_t left = strlen(text), used = 0;
	while (left > 0) {
		size_t length = text_character(text, left);
		size_t step = length > 0 ? length : 1;
		if (used + step >= size)
			break;
		memcpy(out + used, length > 0 ? text : "?", step);
		used += step, text += step, left -= step;
	}
	out[used] = '\0';
}

void text_vformat(char *out, size_t size, const char *format, va_list args) {
	autofree char *whole = mem_vprintf(format, args);
	copy_characters(out, size, whole);
}

void text_format(char *out, size_t size, const char *format, ...) {
	va_list args;
	va_start(args, format);
	text_vformat(out, size, format, args);
	va_end(args);
}

void text_one_line(char *out, size_t size, const char *text) {
	copy_characters(out, size, text);
	size_t length = strlen(out);
	for (size_t i = 0; i < length; i++)
		if ((unsigned char)out[i] < ' ' || out[i] == 0x7f)
			out[i] = ' ';
	while (length > 0 && out[length - 1] == ' ')
		out[--length] = '\0';
}

bool text_is_one_of(const char *text, const char *const list[]) {
	for (size_t i = 0; list[i] != NULL; i++)
		if (strcmp(text, list[i]) == 0)
			return true;
	return false;
}
