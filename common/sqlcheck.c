/* sqlcheck.c: what is asked of a job's fragments, whatever the grammar. */
#include "common/sqlcheck.h"

#include "common/mem.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_FRAGMENT_BYTES = 16 * 1024 };

const struct sqlcheck_grammar *const sqlcheck_grammars[SQLCHECK_GRAMMARS] = {&sqlcheck_postgres, &sqlcheck_mysql};

/* ---- Messages with a place ---- */

static bool is_continuation(char c) {
	return ((unsigned char)c & 0xC0) == 0x80;
}

bool sqlcheck_fail_at(const struct sqlcheck_fragment *f, size_t offset, struct error *err, const char *message) {
	int line = 1, column = 1;
	for (size_t i = 0; i < offset && f->text[i] != '\0'; i++) {
		if (f->text[i] == '\n') {
			line++;
			column = 1;
		} else if (!is_continuation(f->text[i])) {
			column++;
		}
	}
	return error_set(err, ERROR_DATA, "%s, line %d, column %d: %s", f->key, line, column, message);
}

bool sqlcheck_fail(const struct sqlcheck_fragment *f, struct error *err, const char *message) {
	return error_set(err, ERROR_DATA, "%s: %s", f->key, message);
}

/* ---- The job ---- */

static bool check_length(const struct sqlcheck_fragment *f, struct error *err) {
	return strlen(f->text) <= MAX_FRAGMENT_BYTES || sqlcheck_fail(f, err, "longer than 16 KiB");
}

static bool check_assignments(const struct sqlcheck_grammar *grammar, const char *key, const struct assignment *assignments,
                              size_t count, const char *selected_from, struct error *err) {
	for (size_t i = 0; i < count; i++) {
		autofree char *name = mem_printf("%s.%s", key, assignments[i].column);
		const struct sqlcheck_fragment f = {.key = name, .text = assignments[i].expr, .selected_from = selected_from};
		if (!check_length(&f, err) || !grammar->expression(&f, err))
			return false;
	}
	return true;
}

/* `expr` of a column sees the row as it was: in a server that assigns in turn nothing that is assigned before it. */
static bool check_turns(const struct sqlcheck_grammar *grammar, const struct jobfile *job, struct error *err) {
	for (size_t i = 0; i < job->nset && grammar->may_read != NULL; i++)
		for (size_t before = 0; before < i; before++) {
			if (!grammar->may_read(job->set[i].expr, job->table, job->set[before].column))
				continue;
			error_set(err, ERROR_DATA, "set.%s: reads %s, which has its new value by then: %s assign from left to right",
			          job->set[i].column, job->set[before].column, grammar->servers);
			return error_hint(err, "put %s before %s; a column of another table's with that name is written table.%s",
			                  job->set[i].column, job->set[before].column, job->set[before].column);
		}
	return true;
}

bool sqlcheck_job(const struct sqlcheck_grammar *grammar, const struct jobfile *job, struct error *err) {
	if (!check_assignments(grammar, "set", job->set, job->nset, NULL, err) ||
	    !check_assignments(grammar, "columns", job->columns, job->ncolumns, job->table, err))
		return false;
	if (!check_turns(grammar, job, err))
		return false;
	const struct sqlcheck_fragment where = {.key = "where", .text = job->where};
	if (job->where != NULL && (!check_length(&where, err) || !grammar->condition(&where, err)))
		return false;
	if (!sqlcheck_sweep(grammar, job, err))
		return false;
	if (job->statement == NULL)
		return true;
	struct sqlcheck_target target = {0};
	if (!sqlcheck_statement(grammar, job, &target, err))
		return false;
	sqlcheck_target_free(&target);
	return true;
}

bool sqlcheck_old_values_null(const struct sqlcheck_grammar *grammar, const struct jobfile *job) {
	if (job->kind != JOB_UPDATE || job->where == NULL)
		return false;
	for (size_t i = 0; i < job->nset; i++)
		if (!grammar->demands_null(job->where, job->set[i].column))
			return false;
	return true;
}

bool sqlcheck_sweep(const struct sqlcheck_grammar *grammar, const struct jobfile *job, struct error *err) {
	if (!job->sweep || (job->kind == JOB_INSERT && job->on_conflict == CONFLICT_SKIP))
		return true;
	bool has_predicate = job->kind == JOB_UPDATE && job->where != NULL;
	for (size_t i = 0; i < job->nset && has_predicate; i++)
		if (grammar->reads(job->where, job->set[i].column))
			return true;
	error_set(err, ERROR_DATA, "sweep: the second pass would do the work twice");
	if (job->kind == JOB_UPDATE)
		return error_hint(err, "a `where` that reads a column of `set` tells which rows are still to be done, as %s IS NULL does",
		                  job->set[0].column);
	return error_hint(err, "only an insert with on_conflict = \"skip\" may be done twice");
}

/* ---- Statements ---- */

bool sqlcheck_statement(const struct sqlcheck_grammar *grammar, const struct jobfile *job, struct sqlcheck_target *target,
                        struct error *err) {
	const struct sqlcheck_fragment f = {.key = "statement", .text = job->statement};
	return check_length(&f, err) && grammar->statement(job, target, err);
}

void sqlcheck_target_free(struct sqlcheck_target *target) {
	free(target->schema);
	free(target->table);
	mem_free_strings(target->columns, target->ncolumns);
	*target = (struct sqlcheck_target){0};
}
