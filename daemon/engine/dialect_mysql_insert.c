#include "daemon/engine/dialect_mysql.h"

#include "common/mem.h"

#include <stdlib.h>
#include <string.h>

/*
 * INSERT into another table, from the rows of the batch. IGNORE would lose rows and cut values in silence, and ON DUPLICATE KEY
 * UPDATE counts a row that it leaves as it is like one that it inserts. So where `on_conflict` is `skip` or `update` the rows of
 * `into` that the batch meets are looked for first and locked, with the rows that it reads; the met ones are skipped or updated,
 * the others inserted. If somebody inserts one of these in between, the INSERT fails with 1062; if rows come to the range, the
 * counts disagree: then the batch is rolled back and tried again.
 *
 * With rollback.keep_old_values the look is the capture, and what is kept is what was found.
 */

static const struct assignment *find_column(const struct jobfile *job, const char *name) {
	for (size_t i = 0; i < job->ncolumns; i++)
		if (strcasecmp(job->columns[i].column, name) == 0)
			return &job->columns[i];
	return NULL;
}

static bool is_key(const struct mysql_written *written, const char *name) {
	for (size_t i = 0; i < written->nkey; i++)
		if (strcasecmp(written->key[i].name, name) == 0)
			return true;
	return false;
}

/* A row whose key is left to the table's default, AUTO_INCREMENT, meets none. */
static enum on_conflict conflict_of(const struct jobfile *job, const struct mysql_written *written) {
	for (size_t i = 0; i < written->nkey; i++)
		if (find_column(job, written->key[i].name) == NULL)
			return CONFLICT_ERROR;
	return job->on_conflict;
}

static void add_source(struct strbuf *b, const struct jobfile *job, const struct table_shape *shape,
                       const struct shape_leaf *leaf, bool has_after) {
	strbuf_add(b, " FROM ");
	mysql_add_leaf(b, shape, leaf);
	mysql_add_where(b, job->where, shape, leaf, has_after);
}

static void add_target(struct strbuf *b, const struct jobfile *job, const struct mysql_written *written) {
	strbuf_add(b, "INSERT INTO ");
	mysql_add_relation(b, written->schema, written->table);
	for (size_t i = 0; i < job->ncolumns; i++) {
		strbuf_add(b, i == 0 ? " (" : ", ");
		mysql_add_ident(b, job->columns[i].column);
	}
	strbuf_add(b, ")");
}

/* What the job maps to the key's column, as that column's type. */
static void add_key_expression(struct strbuf *b, const struct jobfile *job, const struct mysql_written *written, size_t i) {
	const struct assignment *column = find_column(job, written->key[i].name);
	autofree char *value = column != NULL ? mem_printf("(%s\n)", column->expr) : mem_dup("NULL");
	mysql_add_typed(b, &written->key[i], value, ORIGIN_EXPRESSION, false);
}

/*
 * The batch's rows, locked, as `new`: c1, c2 … are the values to write, k1, k2 … what they are as key; `nth` of those with one
 * key, and `place` in the order of the walk. Made in a table of its own, so that the job's expressions see the names of the
 * worked table only.
 */
static void add_new_rows(struct strbuf *b, const struct jobfile *job, const struct table_shape *shape,
                         const struct shape_leaf *leaf, const struct mysql_written *written, bool has_after) {
	strbuf_add(b, " FROM (SELECT ");
	for (size_t i = 0; i < job->ncolumns; i++)
		strbuf_printf(b, "(%s\n) AS c%zu, ", job->columns[i].expr, i + 1);
	for (size_t i = 0; i < written->nkey; i++) {
		add_key_expression(b, job, written, i);
		strbuf_printf(b, " AS k%zu, ", i + 1);
	}
	strbuf_add(b, "ROW_NUMBER() OVER (PARTITION BY ");
	for (size_t i = 0; i < written->nkey; i++) {
		strbuf_add(b, i > 0 ? ", " : "");
		add_key_expression(b, job, written, i);
	}
	strbuf_add(b, " ORDER BY ");
	mysql_add_key_list(b, shape, leaf, "");
	strbuf_add(b, ") AS nth, ROW_NUMBER() OVER (ORDER BY ");
	mysql_add_key_list(b, shape, leaf, "");
	strbuf_add(b, ") AS place");
	add_source(b, job, shape, leaf, has_after);
	strbuf_add(b, " LOCK IN SHARE MODE) AS new");
}

/* `met`: the row of `into` that a new one meets. */
static void add_met(struct strbuf *b, const struct mysql_written *written, const char *join) {
	strbuf_add(b, join);
	mysql_add_relation(b, written->schema, written->table);
	strbuf_add(b, " AS met");
	for (size_t i = 0; i < written->nkey; i++) {
		strbuf_add(b, i == 0 ? " ON " : " AND ");
		mysql_add_column(b, "met", written->key[i].name);
		strbuf_printf(b, " = new.k%zu", i + 1);
	}
}

