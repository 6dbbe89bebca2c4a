/* config_keys.h: the tables of the daemon's configuration, for config.c and for the generator of the reference. */
#ifndef BACKFILLD_CONFIG_KEYS_H
#define BACKFILLD_CONFIG_KEYS_H

#include "common/keytable.h"

extern const struct key config_keys[];         /* fills struct config */
extern const struct key config_target_keys[];  /* fills struct config_target: one of `targets` */
extern const struct key config_replica_keys[]; /* fills struct config_replica: one of a target's `replicas` */

#endif
