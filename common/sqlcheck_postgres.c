/* sqlcheck_postgres.c: PostgreSQL's grammar, by libpg_query: a token scan, then the parse tree of a wrapper. */
#include "common/mem.h"
#include "common/sqlcheck.h"
#include "common/sqlcheck_tree.h"
#include "common/strbuf.h"

#include <assert.h>
#include <pg_query.h>
#include <pg_query/pg_query.pb-c.h>
#include <stdlib.h>
#include <string.h>

/*
 * libpg_query recurses over the tree without a limit of its own and overflows the stack on operator chains of 29 KB;
 * this limit and the length's stand before anything is parsed.
 */
enum { MAX_BRACKET_DEPTH = 200 };

/* Tokens that the grammar does not know have their character's code. */
enum { TOKEN_BRACE_OPEN = '{', TOKEN_BRACE_CLOSE = '}' };

/* Stands for {range} while the statement is parsed; found again by its place, not by its name. */
static const char marker[] = "(\"backfilld range\".\"x\" = 1)";

static void scan_free(PgQuery__ScanResult **scan) {
	if (*scan != NULL)
		pg_query__scan_result__free_unpacked(*scan, NULL);
}
#define autoscan __attribute__((cleanup(scan_free))) PgQuery__ScanResult

/* ---- Messages with a place ---- */

/* libpg_query counts characters from 1, in what it was given: `prefix` characters of a wrapper come first. */
static bool fail_parse(const struct sqlcheck_fragment *f, const PgQueryError *error, int prefix, struct error *err) {
	int characters = error->cursorpos - 1 - prefix;
	if (characters < 0)
		return sqlcheck_fail(f, err, error->message);
	size_t offset = 0;
	while (f->text[offset] != '\0' && characters > 0) {
		offset++;
		if (((unsigned char)f->text[offset] & 0xC0) != 0x80)
			characters--;
	}
	if (f->text[offset] == '\0')
		return error_set(err, ERROR_DATA, "%s: %s: it ends before it is complete, or closes more than it opened", f->key,
		                 error->message);
	return sqlcheck_fail_at(f, offset, err, error->message);
}

/* ---- Tokens ---- */

static bool scan_tokens(const struct sqlcheck_fragment *f, PgQuery__ScanResult **scan, struct error *err) {
	PgQueryScanResult result = pg_query_scan(f->text);
	PgQuery__ScanResult *tokens = NULL;
	if (result.error == NULL)
		tokens = pg_query__scan_result__unpack(NULL, result.pbuf.len, (const uint8_t *)result.pbuf.data);
	if (result.error != NULL)
		fail_parse(f, result.error, 0, err);
	else if (tokens == NULL)
		sqlcheck_fail(f, err, "the tokens of the SQL text can't be read");
	pg_query_free_scan_result(result);
	*scan = tokens;
	return tokens != NULL;
}

static const char *forbidden_token(int token) {
	switch (token) {
	case PG_QUERY__TOKEN__ASCII_59:
		return "a `;` is not allowed: a fragment never ends its statement";
	case PG_QUERY__TOKEN__SQL_COMMENT:
	case PG_QUERY__TOKEN__C_COMMENT:
		return "comments are not allowed inside SQL; put them outside of the string";
	case PG_QUERY__TOKEN__PARAM:
		return "parameters ($1) are not allowed; the range's keys are bound by backfilld itself";
	case PG_QUERY__TOKEN__ASCII_92:
		return "a `\\` outside of a literal is psql's, not SQL";
	default:
		return NULL;
	}
}

/* One bracket's step; the stack holds what is open. */
static const char *step_bracket(int token, char stack[], size_t *depth) {
	if (token == '(' || token == '[') {
		if (*depth == MAX_BRACKET_DEPTH)
			return "brackets are nested deeper than 200";
		stack[(*depth)++] = (char)token;
	} else if (token == ')' || token == ']') {
		if (*depth == 0)
			return "closes a bracket that it did not open";
		if (stack[--*depth] != (token == ')' ? '(' : '['))
			return "closes a bracket of another kind than the one that is open";
	}
	return NULL;
}

