#include "daemon/engine/postgres_prepared.h"

#include "common/mem.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

enum {
	MOST_TEXTS = 8,
	MAX_PARAMS = 65535, /* the protocol counts them in 16 bits */
};

struct text {
	char *sql;
	enum { UNKNOWN, SENT, KNOWN } state;
};

struct postgres_prepared {
	uint64_t nonce; /* in the names */
	bool off;
	struct text texts[MOST_TEXTS];
	size_t count;
	struct text **awaited; /* of the flight: for each result to come what it prepares, or NULL */
	size_t nawaited, nanswered;
};

struct postgres_prepared *postgres_prepared_new(void) {
	struct postgres_prepared *set = mem_alloc(sizeof *set);
	set->off = getrandom(&set->nonce, sizeof set->nonce, GRND_NONBLOCK) != (ssize_t)sizeof set->nonce;
	return set;
}

static void forget_all(struct postgres_prepared *set) {
	for (size_t i = 0; i < set->count; i++)
		free(set->texts[i].sql);
	set->count = 0;
}

void postgres_prepared_free(struct postgres_prepared *set) {
	if (set == NULL)
		return;
	forget_all(set);
	free(set->awaited);
	free(set);
}

/* NULL: it is sent whole. */
static struct text *find(struct postgres_prepared *set, const char *sql) {
	for (size_t i = 0; i < set->count; i++)
		if (strcmp(set->texts[i].sql, sql) == 0)
			return &set->texts[i];
	if (set->off || set->count == MOST_TEXTS)
		return NULL;
	struct text *text = &set->texts[set->count++];
	*text = (struct text){.sql = mem_dup(sql)};
	return text;
}

static void await(struct postgres_prepared *set, struct text *prepares) {
	set->awaited = mem_resize(set->awaited, set->nawaited + 1, sizeof *set->awaited);
	set->awaited[set->nawaited++] = prepares;
}

bool postgres_prepared_send(struct postgres_prepared *set, PGconn *pg, const struct engine_statement *s) {
	if (s->nparams > MAX_PARAMS)
		return false;
	int nparams = (int)s->nparams;
	struct text *text = s->repeated ? find(set, s->sql) : NULL;
	if (text == NULL) {
		await(set, NULL);
		return PQsendQueryParams(pg, s->sql, nparams, NULL, s->params, NULL, NULL, 0) == 1;
	}
	char name[64];
	snprintf(name, sizeof name, "backfilld %016" PRIx64 " %td", set->nonce, text - set->texts);
	if (text->state == UNKNOWN) {
		if (PQsendPrepare(pg, name, s->sql, nparams, NULL) != 1)
			return false;
		text->state = SENT;
		await(set, text);
	}
	await(set, NULL);
	return PQsendQueryPrepared(pg, name, nparams, s->params, NULL, NULL, 0) == 1;
}

bool postgres_prepared_absorb(struct postgres_prepared *set, const PGresult *result) {
	if (set->nanswered == set->nawaited)
		return false;
	struct text *text = set->awaited[set->nanswered++];
	if (text == NULL || PQresultStatus(result) != PGRES_COMMAND_OK)
		return false;
	text->state = KNOWN;
	return true;
}

/* 26000, invalid_sql_statement_name: somebody said DEALLOCATE or DISCARD in our session, a trigger perhaps. */
static bool is_forgotten(const PGresult *failure) {
	const char *sqlstate = failure != NULL ? PQresultErrorField(failure, PG_DIAG_SQLSTATE) : NULL;
	return sqlstate != NULL && strcmp(sqlstate, "26000") == 0;
}

/* A prepared statement outlives a transaction that is rolled back, but none comes about behind an error. */
void postgres_prepared_landed(struct postgres_prepared *set, const PGresult *failure) {
	set->nawaited = set->nanswered = 0;
	for (size_t i = 0; i < set->count; i++)
		if (set->texts[i].state == SENT)
			set->texts[i].state = UNKNOWN;
	if (!is_forgotten(failure))
		return;
	forget_all(set);
	set->off = true;
}
