/*
 * postgres_prepared.h: the statements that a session is let keep parsed, so that what every batch says is not read anew each
 * time: of a flight those that are `repeated`. To the engine's user it makes no difference.
 *
 * Names are unique, and texts few and bounded: were the session shared after all, nobody would run what is another's.
 * https://www.postgresql.org/docs/15/protocol-flow.html#PROTOCOL-FLOW-EXT-QUERY
 */
#ifndef BACKFILLD_POSTGRES_PREPARED_H
#define BACKFILLD_POSTGRES_PREPARED_H

#include "daemon/engine/engine.h"

#include <libpq-fe.h>

struct postgres_prepared;

/* For one session. */
struct postgres_prepared *postgres_prepared_new(void);
void postgres_prepared_free(struct postgres_prepared *set);
/* Sends a statement of a flight, in pipeline mode. False: libpq took it not, and PQerrorMessage says why. */
bool postgres_prepared_send(struct postgres_prepared *set, PGconn *pg, const struct engine_statement *statement);
/* To be asked of each result of a flight, in order: does it answer only what prepared a statement? */
bool postgres_prepared_absorb(struct postgres_prepared *set, const PGresult *result);
/* The flight has ended; with the error, or NULL. */
void postgres_prepared_landed(struct postgres_prepared *set, const PGresult *failure);

#endif
