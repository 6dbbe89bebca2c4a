#include "daemon/base/zone.h"

#include "common/mem.h"

#include <errno.h>
#include <glib.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LOOK_AHEAD_S = 32 * 24 * 3600 };

static const char localtime_path[] = "/etc/localtime";

struct zone {
	GTimeZone *gtz;
	char *name;
};

/* As tzset(3) finds it. GLib's own default is UTC when it can't read the file, without a word. */
static char *local_name(void) {
	const char *tz = getenv("TZ");
	if (tz != NULL && tz[0] == ':')
		tz++;
	if (tz != NULL)
		return mem_dup(tz[0] != '\0' ? tz : "UTC");
	char path[PATH_MAX];
	ssize_t length = readlink(localtime_path, path, sizeof path - 1);
	if (length < 0)
		return mem_dup(errno == ENOENT ? "UTC" : localtime_path);
	path[length] = '\0';
	static const char folder[] = "/zoneinfo/";
	const char *found = strstr(path, folder);
	return mem_dup(found != NULL ? found + sizeof folder - 1 : localtime_path);
}

struct zone *zone_new(const char *name, struct error *err) {
	char *known = name[0] != '\0' ? mem_dup(name) : local_name();
	GTimeZone *gtz = g_time_zone_new_identifier(known);
	if (gtz == NULL) {
		error_set(err, ERROR_DATA, "the time zone %.80s is not known on this host", known);
		error_hint(err, "the names are those of /usr/share/zoneinfo, as Europe/Berlin; the package tzdata brings them");
		free(known);
		return NULL;
	}
	struct zone *zone = mem_alloc(sizeof *zone);
	*zone = (struct zone){.gtz = gtz, .name = known};
	return zone;
}

void zone_free(struct zone *zone) {
	if (zone == NULL)
		return;
	g_time_zone_unref(zone->gtz);
	free(zone->name);
	free(zone);
}

const char *zone_name(const struct zone *zone) {
	return zone->name;
}

static int interval_at(const struct zone *zone, int64_t utc_s) {
	return g_time_zone_find_interval(zone->gtz, G_TIME_TYPE_UNIVERSAL, utc_s);
}

/* GLib numbers the intervals between changes, but doesn't tell where they end. */
int64_t zone_offset_s(const void *context, int64_t utc_s, int64_t *until_utc_s) {
	const struct zone *zone = context;
	int interval = interval_at(zone, utc_s);
	int64_t inside = utc_s, beyond = utc_s + LOOK_AHEAD_S;
	if (interval_at(zone, beyond) != interval) {
		while (beyond - inside > 1) {
			int64_t middle = inside + (beyond - inside) / 2;
			if (interval_at(zone, middle) == interval)
				inside = middle;
			else
				beyond = middle;
		}
	}
	*until_utc_s = beyond;
	return g_time_zone_get_offset(zone->gtz, interval);
}
