/*
 * fuzz_sqlcheck_mysql.c: the input as a fragment on MySQL. What passes is scanned by a second, simpler scanner that takes
 * comments as the servers do: the brackets around it close behind it and nowhere else, with nothing in them that ends them,
 * the expression or the statement.
 */
#include "common/mem.h"
#include "common/sqlcheck.h"
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

static bool passes_as(enum job_kind kind, const char *text) {
	struct assignment one = {(char *)"x", (char *)text};
	struct jobfile job = {.table = (char *)"t", .kind = kind};
	job.set = kind == JOB_UPDATE ? &one : NULL;
	job.nset = kind == JOB_UPDATE;
	job.columns = kind == JOB_INSERT ? &one : NULL;
	job.ncolumns = kind == JOB_INSERT;
	struct error err = {0};
	bool passed = sqlcheck_job(&sqlcheck_mysql, &job, &err);
	if (!passed)
		fuzz_require_error(&err, ERROR_DATA);
	return passed;
}

static bool passes(const char *text) {
	return passes_as(JOB_UPDATE, text);
}

/* ---- The second scanner ---- */

/* The end of what is quoted from `p` on. */
static const char *skip_quoted(const char *p) {
	for (char quote = *p++; *p != '\0'; p++) {
		if (*p == '\\' && quote != '`' && p[1] != '\0')
			p++;
		else if (*p == quote && *++p != quote)
			return p;
	}
	return p;
}

static bool is_blank(char c) {
	return c != '\0' && (unsigned char)c <= ' ';
}

static const char *skip_comment(const char *p) {
	const char *end = NULL;
	if (*p == '#' || (p[0] == '-' && p[1] == '-' && (p[2] == '\0' || is_blank(p[2]))))
		end = strchr(p, '\n');
	else if (p[0] == '/' && p[1] == '*')
		end = strstr(p + 2, "*/");
	else
		return p;
	return end != NULL ? end + 1 : p + strlen(p);
}

static size_t word_length(const char *p) {
	return strspn(p, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789");
}

static bool is_clause(const char *p, size_t length) {
	static const char *const clauses[] = {"SELECT", "FROM",  "WHERE", "UNION",     "GROUP", "ORDER", "HAVING", "LIMIT",
	                                      "EXCEPT", "TABLE", "WITH",  "INTERSECT", "INTO",  "FOR",   "VALUES", "OVER"};
	for (size_t i = 0; i < sizeof clauses / sizeof *clauses; i++)
		if (strlen(clauses[i]) == length && strncasecmp(p, clauses[i], length) == 0)
			return true;
	return false;
}

/* A byte that is neither in quotes nor in a comment, `depth` brackets deep, of which the first are ours. */
static void require_harmless(const char *text, const char *p, int depth) {
	require(strchr(";?{}[]\\$", *p) == NULL);
	require(*p != ':' && *p != '#');
	require(*p != '@' || p[1] == '@' || p[-1] == '@');
	require((unsigned char)*p >= ' ' || *p == '\n' || *p == '\t');
	require(depth > 1 || *p != ',');
	bool starts_word =
		word_length(p) > 0 && (p == text || word_length(p - 1) == 0) && p[-1] != '.' && (unsigned char)p[-1] < 0x80;
	if (depth == 1 && starts_word && p[-1] != '@') {
		size_t length = word_length(p);
		require((unsigned char)p[length] >= 0x80 || !is_clause(p, length));
	}
}

static void require_closed_behind(const char *fragment) {
	autofree char *text = mem_printf("(%s\n)", fragment);
	const char *end = text + strlen(text) - 1;
	int depth = 0;
	for (const char *p = text; *p != '\0';) {
		require(skip_comment(p) == p);
		if (*p == '\'' || *p == '"' || *p == '`') {
			p = skip_quoted(p);
			continue;
		}
		depth += *p == '(';
		if (*p != '(' && *p != ')')
			require_harmless(text, p, depth);
		depth -= *p == ')';
		require((depth == 0) == (p == end));
		p++;
	}
	require(depth == 0);
}

/* ---- What follows from it ---- */

/* For one more pair of brackets: 200 may be open. */
static bool has_room(const char *text) {
	int brackets = 0;
	for (; *text != '\0'; text++)
		brackets += *text == '(';
	return brackets < 200;
}

/* Two of them are no expression, whatever is between them but an operator. */
static void require_alone(const char *text) {
	static const char *const between[] = {", ", ") OR (", "\n FROM ", " UNION ", "; ", " AS "};
	for (size_t i = 0; i < sizeof between / sizeof *between; i++) {
		autofree char *two = mem_printf("%s%s%s", text, between[i], text);
		require(!passes(two));
	}
	autofree char *bracketed = mem_printf("(%s\n)", text);
	require(passes(bracketed) || !has_room(text));
}

static void try_where(const char *text) {
	struct assignment set = {(char *)"a", (char *)"1"};
	struct jobfile job = {.table = (char *)"t", .kind = JOB_UPDATE, .set = &set, .nset = 1, .where = (char *)text};
	struct error err = {0};
	if (!sqlcheck_job(&sqlcheck_mysql, &job, &err))
		return;
	bool null = sqlcheck_old_values_null(&sqlcheck_mysql, &job);
	autofree char *either = mem_printf("(%s\n) OR b", text), *both = mem_printf("b AND (%s\n)", text);
	job.sweep = true;
	require(!null || sqlcheck_sweep(&sqlcheck_mysql, &job, &err));
	job.sweep = false;
	job.where = either;
	require(!sqlcheck_old_values_null(&sqlcheck_mysql, &job));
	job.where = both;
	require(sqlcheck_old_values_null(&sqlcheck_mysql, &job) == null || !has_room(text));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
	autofree char *text = fuzz_text(data, size);
	bool inserts = passes_as(JOB_INSERT, text);
	if (!passes(text)) {
		require(!inserts);
		return 0;
	}
	require(fuzz_is_utf8(text));
	require_closed_behind(text);
	require_alone(text);
	try_where(text);
	return 0;
}
