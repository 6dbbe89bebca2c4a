/*
 * mem.h: allocation that does not fail halfway. Running out of memory ends the program at once with
 * exit code 70: every state that matters is in the database, so a clean exit loses nothing. The same holds for what the
 * libraries allocate: mem.c replaces malloc, calloc and realloc of the whole program.
 */
#ifndef BACKFILLD_MEM_H
#define BACKFILLD_MEM_H

#include <stdarg.h>
#include <stddef.h>

/* Zeroed memory of `size` bytes. The caller frees it with free(). */
void *mem_alloc(size_t size);
/* Grows or shrinks an array to `count` elements of `size` bytes (new elements are not zeroed). */
void *mem_resize(void *array, size_t count, size_t size);
/* A copy of `text`; NULL stays NULL. */
char *mem_dup(const char *text);
/* The first `length` bytes of `text` as a string. */
char *mem_dup_n(const char *text, size_t length);
/* A formatted string. */
char *mem_printf(const char *format, ...) __attribute__((format(printf, 1, 2)));
char *mem_vprintf(const char *format, va_list args) __attribute__((format(printf, 1, 0)));
/* A copy of `count` strings; NULL of none. Freed with mem_free_strings. */
char **mem_copy_strings(char *const *strings, size_t count);
/* Frees an array of `count` strings and the strings. */
void mem_free_strings(char **strings, size_t count);

void mem_cleanup(void *pointer_to_pointer);
/* A local that is freed when it leaves its scope: autofree char *s = mem_dup("x"); */
#define autofree __attribute__((cleanup(mem_cleanup)))

#endif
