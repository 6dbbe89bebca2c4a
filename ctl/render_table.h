/*
 * render_table.h: aligned columns for people, by display width, and the texts of numbers and times they are made of.
 * Text from elsewhere loses its control characters here, so that no name or error can drive the terminal.
 */
#ifndef BACKFILLCTL_RENDER_TABLE_H
#define BACKFILLCTL_RENDER_TABLE_H

#include "common/strbuf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct table;

struct table_column {
	const char *title;
	bool right;
};

enum paint { PAINT_NONE, PAINT_GOOD, PAINT_WARN, PAINT_BAD, PAINT_DIM };

/* `columns` is borrowed for the table's life; `color`: whether paint shows. */
struct table *table_new(const struct table_column *columns, size_t ncolumns, bool color);
void table_free(struct table *table);
/* The next cell, row by row. Copied; NULL or "" shows as "-". */
void table_add(struct table *table, const char *text, enum paint paint);
/* The same, and takes the text. */
void table_take(struct table *table, char *text);
void table_render(const struct table *table, struct strbuf *out);

/* Columns a terminal uses; needs a UTF-8 LC_CTYPE. Bytes that are no character count one each. */
size_t text_width(const char *text);
/* A copy with control characters (and bytes that are no character) as '?', at most max_width columns wide with "…" (0 = any). */
char *text_clean(const char *text, size_t max_width);
/* With colour around it if `color`. The caller frees it. */
char *text_paint(const char *text, enum paint paint, bool color);

char *text_count(int64_t value);       /* "4,200,000" */
char *text_seconds(double seconds);    /* "850ms", "42s", "3m 07s", "5h 12m", "3d 4h" */
char *text_milliseconds(double value); /* "212 ms", "3.2 s" */

#endif
