#include "common/error.h"

#include "common/mem.h"
#include "common/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

bool error_set(struct error *err, enum error_code code, const char *format, ...) {
	if (err == NULL)
		return false;
	va_list args;
	va_start(args, format);
	text_vformat(err->message, sizeof err->message, format, args); /* the arguments may point into err */
	va_end(args);
	err->code = code;
	err->hint[0] = '\0';
	return false;
}

bool error_hint(struct error *err, const char *format, ...) {
	if (err == NULL)
		return false;
	va_list args;
	va_start(args, format);
	text_vformat(err->hint, sizeof err->hint, format, args);
	va_end(args);
	return false;
}

bool error_prefix(struct error *err, const char *format, ...) {
	if (err == NULL)
		return false;
	autofree char *old = mem_dup(err->message);
	va_list args;
	va_start(args, format);
	autofree char *prefix = mem_vprintf(format, args);
	va_end(args);
	autofree char *both = mem_printf("%s: %s", prefix, old);
	text_format(err->message, sizeof err->message, "%s", both);
	return false;
}

const char *error_code_name(enum error_code code) {
	switch (code) {
	case ERROR_NONE:
		return "none";
	case ERROR_USAGE:
		return "usage";
	case ERROR_DATA:
		return "data";
	case ERROR_UNAVAILABLE:
		return "unavailable";
	case ERROR_INTERNAL:
		return "internal";
	case ERROR_TRY_AGAIN:
		return "try_again";
	case ERROR_NOT_PERMITTED:
		return "not_permitted";
	case ERROR_CONFIG:
		return "config";
	}
	return "internal";
}