static void add_is_met(struct strbuf *b, const struct mysql_written *written, const char *is) {
	mysql_add_column(b, "met", written->key[0].name);
	strbuf_add(b, is);
}

/* Inserts the rows that meet none; of several with one key `skip` takes the first. */
static void add_insert_new(struct strbuf *b, const struct jobfile *job, const struct table_shape *shape,
                           const struct shape_leaf *leaf, const struct mysql_written *written, bool has_after) {
	add_target(b, job, written);
	for (size_t i = 0; i < job->ncolumns; i++)
		strbuf_printf(b, "%snew.c%zu", i == 0 ? " SELECT " : ", ", i + 1);
	add_new_rows(b, job, shape, leaf, written, has_after);
	add_met(b, written, " LEFT JOIN ");
	strbuf_add(b, " WHERE ");
	add_is_met(b, written, " IS NULL");
	strbuf_add(b, job->on_conflict == CONFLICT_SKIP ? " AND new.nth = 1 ORDER BY new.place" : " ORDER BY new.place");
}

/* The mapped columns, but for the key: that is the same already. */
static void add_update_met(struct strbuf *b, const struct jobfile *job, const struct table_shape *shape,
                           const struct shape_leaf *leaf, const struct mysql_written *written, bool has_after) {
	autostrbuf new = {0};
	add_new_rows(&new, job, shape, leaf, written, has_after);
	strbuf_printf(b, "UPDATE%s", new.data + strlen(" FROM"));
	add_met(b, written, " STRAIGHT_JOIN ");
	const char *before = " SET ";
	for (size_t i = 0; i < job->ncolumns; i++) {
		if (is_key(written, job->columns[i].column))
			continue;
		strbuf_add(b, before);
		mysql_add_column(b, "met", job->columns[i].column);
		strbuf_printf(b, " = new.c%zu", i + 1);
		before = ", ";
	}
	if (*before == ',')
		return;
	strbuf_add(b, before); /* nothing is mapped but the key: the rows are counted */
	mysql_add_column(b, "met", written->key[0].name);
	strbuf_add(b, " = ");
	mysql_add_column(b, "met", written->key[0].name);
}

/* Plain, as the job says it. */
static void add_insert(struct strbuf *b, const struct jobfile *job, const struct table_shape *shape,
                       const struct shape_leaf *leaf, const struct mysql_written *written, bool has_after) {
	add_target(b, job, written);
	for (size_t i = 0; i < job->ncolumns; i++)
		strbuf_printf(b, "%s (%s\n)", i == 0 ? " SELECT" : ",", job->columns[i].expr);
	add_source(b, job, shape, leaf, has_after);
	strbuf_add(b, " ORDER BY ");
	mysql_add_key_list(b, shape, leaf, "");
}

/* Two rows of the batch that update one: which of them is the last is not for us to say. A subquery of two rows is 1242, SQLSTATE
 * 21000, as PostgreSQL has it. */
static void add_update_steps(struct strbuf *b, const struct jobfile *job, const struct table_shape *shape,
                             const struct shape_leaf *leaf, const struct mysql_written *written, bool has_after) {
	strbuf_add(b, "SELECT found, met, (SELECT two.n FROM (SELECT 1 AS n UNION ALL SELECT 2) AS two WHERE two.n <= most) INTO "
	              "@backfilld_rows, @backfilld_met, @backfilld_most FROM (SELECT COUNT(*) AS found, COUNT(");
	add_is_met(b, written, "");
	strbuf_add(b, ") AS met, COALESCE(MAX(new.nth), 1) AS most");
	add_new_rows(b, job, shape, leaf, written, has_after);
	add_met(b, written, " LEFT JOIN ");
	strbuf_add(b, " FOR UPDATE) AS counted; ");
	add_update_met(b, job, shape, leaf, written, has_after);
	strbuf_add(b, "; SET @backfilld_updated = ROW_COUNT(); ");
	add_insert_new(b, job, shape, leaf, written, has_after);
	strbuf_add(b, "; SET @backfilld_inserted = ROW_COUNT()");
}

static const char update_agrees[] =
	"@backfilld_updated = @backfilld_met AND @backfilld_inserted = @backfilld_rows - @backfilld_met";

char *mysql_insert(const struct jobfile *job, const struct table_shape *shape, const struct shape_leaf *leaf, bool has_after) {
	autostrbuf b = {0};
	struct mysql_written written = mysql_written(job, shape, leaf);
	switch (conflict_of(job, &written)) {
	case CONFLICT_ERROR:
		add_insert(&b, job, shape, leaf, &written, has_after);
		break;
	case CONFLICT_SKIP:
		strbuf_add(&b, "SELECT COUNT(*) INTO @backfilld_found");
		add_source(&b, job, shape, leaf, has_after);
		strbuf_add(&b, " LOCK IN SHARE MODE; ");
		add_insert_new(&b, job, shape, leaf, &written, has_after);
		strbuf_add(&b, "; SET @backfilld_rows = ROW_COUNT(); SELECT @backfilld_rows, @backfilld_found - @backfilld_rows, "
		               "IF(COUNT(*) = @backfilld_found, 'true', 'false')");
		add_source(&b, job, shape, leaf, has_after);
		strbuf_add(&b, " LOCK IN SHARE MODE");
		break;
	case CONFLICT_UPDATE:
		add_update_steps(&b, job, shape, leaf, &written, has_after);
		strbuf_printf(&b, "; SELECT @backfilld_rows, @backfilld_met, IF(%s, 'true', 'false')", update_agrees);
		break;
	}
	return strbuf_take(&b);
}

