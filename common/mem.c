#include "common/mem.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MEM_EXIT_CODE = 70 };

static void out_of_memory(void) {
	static const char message[] = "out of memory: exiting\n";
	ssize_t ignored = write(STDERR_FILENO, message, sizeof message - 1);
	(void)ignored;
	_exit(MEM_EXIT_CODE);
}

void *mem_alloc(size_t size) {
	void *p = calloc(1, size > 0 ? size : 1);
	if (p == NULL)
		out_of_memory();
	return p;
}

void *mem_resize(void *array, size_t count, size_t size) {
	if (size > 0 && count > SIZE_MAX / size)
		out_of_memory();
	size_t bytes = count * size;
	void *p = realloc(array, bytes > 0 ? bytes : 1);
	if (p == NULL)
		out_of_memory();
	return p;
}

char *mem_dup(const char *text) {
	return text == NULL ? NULL : mem_dup_n(text, strlen(text));
}

char *mem_dup_n(const char *text, size_t length) {
	char *copy = mem_alloc(length + 1);
	memcpy(copy, text, length);
	return copy;
}

char *mem_vprintf(const char *format, va_list args) {
	char *text = NULL;
	if (vasprintf(&text, format, args) < 0)
		out_of_memory();
	return text;
}

char *mem_printf(const char *format, ...) {
	va_list args;
	va_start(args, format);
	char *text = mem_vprintf(format, args);
	va_end(args);
	return text;
}

void mem_free_strings(char **strings, size_t count) {
	if (strings == NULL)
		return;
	for (size_t i = 0; i < count; i++)
		free(strings[i]);
	free(strings);
}

void mem_cleanup(void *pointer_to_pointer) {
	void *p = NULL;
	memcpy(&p, pointer_to_pointer, sizeof p);
	free(p);
}
