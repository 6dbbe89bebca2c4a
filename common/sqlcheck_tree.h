/* sqlcheck_tree.h: libpg_query's tree, for the files of sqlcheck_postgres alone. */
#ifndef BACKFILLD_SQLCHECK_TREE_H
#define BACKFILLD_SQLCHECK_TREE_H

#include <jansson.h>
#include <stdbool.h>

static inline void sqlcheck_json_cleanup(json_t **json) {
	json_decref(*json);
}
#define autojson __attribute__((cleanup(sqlcheck_json_cleanup))) json_t

/* A string member's text; NULL when there is none. */
static inline const char *string_of(const json_t *object, const char *name) {
	return json_string_value(json_object_get(object, name));
}

typedef bool sqlcheck_condition_fn(const json_t *condition, const void *context);
/* Whether one of the conditions that must all hold is such a one. */
bool sqlcheck_demands(const json_t *where, sqlcheck_condition_fn *is, const void *context);

/* Of struct sqlcheck_grammar. */
bool sqlcheck_tree_demands_null(const char *where, const char *column);
bool sqlcheck_tree_reads(const char *where, const char *column);

#endif
