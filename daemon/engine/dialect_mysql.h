/*
 * dialect_mysql.h: what the parts of the dialect of MySQL and MariaDB share: names, the range of a batch, and values that travel
 * as text. One folder of texts serves both servers; where they differ a text says it in comments that only one of them executes:
 * those that begin with an M are MariaDB's, those with 80000 are MySQL's. Such a comment holds no $n and no semicolon.
 * https://mariadb.com/kb/en/comment-syntax/
 */
#ifndef BACKFILLD_DIALECT_MYSQL_H
#define BACKFILLD_DIALECT_MYSQL_H

#include "common/strbuf.h"
#include "daemon/engine/dialect.h"

/* What the meaning of a new job's fragments and the text of its keys depend on, as SET SESSION takes it. A job keeps what it was
 * submitted with, whatever a later version pins. */
extern const char mysql_pinned[];

void mysql_add_ident(struct strbuf *b, const char *name);
void mysql_add_literal(struct strbuf *b, const char *text);
void mysql_add_relation(struct strbuf *b, const char *schema, const char *name);
/* `relation`.`column`; relation NULL: the column alone. */
void mysql_add_column(struct strbuf *b, const char *relation, const char *column);
/* `schema`.`table` PARTITION (…) FORCE INDEX (…): the leaf, walked by its key. */
void mysql_add_leaf(struct strbuf *b, const struct table_shape *shape, const struct shape_leaf *leaf);

/* Where a value comes from decides how it becomes one of the column's type. */
enum mysql_origin {
	ORIGIN_PARAMETER,  /* a text as mysql_add_text writes it, bound */
	ORIGIN_STORED,     /* the same out of a JSON array */
	ORIGIN_EXPRESSION, /* SQL */
};

/* The value, such that it is compared with the column in the column's own order, and by its index. `walked`: as a key's column
 * is. */
void mysql_add_typed(struct strbuf *b, const struct shape_column *column, const char *value, enum mysql_origin origin,
                     bool walked);
/* The text of a value of the column's type: lossless. `walked`: by which it is found again as a key, an ENUM by its number. */
void mysql_add_text(struct strbuf *b, const struct shape_column *column, const char *value, bool walked);

/* Of a type as information_schema writes it. */
size_t mysql_enum_members(const char *type);
/* k1, k2 … of the leaf, as they are, each followed by `suffix`. */
void mysql_add_key_list(struct strbuf *b, const struct table_shape *shape, const struct shape_leaf *leaf, const char *suffix);
/* k1 > $n OR k1 = $n AND k2 > $n+1 …; the last comparison is `last`: > >= < <=. Takes nkey parameters from *parameter on. */
void mysql_add_comparison(struct strbuf *b, const struct table_shape *shape, const struct shape_leaf *leaf, const char *last,
                          size_t *parameter);
/* WHERE (after, through] AND (the job's predicate, if there is one). Returns the number of the next free parameter. */
size_t mysql_add_where(struct strbuf *b, const char *predicate, const struct table_shape *shape, const struct shape_leaf *leaf,
                       bool has_after);
size_t mysql_range_parameters(const struct table_shape *shape, bool has_after);

/* dialect_mysql_insert.c */
char *mysql_insert(const struct jobfile *job, const struct table_shape *shape, const struct shape_leaf *leaf, bool has_after);
char *mysql_insert_capture(const struct jobfile *job, const struct table_shape *shape, const struct shape_leaf *leaf,
                           bool has_after);
char *mysql_insert_kept(const struct jobfile *job, const struct table_shape *shape, const struct shape_leaf *leaf,
                        bool has_after);

/* dialect_mysql_kept.c */
void mysql_add_update(struct strbuf *b, const struct jobfile *job, const struct table_shape *shape, const struct shape_leaf *leaf,
                      bool has_after);
char *mysql_update_capture(const struct jobfile *job, const struct table_shape *shape, const struct shape_leaf *leaf,
                           bool has_after);
char *mysql_update_kept(const struct jobfile *job, const struct table_shape *shape, const struct shape_leaf *leaf,
                        bool has_after);
/* The written table as kept values see it: what names its rows, and what the job writes. */
struct mysql_written {
	const char *schema, *table;
	const struct shape_leaf *leaf; /* NULL: the table as a whole */
	struct shape_column key[SHAPE_MAX_KEY_COLUMNS];
	size_t nkey;
	bool walked; /* the key is the one that the job walks */
	const struct assignment *columns;
	size_t ncolumns;
};
struct mysql_written mysql_written(const struct jobfile *job, const struct table_shape *shape, const struct shape_leaf *leaf);
/* The column with its type, if it is known: shape->written. */
struct shape_column mysql_typed_column(const struct table_shape *shape, const char *name);
/* WHERE job_id = $n AND segment = $n+1 AND batch_id = $n+2 */
void mysql_add_kept_row(struct strbuf *b, size_t parameter);
/* [SET @backfilld_keys …;] the kept keys, for what follows. */
void mysql_add_kept_keys(struct strbuf *b, size_t parameter);
/* The new values of the kept keys; and the verdict as one row: @backfilld_rows, `conflicted`, "true" if `agrees` and each was
 * found. */
void mysql_add_kept_new(struct strbuf *b, const struct table_shape *shape, const struct mysql_written *written, size_t parameter,
                        const char *conflicted, const char *agrees);
/* CONCAT('[', GROUP_CONCAT(JSON_ARRAY(…) …), ']') around the texts of the columns of `relation`. */
void mysql_add_values(struct strbuf *b, const struct table_shape *shape, const struct mysql_written *written,
                      const char *relation);

#endif
