#include "daemon/engine/mysql_prepared.h"

#include "common/mem.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* A server has max_prepared_stmt_count of them (16382) for all its sessions. */
enum { MOST_STATEMENTS = 32 };

struct kept {
	char *sql;
	MYSQL_STMT *stmt;
	uint64_t used; /* when, in uses of the set */
};

struct mysql_prepared {
	struct kept kept[MOST_STATEMENTS];
	size_t count;
	uint64_t uses;
};

struct mysql_prepared *mysql_prepared_new(void) {
	return mem_alloc(sizeof(struct mysql_prepared));
}

void mysql_prepared_free(struct mysql_prepared *set) {
	if (set == NULL)
		return;
	for (size_t i = 0; i < set->count; i++) {
		mysql_stmt_close(set->kept[i].stmt);
		free(set->kept[i].sql);
	}
	free(set);
}

MYSQL_STMT *mysql_prepared_find(struct mysql_prepared *set, const char *sql) {
	for (size_t i = 0; i < set->count; i++)
		if (strcmp(set->kept[i].sql, sql) == 0) {
			set->kept[i].used = ++set->uses;
			return set->kept[i].stmt;
		}
	return NULL;
}

void mysql_prepared_add(struct mysql_prepared *set, const char *sql, MYSQL_STMT *stmt) {
	set->kept[set->count++] = (struct kept){.sql = mem_dup(sql), .stmt = stmt, .used = ++set->uses};
}

static void forget(struct mysql_prepared *set, size_t which) {
	free(set->kept[which].sql);
	set->kept[which] = set->kept[--set->count];
}

MYSQL_STMT *mysql_prepared_make_room(struct mysql_prepared *set) {
	if (set->count < MOST_STATEMENTS)
		return NULL;
	size_t oldest = 0;
	for (size_t i = 1; i < set->count; i++)
		if (set->kept[i].used < set->kept[oldest].used)
			oldest = i;
	MYSQL_STMT *stmt = set->kept[oldest].stmt;
	forget(set, oldest);
	return stmt;
}

void mysql_prepared_remove(struct mysql_prepared *set, const MYSQL_STMT *stmt) {
	for (size_t i = 0; i < set->count; i++)
		if (set->kept[i].stmt == stmt) {
			forget(set, i);
			return;
		}
}
