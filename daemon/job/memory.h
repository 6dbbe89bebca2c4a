/*
 * memory.h: what a target's throttle has found out (its rate, the site's latency without us), kept in the control tables, so that
 * the next daemon goes on with it instead of learning anew.
 */
#ifndef BACKFILLD_MEMORY_H
#define BACKFILLD_MEMORY_H

#include "daemon/job/target.h"

struct memory;

struct memory *memory_new(struct target *target);
void memory_free(struct memory *memory); /* NULL allowed */
/* A row of `meta` was read: takes it if it is this daemon's. */
void memory_read(struct memory *memory, const char *name, const char *value);
/* Called again and again: writes it down now and then, while there is something new. */
void memory_keep(struct memory *memory);

#endif