/* The fragment alone: it can't leave the brackets that a wrapper puts around it. */
static bool check_tokens(const struct sqlcheck_fragment *f, const PgQuery__ScanResult *scan, bool braces, struct error *err) {
	char stack[MAX_BRACKET_DEPTH];
	size_t depth = 0;
	assert(scan != NULL);
	for (size_t i = 0; i < scan->n_tokens; i++) {
		int token = (int)scan->tokens[i]->token;
		size_t at = (size_t)scan->tokens[i]->start;
		const char *why = forbidden_token(token);
		if (why == NULL)
			why = step_bracket(token, stack, &depth);
		if (why == NULL && !braces && (token == TOKEN_BRACE_OPEN || token == TOKEN_BRACE_CLOSE))
			why = "`{` and `}` belong to {range}, which only a `statement` has";
		if (why != NULL)
			return sqlcheck_fail_at(f, at, err, why);
	}
	if (depth > 0)
		return sqlcheck_fail(f, err, "a bracket is opened and never closed");
	if (scan->n_tokens == 0)
		return sqlcheck_fail(f, err, "is empty");
	return true;
}

/* ---- Trees ---- */

static bool parse(const struct sqlcheck_fragment *f, const char *sql, int prefix, json_t **tree, struct error *err) {
	PgQueryParseResult result = pg_query_parse(sql);
	json_t *json = NULL;
	bool ok = result.error == NULL;
	if (!ok) {
		fail_parse(f, result.error, prefix, err);
	} else {
		/* jansson stops at 2048 levels and at bytes that are not UTF-8. */
		json_error_t why;
		json = json_loads(result.parse_tree, JSON_ALLOW_NUL, &why);
		if (json == NULL)
			ok = error_set(err, ERROR_DATA, "%s: nested too deeply, or not UTF-8 (%s)", f->key, why.text);
	}
	pg_query_free_parse_result(result);
	if (ok)
		*tree = json;
	return ok;
}

/* The only statement of a tree as an object of one member, { "SelectStmt": … }; NULL if there are more or none. */
static const json_t *only_statement(const json_t *tree) {
	const json_t *stmts = json_object_get(tree, "stmts");
	if (json_array_size(stmts) != 1)
		return NULL;
	return json_object_get(json_array_get(stmts, 0), "stmt");
}

static bool only_members(const json_t *object, const char *const names[]) {
	const char *name;
	json_t *value;
	json_object_foreach((json_t *)object, name, value) {
		bool known = false;
		for (size_t i = 0; names[i] != NULL && !known; i++)
			known = strcmp(name, names[i]) == 0;
		if (!known)
			return false;
	}
	return true;
}

/* A column or row whose last part is `*` is a list of columns, not an expression. */
static bool ends_in_star(const json_t *list) {
	return json_object_get(json_array_get(list, json_array_size(list) - 1), "A_Star") != NULL;
}

static bool check_value(const struct sqlcheck_fragment *f, const json_t *value, struct error *err) {
	if (json_object_get(value, "SetToDefault") != NULL) {
		sqlcheck_fail(f, err, "DEFAULT is not an expression over the row");
		return error_hint(err, "write the column's default as an expression");
	}
	const json_t *column = json_object_get(value, "ColumnRef");
	const json_t *indirection = json_object_get(value, "A_Indirection");
	if ((column != NULL && ends_in_star(json_object_get(column, "fields"))) ||
	    (indirection != NULL && ends_in_star(json_object_get(indirection, "indirection"))))
		return sqlcheck_fail(f, err, "`*` stands for several columns; one expression is asked for");
	return true;
}

/* The tree of a wrapper's SELECT: one target without a name, and no clause but those of `allowed`. */
static bool check_wrapped(const struct sqlcheck_fragment *f, const json_t *tree, const char *const allowed[], struct error *err) {
	const json_t *select = json_object_get(only_statement(tree), "SelectStmt");
	const json_t *targets = json_object_get(select, "targetList");
	const json_t *target = json_object_get(json_array_get(targets, 0), "ResTarget");
	static const char *const target_members[] = {"val", "location", NULL};
	const char *op = string_of(select, "op");
	if (select == NULL || json_array_size(targets) != 1 || !only_members(select, allowed) ||
	    !only_members(target, target_members) || op == NULL || strcmp(op, "SETOP_NONE") != 0)
		return sqlcheck_fail(f, err, "is not one expression: it adds to the statement around it");
	return check_value(f, json_object_get(target, "val"), err);
}

