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

char **mem_copy_strings(char *const *strings, size_t count) {
	char **copy = count > 0 ? mem_alloc(count * sizeof *copy) : NULL;
	for (size_t i = 0; i < count; i++)
		copy[i] = mem_dup(strings[i]);
	return copy;
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

/*
 * The libraries get memory, or the program ends, too: libconfig and glibc's regcomp(3) don't look and crash, or take what
 * they could not copy for a name that is wrong; libev aborts. Sanitisers have an allocator of their own, which ends, too.
 */
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZER_ALLOCATES 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define SANITIZER_ALLOCATES 1
#endif

#ifndef SANITIZER_ALLOCATES
#include <dlfcn.h>

/* The C library's own, or that of who was preloaded. Setting it twice does no harm. */
#define NEXT(function)                                                                                                           \
	static __typeof__(&(function)) next;                                                                                         \
	if (next == NULL)                                                                                                            \
	next = (__typeof__(next))dlsym(RTLD_NEXT, #function)

void *malloc(size_t size) {
	NEXT(malloc);
	void *p = next(size);
	if (p == NULL)
		out_of_memory();
	return p;
}

void *calloc(size_t count, size_t size) {
	NEXT(calloc);
	void *p = next(count, size);
	if (p == NULL)
		out_of_memory();
	return p;
}

void *realloc(void *old, size_t size) {
	NEXT(realloc);
	void *p = next(old, size);
	if (p == NULL && size > 0)
		out_of_memory();
	return p;
}
#endif
