/* keytable_doc.c: the reference of a table of keys. */
#include "common/keytable.h"
#include "common/mem.h"

static char *type_text(const struct key *key) {
	static const char *const names[] = {
		[KEY_BOOL] = "true or false",
		[KEY_INT] = "whole number",
		[KEY_FLOAT] = "number",
		[KEY_DURATION] = "duration",
		[KEY_SIZE] = "size",
		[KEY_STRING] = "string",
		[KEY_CHOICE] = "one of",
		[KEY_STRINGS] = "list of strings",
		[KEY_CUSTOM] = "",
	};
	autostrbuf text = {0};
	strbuf_add(&text, names[key->type]);
	for (size_t i = 0; key->type == KEY_CHOICE && key->choices[i] != NULL; i++)
		strbuf_printf(&text, "%s `\"%s\"`", i == 0 ? "" : ",", key->choices[i]);
	if (key->wanted != NULL)
		strbuf_printf(&text, "%s%s", key->type == KEY_CUSTOM ? "" : ": ", key->wanted);
	if (key->max > 0 && key->type != KEY_STRING && key->type != KEY_STRINGS && key->type != KEY_CUSTOM) {
		autofree char *min = key_bound_format(key, key->min), *max = key_bound_format(key, key->max);
		strbuf_printf(&text, ", %s to %s", min, max);
	}
	return strbuf_take(&text);
}

static void write_default(const struct key *key, FILE *out) {
	bool quoted = key->type != KEY_BOOL && key->type != KEY_INT && key->type != KEY_FLOAT;
	if ((key->flags & KEY_REQUIRED) != 0)
		fputs("required", out);
	else if (key->fallback == NULL)
		fputs("–", out);
	else
		fprintf(out, quoted ? "`\"%s\"`" : "`%s`", key->fallback);
}

/* `|` ends a cell. */
static void write_cell(const char *text, FILE *out) {
	for (; *text != '\0'; text++) {
		if (*text == '|')
			fputc('\\', out);
		fputc(*text, out);
	}
}

void keytable_write_markdown(const struct key *keys, bool with_live, FILE *out) {
	fputs("| key | type | default | meaning |\n|---|---|---|---|\n", out);
	for (const struct key *key = keys; key->name != NULL; key++) {
		fprintf(out, "| `%s` | ", key->name);
		autofree char *type = type_text(key);
		write_cell(type, out);
		fputs(" | ", out);
		write_default(key, out);
		fputs(" | ", out);
		write_cell(key->doc, out);
		if ((key->flags & KEY_LATER) != 0)
			fputs(" *Not built yet.*", out);
		if ((key->flags & KEY_SET_ONLY) != 0)
			fputs(" *Not in the file.*", out);
		if (with_live && (key->flags & KEY_LIVE) != 0)
			fputs(" *Live.*", out);
		fputs(" |\n", out);
	}
}
