#include "daemon/engine/dialect_mysql_plan.h"

#include "common/mem.h"
#include "common/strbuf.h"

#include <string.h>
#include <strings.h>

/* ---- Asking ---- */

/* The end of the statement: a semicolon outside of quotes. There are no comments in texts of ours. */
static const char *statement_end(const char *sql) {
	char quote = '\0';
	for (; *sql != '\0'; sql++) {
		if (*sql == '\\' && quote != '\0' && quote != '`' && sql[1] != '\0')
			sql++;
		else if (quote != '\0')
			quote = *sql == quote ? '\0' : quote;
		else if (strchr("'\"`", *sql) != NULL)
			quote = *sql;
		else if (*sql == ';')
			break;
	}
	return sql;
}

static bool writes(const char *statement) {
	return strncasecmp(statement, "UPDATE", 6) == 0 || strncasecmp(statement, "INSERT", 6) == 0 ||
	       strncasecmp(statement, "DELETE", 6) == 0;
}

char *explain_mysql_text(const char *ask, const char *sql) {
	const char *chosen = sql;
	for (const char *at = sql; *at != '\0';) {
		at += strspn(at, "; \t\n");
		if (writes(at)) {
			chosen = at;
			break;
		}
		at = statement_end(at);
	}
	return mem_printf("%s\n%.*s", ask, (int)(statement_end(chosen) - chosen), chosen);
}

/*
 * Aggregates and window functions are refused in a WHERE, as there is no more than the row there.
 * https://dev.mysql.com/doc/refman/8.4/en/window-functions-usage.html https://mariadb.com/kb/en/error-1111/
 */
char *row_check_mysql(const struct jobfile *job, const struct shape_leaf *leaf) {
	if (job->kind != JOB_INSERT)
		return NULL;
	autostrbuf b = {0};
	strbuf_printf(&b, "SELECT 1 FROM `%s`.`%s`", leaf->schema, leaf->name);
	for (size_t i = 0; i < job->ncolumns; i++)
		strbuf_printf(&b, "%s (%s\n) IS NULL", i == 0 ? " WHERE" : " OR", job->columns[i].expr);
	return strbuf_take(&b);
}
