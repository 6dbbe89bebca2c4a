/* jobfile_keys.h: the table of the job file's keys, for jobfile.c and for the generator of the reference. */
#ifndef BACKFILLD_JOBFILE_KEYS_H
#define BACKFILLD_JOBFILE_KEYS_H

#include "common/keytable.h"

/* `scope` of a key: the kinds that it belongs to; 0: all. */
enum { FOR_UPDATE = 1, FOR_INSERT = 2, FOR_STATEMENT = 4 };

enum { JOBFILE_MAX_FRAGMENT_BYTES = 16 * 1024 };

extern const struct key jobfile_keys[];    /* fills struct jobfile */
extern const struct key assignment_keys[]; /* fills struct assignment: one of `set = ( { column; expr; } )` */

#endif