/* Parses prefix + text + suffix, and looks what came of it. */
static bool check_in_wrapper(const struct sqlcheck_fragment *f, const char *prefix, const char *suffix,
                             const char *const allowed[], struct error *err) {
	autofree char *sql = mem_printf("%s%s%s", prefix, f->text, suffix);
	autojson *tree = NULL;
	return parse(f, sql, (int)strlen(prefix), &tree, err) && check_wrapped(f, tree, allowed, err);
}

static bool check_tokens_of(const struct sqlcheck_fragment *f, struct error *err) {
	autoscan *scan = NULL;
	return scan_tokens(f, &scan, err) && check_tokens(f, scan, false, err);
}

/*
 * With brackets around it, `1 AS x` and `1 GROUP BY a` don't parse; without, `1, 2` and `SELECT 1` (which brackets make a
 * row and a subquery) show up as what they are. An expression is one in both.
 */
static bool check_expression(const struct sqlcheck_fragment *f, struct error *err) {
	static const char *const allowed[] = {"targetList", "limitOption", "op", NULL};
	return check_tokens_of(f, err) && check_in_wrapper(f, "SELECT (\n", "\n)", allowed, err) &&
	       check_in_wrapper(f, "SELECT\n", "\n", allowed, err);
}

static bool check_where(const struct sqlcheck_fragment *f, struct error *err) {
	static const char *const allowed[] = {"targetList", "fromClause", "whereClause", "limitOption", "op", NULL};
	return check_expression(f, err) && check_in_wrapper(f, "SELECT 1 FROM t WHERE (\n", "\n)", allowed, err);
}

/* ---- {range} ---- */

