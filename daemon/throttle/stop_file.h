/*
 * stop_file.h: the emergency-stop files. Appearance and removal are seen within 100 ms, by inotify where it works and
 * by looking every 50 ms everywhere. A directory that can't be read counts as stop, and so does one that does not exist:
 * where we can't look we don't know that nobody wants us to stop.
 */
#ifndef BACKFILLD_STOP_FILE_H
#define BACKFILLD_STOP_FILE_H

#include "common/error.h"

#include <stdbool.h>
#include <stddef.h>

struct ev_loop;
struct stop_file;

/* stopped: the new state; path: which file, or "directory /x: Permission denied"; NULL when not stopped. Valid until the next
 * look. The first call comes from the loop, not from stop_file_new, and only if there is a stop. */
typedef void stop_file_fn(void *context, bool stopped, const char *path);

struct stop_file *stop_file_new(struct ev_loop *loop, char *const *paths, size_t count, stop_file_fn *fn, void *context);
void stop_file_free(struct stop_file *stop);
/* Looks now (a stat per file, microseconds): is there a stop? Called before every batch. path may be NULL;
 * *path is as in stop_file_fn. Never calls the callback. */
bool stop_file_present(struct stop_file *stop, const char **path);
/* `backfillctl stop`: creates the first file; one that is there already is fine. `unstop`: removes every file; fails if
 * a stop remains, because a file or a directory is out of our reach. The callback comes from the loop. */
bool stop_file_create(struct stop_file *stop, const char *actor, struct error *err);
bool stop_file_remove(struct stop_file *stop, struct error *err);

#endif
