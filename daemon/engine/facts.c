#include "daemon/engine/facts.h"

#include "common/mem.h"
#include "common/strbuf.h"

#include <stdarg.h>
#include <string.h>

const char *fact_text(const json_t *object, const char *name) {
	const char *text = json_string_value(json_object_get(object, name));
	return text != NULL ? text : "";
}

bool fact_flag(const json_t *object, const char *name) {
	const json_t *value = json_object_get(object, name);
	return json_is_true(value) || json_integer_value(value) != 0;
}

int64_t fact_int(const json_t *object, const char *name) {
	return json_integer_value(json_object_get(object, name));
}

const json_t *fact_column(const json_t *relation, const char *name) {
	const json_t *columns = json_object_get(relation, "columns");
	for (size_t i = 0; i < json_array_size(columns); i++)
		if (strcmp(fact_text(json_array_get(columns, i), "name"), name) == 0)
			return json_array_get(columns, i);
	return NULL;
}

char *fact_join(const json_t *names) {
	autostrbuf b = {0};
	for (size_t i = 0; i < json_array_size(names); i++)
		strbuf_printf(&b, "%s%s", i > 0 ? ", " : "", json_string_value(json_array_get(names, i)));
	return strbuf_take(&b);
}

void fact_warn(json_t *warnings, const char *format, ...) {
	va_list args;
	va_start(args, format);
	autofree char *text = mem_vprintf(format, args);
	va_end(args);
	for (size_t i = 0; i < json_array_size(warnings); i++)
		if (strcmp(json_string_value(json_array_get(warnings, i)), text) == 0)
			return;
	json_array_append_new(warnings, json_string(text));
}
