/* sql_embedded.h: the files of sql/, as build/gen/sql_embedded.c holds them. Ends with name = NULL. */
#ifndef BACKFILLD_SQL_EMBEDDED_H
#define BACKFILLD_SQL_EMBEDDED_H

struct sql_embedded {
	const char *name; /* "postgres/claim" */
	const char *text;
};

extern const struct sql_embedded sql_embedded[];

#endif
