/* duration.h: lengths of time ("250ms", "2s", "5m", "1h") and sizes ("64MB") as people write them. */
#ifndef BACKFILLD_DURATION_H
#define BACKFILLD_DURATION_H

#include <stdbool.h>
#include <stdint.h>

/* A whole number and one of ms, s, m, h; also a bare "0". False, and *ms as it was, for anything else or beyond int64. */
bool duration_parse_ms(const char *text, int64_t *ms);
/* The shortest exact form: 1500 is "1500ms", 120000 is "2m". The caller frees it. */
char *duration_format_ms(int64_t ms);

/* A whole number and one of B, kB (or KB), MB, GB, TB, in steps of 1024 as PostgreSQL counts; also a bare "0". */
bool size_parse_bytes(const char *text, int64_t *bytes);
char *size_format_bytes(int64_t bytes);

#endif