/* What is to be written for a new row, or was there: the condition for it in a list. GROUP_CONCAT leaves out what is NULL. */
static void add_list(struct strbuf *b, const char *condition, const char *array, const char *order) {
	strbuf_printf(b, ", CONCAT('[', GROUP_CONCAT(IF(%s, %s, NULL) ORDER BY %snew.place SEPARATOR ','), ']')", condition, array,
	              order);
}

char *mysql_insert_capture(const struct jobfile *job, const struct table_shape *shape, const struct shape_leaf *leaf,
                           bool has_after) {
	autostrbuf b = {0}, missing = {0}, keys = {0}, old = {0};
	struct mysql_written written = mysql_written(job, shape, leaf);
	enum on_conflict conflict = conflict_of(job, &written);
	bool updates = conflict == CONFLICT_UPDATE;
	size_t parameter = mysql_range_parameters(shape, has_after);
	add_is_met(&missing, &written, " IS NULL");
	for (size_t i = 0; i < written.nkey; i++) {
		autofree char *value = mem_printf("new.k%zu", i + 1);
		strbuf_add(&keys, i == 0 ? "JSON_ARRAY(" : ", ");
		mysql_add_text(&keys, &written.key[i], value, false);
	}
	strbuf_add(&keys, ")");
	mysql_add_values(&old, shape, &written, "met");
	autofree char *writes = conflict == CONFLICT_SKIP ? mem_printf("%s AND new.nth = 1", missing.data) : mem_dup("true");
	autofree char *met = mem_printf("NOT %s", missing.data), *met_first = mem_printf("%s, ", missing.data);

	strbuf_printf(&b,
	              "INSERT INTO backfill.kept (job_id, segment, batch_id, `rows`, existing, `keys`%s) SELECT $%zu, $%zu, $%zu, ",
	              updates ? ", old_values" : "", parameter, parameter + 1, parameter + 2);
	strbuf_printf(&b, "COUNT(IF(%s, 1, NULL)), COUNT(IF(%s, 1, NULL))", writes, updates ? met : "false");
	add_list(&b, writes, keys.data, updates ? met_first : "");
	if (updates)
		add_list(&b, met, old.data, "");
	add_new_rows(&b, job, shape, leaf, &written, has_after);
	if (conflict != CONFLICT_ERROR)
		add_met(&b, &written, " LEFT JOIN ");
	strbuf_printf(&b, " HAVING COUNT(*) > 0%s", updates ? " FOR UPDATE" : " LOCK IN SHARE MODE");
	return strbuf_take(&b);
}

char *mysql_insert_kept(const struct jobfile *job, const struct table_shape *shape, const struct shape_leaf *leaf,
                        bool has_after) {
	autostrbuf b = {0}, agrees = {0};
	struct mysql_written written = mysql_written(job, shape, leaf);
	size_t parameter = mysql_range_parameters(shape, has_after);
	mysql_add_kept_keys(&b, parameter);
	switch (conflict_of(job, &written)) {
	case CONFLICT_ERROR:
		add_insert(&b, job, shape, leaf, &written, has_after);
		strbuf_add(&b, "; SET @backfilld_rows = ROW_COUNT(); ");
		mysql_add_kept_new(&b, shape, &written, parameter, "0", "@backfilld_rows = `rows`");
		break;
	case CONFLICT_SKIP:
		strbuf_add(&b, "SELECT COUNT(*) INTO @backfilld_found");
		add_source(&b, job, shape, leaf, has_after);
		strbuf_add(&b, " LOCK IN SHARE MODE; ");
		add_insert_new(&b, job, shape, leaf, &written, has_after);
		strbuf_add(&b, "; SET @backfilld_rows = ROW_COUNT(); ");
		mysql_add_kept_new(&b, shape, &written, parameter, "@backfilld_found - @backfilld_rows", "@backfilld_rows = `rows`");
		strbuf_add(&b, "; DELETE FROM backfill.kept");
		mysql_add_kept_row(&b, parameter);
		strbuf_add(&b, " AND `rows` = 0");
		break;
	case CONFLICT_UPDATE:
		add_update_steps(&b, job, shape, leaf, &written, has_after);
		strbuf_printf(&agrees, "%s AND @backfilld_rows = `rows` AND @backfilld_met = existing", update_agrees);
		strbuf_add(&b, "; ");
		mysql_add_kept_new(&b, shape, &written, parameter, "@backfilld_met", agrees.data);
		break;
	}
	return strbuf_take(&b);
}
