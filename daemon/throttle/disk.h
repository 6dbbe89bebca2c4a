/*
 * disk.h: how full the file system of a path is, asked in a short-lived thread: on one of the network's that may take for ever.
 */
#ifndef BACKFILLD_DISK_H
#define BACKFILLD_DISK_H

#include <stdbool.h>

struct ev_loop;
struct disk;

/* `used` is the share that is not free to ordinary users, as df shows it; why != NULL: it can't be told. */
typedef void disk_told_fn(void *context, double used, const char *why);

/* Does a connection that leads there ("/run/postgresql", "127.0.0.1:5432") end on this host? A tunnel looks like it. */
bool disk_is_here(const char *peer);

struct disk *disk_new(struct ev_loop *loop, disk_told_fn *told, void *context);
/* Nothing is told any more. NULL allowed. */
void disk_free(struct disk *disk);
/* Looks, and tells later, from the loop. Nothing happens while the look before is still on its way. */
void disk_look(struct disk *disk, const char *path);

#endif
