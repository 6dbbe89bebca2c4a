/*
 * shape.h: what preflight found out about the worked table and what every later statement is built from: its real name,
 * its key's columns and types, its leaves. Stored with the job as JSON, so that a job means the same after a restart.
 */
#ifndef BACKFILLD_SHAPE_H
#define BACKFILLD_SHAPE_H

#include "common/error.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SHAPE_MAX_KEY_COLUMNS = 8 };

struct shape_column {
	char *name;
	char *type;                          /* as a cast takes it, schema-qualified: "bigint", "character(10)", "public.citext" */
	char *collation, *collation_version; /* whose order the key is walked in; NULL: none, or stored by an older version */
};

/* One relation that holds rows: the table itself, or a leaf partition. */
struct shape_leaf {
	char *schema;
	char *name;
	char *partition; /* MySQL: of the table of that name; NULL: all of it */
	int64_t oid;
	int64_t estimated_rows;
	int64_t row_bytes; /* average width on disk, at least 1 */
};

struct table_shape {
	char *schema;
	char *name;
	int64_t oid;
	bool partitioned;
	struct shape_column key[SHAPE_MAX_KEY_COLUMNS];
	size_t nkey;
	char *key_index;    /* MySQL: the key's index, by which every statement goes; NULL: the primary key's */
	char **search_path; /* pg_catalog, the table's schema, the key operators' schemas: unquoted names */
	size_t nsearch_path;
	char **conflict_key; /* kind insert: the columns of the conflict target, resolved */
	size_t nconflict_key;
	struct shape_column
		*written; /* MySQL: the columns that the job writes, and the conflict key's: kept values go by their types */
	size_t nwritten;
	char *session;             /* MySQL: what is pinned, as SET SESSION takes it; NULL: stored by an older version */
	struct shape_leaf *leaves; /* at least one */
	size_t nleaves;
	int64_t estimated_rows; /* of all leaves */
	int server_version;     /* as of the last claim, 150020: it may be another after a restart. Not stored */
	bool time_is_enough;    /* as of the last claim: of the key's mark. Not stored */
};

json_t *shape_to_json(const struct table_shape *shape);
/* *shape is new, freed by the caller with shape_free. */
bool shape_from_json(const json_t *json, struct table_shape **shape, struct error *err);
void shape_free(struct table_shape *shape);

#endif
