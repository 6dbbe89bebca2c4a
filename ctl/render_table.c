#include "ctl/render_table.h"

#include "common/mem.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

enum { GAP = 2 };

struct cell {
	char *text; /* clean */
	size_t width;
	enum paint paint;
};

struct table {
	const struct table_column *columns;
	size_t ncolumns;
	struct cell *cells;
	size_t ncells;
	bool color;
};

/* The next character: its bytes and columns; printable or not. */
static size_t next_character(const char *text, size_t *width, bool *printable) {
	wchar_t wide = L'\0';
	mbstate_t state = {0};
	size_t bytes = mbrtowc(&wide, text, strlen(text), &state);
	if (bytes == (size_t)-1 || bytes == (size_t)-2 || bytes == 0) {
		*width = 1;
		*printable = false;
		return 1;
	}
	int columns = wcwidth(wide);
	*printable = columns >= 0;
	*width = columns >= 0 ? (size_t)columns : 1;
	return bytes;
}

size_t text_width(const char *text) {
	size_t total = 0;
	while (*text != '\0') {
		size_t width = 0;
		bool printable = false;
		text += next_character(text, &width, &printable);
		total += width;
	}
	return total;
}

char *text_clean(const char *text, size_t max_width) {
	autostrbuf clean = {0};
	bool cut = max_width > 0 && text_width(text) > max_width;
	size_t used = 0;
	while (*text != '\0') {
		size_t width = 0;
		bool printable = false;
		size_t bytes = next_character(text, &width, &printable);
		if (cut && used + width + 1 > max_width) {
			strbuf_add(&clean, "…");
			break;
		}
		if (printable)
			strbuf_add_n(&clean, text, bytes);
		else
			strbuf_add(&clean, *text == '\n' || *text == '\t' ? " " : "?");
		used += width;
		text += bytes;
	}
	return strbuf_take(&clean);
}

char *text_paint(const char *text, enum paint paint, bool color) {
	static const char *const codes[] = {[PAINT_NONE] = "",
	                                    [PAINT_GOOD] = "\033[32m",
	                                    [PAINT_WARN] = "\033[33m",
	                                    [PAINT_BAD] = "\033[31m",
	                                    [PAINT_DIM] = "\033[2m"};
	if (!color || paint == PAINT_NONE)
		return mem_dup(text);
	return mem_printf("%s%s\033[0m", codes[paint], text);
}

struct table *table_new(const struct table_column *columns, size_t ncolumns, bool color) {
	struct table *table = mem_alloc(sizeof *table);
	table->columns = columns;
	table->ncolumns = ncolumns;
	table->color = color;
	return table;
}

void table_free(struct table *table) {
	if (table == NULL)
		return;
	for (size_t i = 0; i < table->ncells; i++)
		free(table->cells[i].text);
	free(table->cells);
	free(table);
}

void table_add(struct table *table, const char *text, enum paint paint) {
	table->cells = mem_resize(table->cells, table->ncells + 1, sizeof *table->cells);
	struct cell *cell = &table->cells[table->ncells++];
	cell->text = text_clean(text != NULL && text[0] != '\0' ? text : "-", 0);
	cell->width = text_width(cell->text);
	cell->paint = paint;
}

void table_take(struct table *table, char *text) {
	table_add(table, text, PAINT_NONE);
	free(text);
}

static void add_spaces(struct strbuf *out, size_t count) {
	strbuf_printf(out, "%*s", (int)count, "");
}

/* The last column is not padded: no line ends in spaces. */
static void render_cell(const struct table *table, struct strbuf *out, size_t column, size_t column_width,
                        const struct cell *cell) {
	size_t fill = column_width - cell->width;
	bool right = table->columns[column].right;
	if (column > 0)
		add_spaces(out, GAP);
	if (right)
		add_spaces(out, fill);
	autofree char *painted = text_paint(cell->text, cell->paint, table->color);
	strbuf_add(out, painted);
	if (!right && column + 1 < table->ncolumns)
		add_spaces(out, fill);
}

static size_t column_width(const struct table *table, size_t column) {
	size_t width = text_width(table->columns[column].title);
	for (size_t i = column; i < table->ncells; i += table->ncolumns) {
		if (table->cells[i].width > width)
			width = table->cells[i].width;
	}
	return width;
}

void table_render(const struct table *table, struct strbuf *out) {
	assert(table->ncolumns > 0);
	size_t *widths = mem_alloc(table->ncolumns * sizeof *widths);
	for (size_t i = 0; i < table->ncolumns; i++) {
		widths[i] = column_width(table, i);
		autofree char *title = mem_dup(table->columns[i].title);
		struct cell head = {.text = title, .width = text_width(title), .paint = PAINT_DIM};
		render_cell(table, out, i, widths[i], &head);
	}
	strbuf_add(out, "\n");
	for (size_t i = 0; i < table->ncells; i++) {
		size_t column = i % table->ncolumns;
		render_cell(table, out, column, widths[column], &table->cells[i]);
		if (column + 1 == table->ncolumns)
			strbuf_add(out, "\n");
	}
	free(widths);
}

char *text_count(int64_t value) {
	autofree char *digits = mem_printf("%lld", (long long)value);
	autostrbuf text = {0};
	const char *digit = digits;
	if (*digit == '-')
		strbuf_add_n(&text, digit++, 1);
	for (size_t left = strlen(digit); left > 0; left--, digit++) {
		strbuf_add_n(&text, digit, 1);
		if (left > 1 && (left - 1) % 3 == 0)
			strbuf_add(&text, ",");
	}
	return strbuf_take(&text);
}

char *text_seconds(double seconds) {
	if (!isfinite(seconds) || seconds < 0)
		return mem_dup("?");
	if (seconds > 0 && seconds < 1)
		return mem_printf("%.0fms", seconds * 1000);
	if (seconds >= 1e9)
		return mem_dup("years");
	long total = lround(seconds);
	if (total < 60)
		return mem_printf("%lds", total);
	if (total < 3600)
		return mem_printf("%ldm %02lds", total / 60, total % 60);
	if (total < 86400)
		return mem_printf("%ldh %02ldm", total / 3600, total % 3600 / 60);
	return mem_printf("%ldd %ldh", total / 86400, total % 86400 / 3600);
}

char *text_milliseconds(double value) {
	if (!isfinite(value))
		return mem_dup("?");
	if (fabs(value) < 1000)
		return mem_printf("%.*f ms", fabs(value) < 10 ? 1 : 0, value);
	return mem_printf("%.1f s", value / 1000);
}
