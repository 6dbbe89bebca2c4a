/*
 * mysql_prepared.h: the statements that a session keeps prepared: those that have values, few and bounded. To the engine's user
 * it makes no difference. Sends nothing itself.
 */
#ifndef BACKFILLD_MYSQL_PREPARED_H
#define BACKFILLD_MYSQL_PREPARED_H

#include <mysql.h>

struct mysql_prepared;

struct mysql_prepared *mysql_prepared_new(void);
/* The session is closed: frees what the library has of the statements. NULL allowed. */
void mysql_prepared_free(struct mysql_prepared *set);
/* NULL: it has to be prepared. */
MYSQL_STMT *mysql_prepared_find(struct mysql_prepared *set, const char *sql);
/* There is room: see below. Takes the statement. */
void mysql_prepared_add(struct mysql_prepared *set, const char *sql, MYSQL_STMT *stmt);
/* To be asked before one is added. When there is no room it gives up the one that was used least recently, to be closed; else
 * NULL. */
MYSQL_STMT *mysql_prepared_make_room(struct mysql_prepared *set);
/* Gives up one that the server has forgotten: the caller closes it. */
void mysql_prepared_remove(struct mysql_prepared *set, const MYSQL_STMT *stmt);

#endif
