/*
 * text.h: texts for people from other people's bytes: always UTF-8, whatever a server, a file name or a cut made of them.
 * Nothing else may go into JSON, a socket, or a text column.
 */
#ifndef BACKFILLD_TEXT_H
#define BACKFILLD_TEXT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

/* How many bytes the UTF-8 character at `p` has; 0 if it is none (overlong and surrogate forms are none). */
size_t text_character(const char *p, size_t left);
/* As snprintf, into `size` > 0 bytes: a cut never splits a character, a byte that belongs to none becomes '?'. The arguments
 * may point into `out`. */
void text_format(char *out, size_t size, const char *format, ...) __attribute__((format(printf, 3, 4)));
void text_vformat(char *out, size_t size, const char *format, va_list args) __attribute__((format(printf, 3, 0)));
/* The same for a text that may have control characters: they become spaces, those at the end go.
 * `text` must not point into `out`. */
void text_one_line(char *out, size_t size, const char *text);
/* `list` ends with NULL. */
bool text_is_one_of(const char *text, const char *const list[]);

#endif
