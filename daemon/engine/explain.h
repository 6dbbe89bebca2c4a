/*
 * explain.h: reads a plan, as the text explain.sql of a dialect asks for it, and says how it reaches the worked relation. Pure.
 */
#ifndef BACKFILLD_EXPLAIN_H
#define BACKFILLD_EXPLAIN_H

#include "common/error.h"
#include "daemon/engine/shape.h"

#include <stdbool.h>

struct explain_verdict {
	bool reads;        /* the worked relation is in the plan */
	bool proven_empty; /* there is no row to find: a condition that is false, a key that is NULL */
	bool by_key;       /* every scan of it is bounded by the key */
	bool whole_index;  /* every scan of it that is not by key reads all of the key's index: on a small table that costs less */
	bool sorts;        /* its rows are sorted after they were read */
	char scan[64];     /* the first scan that is not by key (or the last that is): "Seq Scan" */
	char index[64];    /* its index; "" if none */
	char depends[64];  /* a node whose result depends on which rows share a batch, "WindowAgg"; "" if none */
	char other[128];   /* another relation that is read in full, the largest; "" if none */
	double other_rows; /* how many rows that has */
};

/*
 * `json` is the server's answer, `leaf` what is walked. Of a statement that writes only what feeds the write is judged, of any
 * other the whole plan; subqueries of expressions are not.
 */
typedef bool explain_judge_fn(const char *json, const struct table_shape *shape, const struct shape_leaf *leaf,
                              struct explain_verdict *verdict, struct error *err);

/* EXPLAIN (FORMAT JSON, VERBOSE). By key is an index condition on the key's first column. */
explain_judge_fn explain_postgres_judge;

/* EXPLAIN FORMAT=JSON of MariaDB, or of MySQL in its version 1. By key is a range of the key's index (shape->key_index), bounded
 * by all of its columns. What `depends` is for the server is asked otherwise: row_check of dialect.h. */
explain_judge_fn explain_mysql_judge;

#endif