/* The name between `{range` and `}` as the server would fold it. */
static bool read_alias(const struct sqlcheck_fragment *f, const PgQuery__ScanToken *token, char alias[64], struct error *err) {
	size_t start = (size_t)token->start, end = (size_t)token->end;
	const char *text = f->text;
	bool quoted = text[start] == '"';
	bool is_name = token->token == PG_QUERY__TOKEN__IDENT || token->keyword_kind == PG_QUERY__KEYWORD_KIND__UNRESERVED_KEYWORD;
	if (!is_name)
		return sqlcheck_fail_at(f, start, err, "{range alias}: the alias is not a name");
	if (quoted) {
		start++;
		end--;
	}
	if (end <= start || end - start > 63 || memchr(text + start, '"', end - start) != NULL)
		return sqlcheck_fail_at(f, start, err, "{range alias}: the alias is not a plain name of at most 63 bytes");
	for (size_t i = start; i < end; i++) {
		char c = text[i];
		alias[i - start] = (char)(!quoted && c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
	}
	alias[end - start] = '\0';
	return true;
}

/* The placeholder that begins at token `i`; *used is how many tokens it has. */
static bool read_range(const struct sqlcheck_fragment *f, const PgQuery__ScanResult *scan, size_t i, struct sqlcheck_range *range,
                       size_t *used, struct error *err) {
	static const char malformed[] = "only {range} and {range alias} may stand in braces";
	PgQuery__ScanToken **tokens = scan->tokens;
	size_t left = scan->n_tokens - i;
	size_t start = (size_t)tokens[i]->start;
	if (tokens[i]->token != (PgQuery__Token)TOKEN_BRACE_OPEN || left < 3 || tokens[i + 1]->token != PG_QUERY__TOKEN__RANGE)
		return sqlcheck_fail_at(f, start, err, malformed);
	range->alias[0] = '\0';
	size_t close = i + 2;
	if (tokens[close]->token != (PgQuery__Token)TOKEN_BRACE_CLOSE) {
		if (!read_alias(f, tokens[close], range->alias, err))
			return false;
		close++;
	}
	if (close >= scan->n_tokens || tokens[close]->token != (PgQuery__Token)TOKEN_BRACE_CLOSE)
		return sqlcheck_fail_at(f, start, err, malformed);
	range->offset = start;
	range->length = (size_t)tokens[close]->end - start;
	*used = close - i + 1;
	return true;
}

static bool find_range(const struct sqlcheck_fragment *f, const PgQuery__ScanResult *scan, struct sqlcheck_range *range,
                       struct error *err) {
	bool found = false;
	assert(scan != NULL);
	for (size_t i = 0; i < scan->n_tokens; i++) {
		int token = (int)scan->tokens[i]->token;
		if (token != TOKEN_BRACE_OPEN && token != TOKEN_BRACE_CLOSE)
			continue;
		if (found)
			return sqlcheck_fail_at(f, (size_t)scan->tokens[i]->start, err, "{range} stands here a second time; once is allowed");
		size_t used = 1;
		if (!read_range(f, scan, i, range, &used, err))
			return false;
		found = true;
		i += used - 1;
	}
	if (!found) {
		sqlcheck_fail(f, err, "{range} is missing");
		return error_hint(err, "add `AND {range}` to the statement's WHERE");
	}
	return true;
}

bool sqlcheck_find_range(const char *statement, struct sqlcheck_range *range, struct error *err) {
	struct sqlcheck_fragment f = {.key = "statement", .text = statement};
	struct sqlcheck_range found = {0};
	autoscan *scan = NULL;
	if (!scan_tokens(&f, &scan, err) || !find_range(&f, scan, &found, err))
		return false;
	*range = found;
	return true;
}

/* ---- Statements ---- */

/* What is known while a statement is judged. */
struct statement {
	struct sqlcheck_fragment f;
	const struct jobfile *job;
	struct sqlcheck_range range;
	const char *command; /* "InsertStmt" */
	const json_t *body;  /* the command's members */
	const json_t *level; /* the members of the level whose WHERE and FROM count: INSERT's SELECT, or body */
	const json_t *table; /* the RangeVar of the job's table at that level */
	size_t tables;       /* how many there are */
};

static bool is_marker(const json_t *node, const void *context) {
	const struct statement *s = context;
	const json_t *expr = json_object_get(node, "A_Expr");
	const char *kind = string_of(expr, "kind");
	if (kind == NULL || strcmp(kind, "AEXPR_OP") != 0)
		return false;
	const json_t *column = json_object_get(json_object_get(expr, "lexpr"), "ColumnRef");
	const json_t *constant = json_object_get(json_object_get(expr, "rexpr"), "A_Const");
	return column != NULL && constant != NULL &&
	       json_integer_value(json_object_get(column, "location")) == (json_int_t)s->range.offset + 1;
}

/* How often a member of that name stands anywhere in the tree. */
static size_t count_members(const json_t *node, const char *name) {
	size_t count = 0;
	const char *key;
	json_t *value;
	if (json_is_object(node)) {
		json_object_foreach((json_t *)node, key, value) {
			count += (strcmp(key, name) == 0) + count_members(value, name);
		}
	}
	for (size_t i = 0; i < json_array_size(node); i++)
		count += count_members(json_array_get(node, i), name);
	return count;
}

/* A name without schema is found in the table's own: it is the first after pg_catalog on the search_path we pin. */
static bool is_worked_table(const struct jobfile *job, const json_t *range_var) {
	const char *name = string_of(range_var, "relname");
	const char *schema = string_of(range_var, "schemaname");
	if (name == NULL || strcmp(name, job->table) != 0)
		return false;
	return schema == NULL || job->schema == NULL || strcmp(schema, job->schema) == 0;
}

static void look_at_relation(struct statement *s, const json_t *range_var) {
	if (!is_worked_table(s->job, range_var))
		return;
	s->table = range_var;
	s->tables++;
}

/* FROM items of the level itself; subqueries are levels of their own. */
static void look_at_from(struct statement *s, const json_t *item) {
	const json_t *join = json_object_get(item, "JoinExpr");
	if (json_object_get(join, "alias") != NULL)
		return; /* an alias of the join hides the tables in it */
	if (join != NULL) {
		look_at_from(s, json_object_get(join, "larg"));
		look_at_from(s, json_object_get(join, "rarg"));
	} else if (json_object_get(item, "RangeVar") != NULL) {
		look_at_relation(s, json_object_get(item, "RangeVar"));
	}
}

static void look_at_from_list(struct statement *s, const char *clause) {
	const json_t *list = json_object_get(s->level, clause);
	for (size_t i = 0; i < json_array_size(list); i++)
		look_at_from(s, json_array_get(list, i));
}

/* A CTE of the table's name would stand before the table itself. */
static bool cte_hides_table(const struct statement *s, const json_t *level) {
	const json_t *ctes = json_object_get(json_object_get(level, "withClause"), "ctes");
	for (size_t i = 0; i < json_array_size(ctes); i++) {
		const char *name = string_of(json_object_get(json_array_get(ctes, i), "CommonTableExpr"), "ctename");
		if (name != NULL && strcmp(name, s->job->table) == 0)
			return true;
	}
	return false;
}

static bool check_alias(const struct statement *s, struct error *err) {
	const json_t *alias = json_object_get(s->table, "alias");
	const char *name = alias != NULL ? string_of(alias, "aliasname") : s->job->table;
	if (json_object_get(alias, "colnames") != NULL)
		return sqlcheck_fail(&s->f, err, "the alias of the job's table may not rename its columns");
	/* A column that a join merged may be the other table's; only a qualified one is surely ours. */
	bool has_using = json_object_get(s->level, "usingClause") != NULL; /* DELETE's own FROM */
	bool merged = count_members(s->level, "usingClause") + count_members(s->level, "isNatural") > (size_t)has_using;
	if (merged && s->range.alias[0] == '\0') {
		sqlcheck_fail(&s->f, err, "a join by USING or NATURAL merges columns, so {range} must say whose it means");
		return error_hint(err, "write {range %s}", name);
	}
	const char *said = s->range.alias[0] != '\0' ? s->range.alias : s->job->table;
	if (name == NULL || strcmp(name, said) != 0) {
		error_set(err, ERROR_DATA, "%s: {range} does not name the job's table, which is called %s here", s->f.key,
		          name != NULL ? name : "?");
		return error_hint(err, "write {range %s}", name != NULL ? name : s->job->table);
	}
	return true;
}

/* The job's table stands exactly once in the level whose WHERE has {range}. */
static bool check_table(struct statement *s, struct error *err) {
	if (s->level == s->body)
		look_at_relation(s, json_object_get(s->body, "relation"));
	look_at_from_list(s, "fromClause");
	look_at_from_list(s, "usingClause");
	const char *verb = s->tables == 0 ? "does not stand" : "stands more than once";
	if (s->tables != 1)
		return error_set(err, ERROR_DATA, "%s: the job's table %s %s in the FROM list (or as the target) of the %s", s->f.key,
		                 s->job->table, verb, "level that {range} filters");
	if (json_object_get(s->table, "catalogname") != NULL)
		return sqlcheck_fail(&s->f, err, "name the table without the database");
	if (s->job->schema == NULL && json_object_get(s->table, "schemaname") != NULL)
		return sqlcheck_fail(&s->f, err, "the statement names the table's schema and `table` doesn't; name it in both");
	if (cte_hides_table(s, s->body) || cte_hides_table(s, s->level))
		return sqlcheck_fail(&s->f, err, "a WITH query has the name of the job's table");
	return check_alias(s, err);
}

/* Clauses under which the result over a range is not the range's part of the result over all. */
static bool check_insert_select(struct statement *s, struct error *err) {
	static const struct {
		const char *member, *clause;
	} refused[] = {
		{"groupClause", "GROUP BY"},    {"havingClause", "HAVING"},
		{"distinctClause", "DISTINCT"}, {"windowClause", "WINDOW"},
		{"limitCount", "LIMIT/FETCH"},  {"limitOffset", "OFFSET"},
		{"intoClause", "INTO"},         {"valuesLists", "VALUES"},
		{"larg", "UNION/INTERSECT"},    {"rarg", "UNION/INTERSECT/EXCEPT"},
	};
	s->level = json_object_get(json_object_get(s->body, "selectStmt"), "SelectStmt");
	if (s->level == NULL)
		return sqlcheck_fail(&s->f, err, "INSERT … VALUES has no range; write INSERT … SELECT");
	for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
		if (json_object_get(s->level, refused[i].member) != NULL)
			return error_set(err, ERROR_DATA, "%s: %s in the INSERT's SELECT: its result would depend on the size of a batch",
			                 s->f.key, refused[i].clause);
	if (is_worked_table(s->job, json_object_get(s->body, "relation")))
		return sqlcheck_fail(&s->f, err, "inserts into the table it walks");
	return true;
}

/* One INSERT, UPDATE or DELETE and no other write. */
static bool check_command(struct statement *s, const json_t *tree, struct error *err) {
	static const char *const commands[] = {"InsertStmt", "UpdateStmt", "DeleteStmt", "MergeStmt", NULL};
	const json_t *statement = only_statement(tree);
	if (statement == NULL)
		return sqlcheck_fail(&s->f, err, "must be exactly one statement");
	size_t writes = 0;
	for (size_t i = 0; commands[i] != NULL; i++) {
		writes += count_members(statement, commands[i]);
		if (json_object_get(statement, commands[i]) != NULL)
			s->command = commands[i];
	}
	if (s->command == NULL || strcmp(s->command, "MergeStmt") == 0)
		return sqlcheck_fail(&s->f, err, "must be an INSERT, UPDATE or DELETE");
	if (writes != 1)
		return sqlcheck_fail(&s->f, err, "a WITH query that writes is not allowed");
	s->body = s->level = json_object_get(statement, s->command);
	if (json_object_get(s->body, "returningList") != NULL)
		return sqlcheck_fail(&s->f, err, "RETURNING is not allowed: nobody reads it");
	if (count_members(statement, "intoClause") > 0)
		return sqlcheck_fail(&s->f, err, "SELECT INTO is not allowed");
	if (strcmp(s->command, "DeleteStmt") == 0 && !s->job->allow_delete) {
		sqlcheck_fail(&s->f, err, "deletes rows");
		return error_hint(err, "say allow_delete = true if that is meant");
	}
	return strcmp(s->command, "InsertStmt") != 0 || check_insert_select(s, err);
}

static void fill_target(const struct statement *s, struct sqlcheck_target *target) {
	assert(s->command != NULL); /* check_command has found it */
	const json_t *relation = json_object_get(s->body, "relation");
	bool insert = strcmp(s->command, "InsertStmt") == 0;
	const json_t *columns = json_object_get(s->body, insert ? "cols" : "targetList");
	*target = (struct sqlcheck_target){
		.command = insert                                  ? SQLCHECK_INSERT
	               : strcmp(s->command, "UpdateStmt") == 0 ? SQLCHECK_UPDATE
	                                                       : SQLCHECK_DELETE,
		.schema = mem_dup(string_of(relation, "schemaname")),
		.table = mem_dup(string_of(relation, "relname")),
		.columns = mem_alloc((json_array_size(columns) + 1) * sizeof *target->columns),
		.only = !json_is_true(json_object_get(s->table, "inh")),
		.is_worked_table = relation == s->table,
	};
	for (size_t i = 0; i < json_array_size(columns); i++) {
		const char *name = string_of(json_object_get(json_array_get(columns, i), "ResTarget"), "name");
		if (name != NULL)
			target->columns[target->ncolumns++] = mem_dup(name);
	}
	const char *action = string_of(json_object_get(s->body, "onConflictClause"), "action");
	target->updates_on_conflict = action != NULL && strcmp(action, "ONCONFLICT_UPDATE") == 0;
}

static bool check_statement(const struct jobfile *job, struct sqlcheck_target *target, struct error *err) {
	struct statement s = {.f = {.key = "statement", .text = job->statement}, .job = job};
	autoscan *scan = NULL;
	if (!scan_tokens(&s.f, &scan, err) || !check_tokens(&s.f, scan, true, err) || !find_range(&s.f, scan, &s.range, err))
		return false;
	autofree char *sql =
		mem_printf("%.*s%s%s", (int)s.range.offset, job->statement, marker, job->statement + s.range.offset + s.range.length);
	struct sqlcheck_fragment marked = {.key = "statement (with {range} filled in)", .text = sql};
	autojson *tree = NULL;
	if (!parse(&marked, sql, 0, &tree, err) || !check_command(&s, tree, err))
		return false;
	if (!sqlcheck_demands(json_object_get(s.level, "whereClause"), is_marker, &s)) {
		sqlcheck_fail_at(&s.f, s.range.offset, err, "{range} is not a condition of its own in the statement's WHERE");
		return error_hint(err, "WHERE (…) AND {range}: not under OR, NOT, in a subquery or a function");
	}
	if (!check_table(&s, err))
		return false;
	fill_target(&s, target);
	return true;
}

const struct sqlcheck_grammar sqlcheck_postgres = {
	.name = "postgresql",
	.servers = "PostgreSQL",
	.expression = check_expression,
	.condition = check_where,
	.statement = check_statement,
	.demands_null = sqlcheck_tree_demands_null,
	.reads = sqlcheck_tree_reads,
};
