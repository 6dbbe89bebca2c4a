/*
 * explain.h: reads a plan (EXPLAIN (FORMAT JSON, VERBOSE)) and says how it reaches the worked relation. Pure.
 */
#ifndef BACKFILLD_EXPLAIN_H
#define BACKFILLD_EXPLAIN_H

#include "common/error.h"

#include <stdbool.h>

struct explain_verdict {
	bool reads;        /* the worked relation is in the plan */
	bool proven_empty; /* there is no row to find: a condition that is false, a key that is NULL */
	bool by_key;       /* every scan of it is bounded by an index condition on the key's first column */
	bool sorts;        /* its rows are sorted after they were read */
	char scan[64];     /* the first scan that is not by key (or the last that is): "Seq Scan" */
	char index[64];    /* its index; "" if none */
	char depends[64];  /* a node whose result depends on which rows share a batch, "WindowAgg"; "" if none */
	char other[128];   /* another relation that is read in full, the largest; "" if none */
	double other_rows; /* how many rows that has */
};

/*
 * `json` is EXPLAIN's answer, schema.relation the table or leaf that is walked, `key` its key's first column. Of a
 * statement that writes only what feeds the write is judged, of any other the whole plan; subqueries of expressions are not.
 */
bool explain_judge(const char *json, const char *schema, const char *relation, const char *key, struct explain_verdict *verdict,
                   struct error *err);

#endif
