/* own_probe.h: the lists of probes that a site writes itself (throttle.sql, throttle.http): read, checked, copied. Pure. */
#ifndef BACKFILLD_OWN_PROBE_H
#define BACKFILLD_OWN_PROBE_H

#include "common/keytable.h"
#include "common/limits.h"

/* Each fills struct own_probe: one of `sql = ( { name; sql; … } )`, `http = ( { name; url; … } )`. */
extern const struct key own_probe_sql_keys[];
extern const struct key own_probe_http_keys[];

/* A key's `load`: the list goes to its `offset`, the length to its `count_offset`. What there is of it on failure is the owner's.
 */
bool own_probe_load_sql(const struct keytable_document *document, const struct key *key, config_setting_t *setting, void *base,
                        struct error *err);
bool own_probe_load_http(const struct keytable_document *document, const struct key *key, config_setting_t *setting, void *base,
                         struct error *err);

/* NULL of none; freed with own_probe_free_all. */
struct own_probe *own_probe_copy_all(const struct own_probe *list, size_t count);
void own_probe_free_all(struct own_probe *list, size_t count);
/* NULL if there is none of that name. */
const struct own_probe *own_probe_find(const struct own_probe *list, size_t count, const char *name);
/* A job's list with its target's behind it; those that it had from there before go. */
void own_probe_inherit(struct own_probe **list, size_t *count, const struct own_probe *target, size_t ntarget);
/* For a job's sum: its own ones, as keytable_canonical does it. */
void own_probe_canonical(const char *key, const struct own_probe *list, size_t count, struct strbuf *out);

#endif
