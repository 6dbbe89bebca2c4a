/*
 * zone.h: a time zone by its name in tzdata, "Europe/Berlin". By GLib: the C library knows one zone for the whole process, that
 * of TZ, which nobody may change while there are threads (setenv(3)), and knows no other way to ask; GLib's zones are values, it
 * reads tzdata's files of either kind with the rule that holds beyond their end, is kept, and is on about every Debian already.
 */
#ifndef BACKFILLD_ZONE_H
#define BACKFILLD_ZONE_H

#include "common/error.h"

#include <stdint.h>

struct zone;

/*
 * Reads tzdata's file; "": the zone of this host, by TZ or /etc/localtime. NULL with a message when there is none, code
 * ERROR_DATA. Freed by the caller with zone_free. One that is kept doesn't learn of a new tzdata, or of another zone of the host.
 */
struct zone *zone_new(const char *name, struct error *err);
void zone_free(struct zone *zone);
/* "Europe/Berlin", also for this host's. */
const char *zone_name(const struct zone *zone);
/* A windows_offset_fn (common/windows.h). */
int64_t zone_offset_s(const void *zone, int64_t utc_s, int64_t *until_utc_s);

#endif
