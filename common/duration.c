#include "common/duration.h"

#include "common/mem.h"

#include <inttypes.h>
#include <stddef.h>
#include <string.h>

struct unit {
	const char *name;
	int64_t factor;
};

/* Smallest first; a name that is written again for reading alone stands behind the one that is printed. */
static const struct unit durations[] = {{"ms", 1}, {"s", 1000}, {"m", 60 * 1000}, {"h", 60 * 60 * 1000}};
static const struct unit sizes[] = {
	{"B", 1},
	{"kB", INT64_C(1) << 10},
	{"KB", INT64_C(1) << 10},
	{"MB", INT64_C(1) << 20},
	{"GB", INT64_C(1) << 30},
	{"TB", INT64_C(1) << 40},
};

static bool parse(const char *text, const struct unit *units, size_t count, int64_t *value) {
	int64_t number = 0;
	const char *at = text;
	for (; *at >= '0' && *at <= '9'; at++) {
		if (__builtin_mul_overflow(number, 10, &number) || __builtin_add_overflow(number, *at - '0', &number))
			return false;
	}
	if (at == text)
		return false;
	while (*at == ' ')
		at++;
	if (*at == '\0' && number == 0) {
		*value = 0;
		return true;
	}
	for (size_t i = 0; i < count; i++) {
		if (strcmp(at, units[i].name) != 0)
			continue;
		if (__builtin_mul_overflow(number, units[i].factor, &number))
			return false;
		*value = number;
		return true;
	}
	return false;
}

static char *format(int64_t value, const struct unit *units, size_t count) {
	const struct unit *best = &units[0];
	for (size_t i = 1; i < count && value != 0; i++)
		if (units[i].factor > best->factor && value % units[i].factor == 0)
			best = &units[i];
	return mem_printf("%" PRId64 "%s", value / best->factor, best->name);
}

bool duration_parse_ms(const char *text, int64_t *ms) {
	return parse(text, durations, sizeof durations / sizeof durations[0], ms);
}

char *duration_format_ms(int64_t ms) {
	return format(ms, durations, sizeof durations / sizeof durations[0]);
}

bool size_parse_bytes(const char *text, int64_t *bytes) {
	return parse(text, sizes, sizeof sizes / sizeof sizes[0], bytes);
}

char *size_format_bytes(int64_t bytes) {
	return format(bytes, sizes, sizeof sizes / sizeof sizes[0]);
}
