#include "daemon/engine/mysql_session.h"

#include "common/mem.h"
#include "common/text.h"
#include "daemon/engine/mysql.h"
#include "daemon/engine/mysql_prepared.h"

#include <errmsg.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum {
	ROWS_A_TURN = 500,
	COLUMN_BYTES = 512,     /* of a prepared statement's row; what is longer is fetched by itself */
	UNKNOWN_WARNING = 1105, /* the servers' ER_UNKNOWN_ERROR */
};

/* A call of the library, and what follows it. */
struct call {
	int (*start)(struct mysql_session *);
	int (*cont)(struct mysql_session *, int ready);
	const struct call *(*then)(struct mysql_session *); /* NULL: the statement has ended */
};

struct column {
	char bytes[COLUMN_BYTES];
	unsigned long length;
	my_bool is_null, is_cut;
};

struct mysql_session {
	MYSQL *mysql;
	struct mysql_prepared *prepared;
	/* The statement on its way, the call it is in, and what that gave. */
	const struct mysql_piece *piece;
	const char *const *params;
	bool strict;
	const struct call *call;
	bool suspended; /* the call was started, and is to be continued */
	bool changed;   /* a variable of the session that connect.sql has tracked, by the statement or the one before */
	int failed;
	my_bool closed;
	MYSQL_ROW row;
	MYSQL_RES *result;
	MYSQL_STMT *stmt;    /* prepared, or being prepared */
	MYSQL_STMT *leaving; /* being closed */
	struct column *columns;
	struct mysql_answer answer;
	struct mysql_answer warnings; /* of a strict one */
	unsigned warning_count;
	struct mysql_answer *into; /* the one of the two that is being read */
};

static const struct call query, fetch, prepare, execute, store, fetch_prepared, close_prepared;

static char show_warnings[] = "SHOW WARNINGS";
static const struct mysql_piece warnings_piece = {.sql = show_warnings};

/* --- answers --- */

static const char *answer_value(const struct engine_rows *rows, int row, int column) {
	const struct mysql_answer *answer = (const struct mysql_answer *)rows;
	size_t offset = answer->offsets[(size_t)row * (size_t)answer->ncolumns + (size_t)column];
	return offset != SIZE_MAX ? answer->bytes.data + offset : NULL;
}

void mysql_answer_clear(struct mysql_answer *answer) {
	strbuf_free(&answer->bytes);
	strbuf_free(&answer->names);
	free(answer->offsets);
	*answer = (struct mysql_answer){0};
}

static const char *answer_name(const struct engine_rows *rows, int column) {
	const char *name = ((const struct mysql_answer *)rows)->names.data;
	while (column-- > 0)
		name += strlen(name) + 1;
	return name;
}

static void begin_rows(struct mysql_answer *answer, MYSQL_RES *columns) {
	answer->base = (struct engine_rows){.value = answer_value, .name = answer_name};
	answer->has_rows = true;
	answer->ncolumns = (int)mysql_num_fields(columns);
	for (unsigned i = 0; i < (unsigned)answer->ncolumns; i++) {
		const char *name = mysql_fetch_field_direct(columns, i)->name;
		strbuf_add_n(&answer->names, name, strlen(name) + 1);
	}
}

static void add_value(struct mysql_answer *answer, const char *bytes, size_t length) {
	if (answer->noffsets == answer->room) {
		answer->room = answer->room > 0 ? answer->room * 2 : 16;
		answer->offsets = mem_resize(answer->offsets, answer->room, sizeof *answer->offsets);
	}
	answer->offsets[answer->noffsets++] = bytes != NULL ? answer->bytes.length : SIZE_MAX;
	if (bytes == NULL)
		return;
	strbuf_add_n(&answer->bytes, bytes, length);
	strbuf_add_n(&answer->bytes, "", 1);
}

static const struct call *fail(struct mysql_session *s, unsigned number, const char *sqlstate, const char *message) {
	s->answer.error = number;
	snprintf(s->answer.sqlstate, sizeof s->answer.sqlstate, "%s", sqlstate);
	mysql_message(s->answer.message, sizeof s->answer.message, number, message);
	return NULL;
}

static const struct call *fail_as_session(struct mysql_session *s) {
	unsigned number = mysql_errno(s->mysql);
	return fail(s, number != 0 ? number : CR_UNKNOWN_ERROR, mysql_sqlstate(s->mysql), mysql_error(s->mysql));
}

static const struct call *fail_as_statement(struct mysql_session *s) {
	unsigned number = mysql_stmt_errno(s->stmt);
	/* Of an error between rows only the session knows. */
	return number != 0 ? fail(s, number, mysql_stmt_sqlstate(s->stmt), mysql_stmt_error(s->stmt)) : fail_as_session(s);
}

/* --- the end of a statement --- */

static const struct call *ask_for_warnings(struct mysql_session *s) {
	s->warning_count = mysql_warning_count(s->mysql);
	s->piece = &warnings_piece;
	s->into = &s->warnings;
	return &query;
}

static const char *warning_text(const struct mysql_session *s, int row, int column) {
	const char *text = column < s->warnings.ncolumns ? answer_value(&s->warnings.base, row, column) : NULL;
	return text != NULL ? text : "";
}

/* The manual, SHOW WARNINGS: level, code, message. A Note is none. Of many the server keeps max_error_count (64). */
static void absorb_warnings(struct mysql_session *s) {
	s->answer.warned = true;
	for (int row = 0; row < s->warnings.nrows; row++) {
		unsigned number = (unsigned)strtoul(warning_text(s, row, 1), NULL, 10);
		if (strcmp(warning_text(s, row, 0), "Note") == 0 || mysql_is_news(number))
			continue;
		fail(s, number != 0 ? number : UNKNOWN_WARNING, "01000", warning_text(s, row, 2));
		return;
	}
	s->answer.warned = s->warning_count > (unsigned)s->warnings.nrows;
	if (s->answer.warned)
		fail(s, UNKNOWN_WARNING, "01000", "there were more warnings than the server keeps");
}

static const struct call *end_statement(struct mysql_session *s) {
	if (s->into == &s->warnings) {
		absorb_warnings(s);
		return NULL;
	}
	if (mysql_more_results(s->mysql))
		return fail(s, CR_COMMANDS_OUT_OF_SYNC, "HY000", "a statement with several results is not supported");
	if (s->strict && mysql_warning_count(s->mysql) > 0)
		return ask_for_warnings(s);
	return NULL;
}

/* --- statements without values: the text protocol --- */

static int query_start(struct mysql_session *s) {
	return mysql_real_query_start(&s->failed, s->mysql, s->piece->sql, strlen(s->piece->sql));
}

static int query_cont(struct mysql_session *s, int ready) {
	return mysql_real_query_cont(&s->failed, s->mysql, ready);
}

static const struct call *query_then(struct mysql_session *s) {
	if (s->failed != 0)
		return fail_as_session(s);
	s->into->affected = (int64_t)mysql_affected_rows(s->mysql);
	if (mysql_field_count(s->mysql) == 0)
		return end_statement(s);
	s->result = mysql_use_result(s->mysql);
	if (s->result == NULL)
		return fail_as_session(s);
	begin_rows(s->into, s->result);
	return &fetch;
}

static const struct call query = {query_start, query_cont, query_then};

static int fetch_start(struct mysql_session *s) {
	return mysql_fetch_row_start(&s->row, s->result);
}

static int fetch_cont(struct mysql_session *s, int ready) {
	return mysql_fetch_row_cont(&s->row, s->result, ready);
}

static const struct call *fetch_then(struct mysql_session *s) {
	struct mysql_answer *into = s->into;
	if (s->row != NULL) {
		const unsigned long *lengths = mysql_fetch_lengths(s->result);
		for (int i = 0; i < into->ncolumns; i++)
			add_value(into, s->row[i], lengths[i]);
		into->affected = ++into->nrows;
		return &fetch;
	}
	bool failed = mysql_errno(s->mysql) != 0;
	into->affected = into->nrows;
	if (failed)
		fail_as_session(s);
	mysql_free_result(s->result);
	s->result = NULL;
	return failed ? NULL : end_statement(s);
}

static const struct call fetch = {fetch_start, fetch_cont, fetch_then};

/* --- statements with values: prepared --- */

/* Does not look at the answer, as there is none. */
static int close_start(struct mysql_session *s) {
	return mysql_stmt_close_start(&s->closed, s->leaving);
}

static int close_cont(struct mysql_session *s, int ready) {
	return mysql_stmt_close_cont(&s->closed, s->leaving, ready);
}

static const struct call *close_then(struct mysql_session *s) {
	s->leaving = NULL;
	return s->answer.error != 0 ? NULL : &prepare;
}

static const struct call close_prepared = {close_start, close_cont, close_then};

static int prepare_start(struct mysql_session *s) {
	s->stmt = mysql_stmt_init(s->mysql);
	if (s->stmt == NULL) {
		s->failed = 1;
		return 0;
	}
	return mysql_stmt_prepare_start(&s->failed, s->stmt, s->piece->sql, strlen(s->piece->sql));
}

static int prepare_cont(struct mysql_session *s, int ready) {
	return mysql_stmt_prepare_cont(&s->failed, s->stmt, ready);
}

static const struct call *execute_prepared(struct mysql_session *s);

static const struct call *prepare_then(struct mysql_session *s) {
	if (s->stmt == NULL)
		return fail_as_session(s);
	if (s->failed != 0) {
		fail_as_statement(s);
		mysql_stmt_close(s->stmt); /* sends nothing: the server knows no such statement */
		s->stmt = NULL;
		return NULL;
	}
	mysql_prepared_add(s->prepared, s->piece->sql, s->stmt);
	return execute_prepared(s);
}

static const struct call prepare = {prepare_start, prepare_cont, prepare_then};

/* Binds the values, as text. */
static const struct call *execute_prepared(struct mysql_session *s) {
	size_t count = s->piece->norder;
	if (mysql_stmt_param_count(s->stmt) != count)
		return fail(s, CR_INVALID_PARAMETER_NO, "07001", "the server counts other values than we do");
	autofree MYSQL_BIND *binds = mem_alloc(count * sizeof *binds);
	for (size_t i = 0; i < count; i++) {
		const char *value = s->params[s->piece->order[i]];
		binds[i].buffer_type = value != NULL ? MYSQL_TYPE_STRING : MYSQL_TYPE_NULL;
		memcpy(&binds[i].buffer, &value, sizeof value); /* it is only read */
		binds[i].buffer_length = value != NULL ? strlen(value) : 0;
	}
	/* The library keeps a copy, with pointers into itself for what is not set here. */
	return mysql_stmt_bind_param(s->stmt, binds) != 0 ? fail_as_statement(s) : &execute;
}

static int execute_start(struct mysql_session *s) {
	return mysql_stmt_execute_start(&s->failed, s->stmt);
}

static int execute_cont(struct mysql_session *s, int ready) {
	return mysql_stmt_execute_cont(&s->failed, s->stmt, ready);
}

/* The library 3.3 has a function for each type that it knows, and calls it unseen. MySQL 9 has VECTOR (242). */
static bool can_read(const MYSQL_FIELD *field) {
	return field->type <= MYSQL_TYPE_BIT || (field->type >= MYSQL_TYPE_JSON && field->type <= MYSQL_TYPE_GEOMETRY);
}

static bool bind_columns(struct mysql_session *s) {
	unsigned count = mysql_stmt_field_count(s->stmt);
	autofree MYSQL_BIND *binds = mem_alloc(count * sizeof *binds);
	free(s->columns);
	s->columns = mem_alloc(count * sizeof *s->columns);
	for (unsigned i = 0; i < count; i++)
		binds[i] = (MYSQL_BIND){.buffer_type = MYSQL_TYPE_STRING,
		                        .buffer = s->columns[i].bytes,
		                        .buffer_length = COLUMN_BYTES,
		                        .length = &s->columns[i].length,
		                        .is_null = &s->columns[i].is_null,
		                        .error = &s->columns[i].is_cut};
	MYSQL_RES *metadata = mysql_stmt_result_metadata(s->stmt);
	bool readable = metadata != NULL;
	if (readable)
		begin_rows(s->into, metadata);
	for (unsigned i = 0; readable && i < count; i++)
		readable = can_read(mysql_fetch_field_direct(metadata, i));
	mysql_free_result(metadata);
	return readable && mysql_stmt_bind_result(s->stmt, binds) == 0;
}

/* 1615, 1243: the server has it not any more, or not as it was. The next time it is prepared anew. */
static const struct call *fail_to_execute(struct mysql_session *s) {
	fail_as_statement(s);
	if (s->answer.error != 1615 && s->answer.error != 1243)
		return NULL;
	mysql_prepared_remove(s->prepared, s->stmt);
	s->leaving = s->stmt;
	s->stmt = NULL;
	return &close_prepared;
}

static const struct call *execute_then(struct mysql_session *s) {
	if (s->failed != 0)
		return fail_to_execute(s);
	s->into->affected = (int64_t)mysql_stmt_affected_rows(s->stmt);
	if (mysql_stmt_field_count(s->stmt) == 0)
		return end_statement(s);
	if (!bind_columns(s))
		return fail(s, CR_UNSUPPORTED_PARAM_TYPE, "HY000", "a column is of a type that can't be read");
	/* Of warnings behind rows the library takes notice only when it keeps the rows itself. */
	return s->strict ? &store : &fetch_prepared;
}

static const struct call execute = {execute_start, execute_cont, execute_then};

static int store_start(struct mysql_session *s) {
	return mysql_stmt_store_result_start(&s->failed, s->stmt);
}

static int store_cont(struct mysql_session *s, int ready) {
	return mysql_stmt_store_result_cont(&s->failed, s->stmt, ready);
}

static const struct call *store_then(struct mysql_session *s) {
	return s->failed != 0 ? fail_as_statement(s) : &fetch_prepared;
}

static const struct call store = {store_start, store_cont, store_then};

static int fetch_prepared_start(struct mysql_session *s) {
	return mysql_stmt_fetch_start(&s->failed, s->stmt);
}

static int fetch_prepared_cont(struct mysql_session *s, int ready) {
	return mysql_stmt_fetch_cont(&s->failed, s->stmt, ready);
}

static void add_long_value(struct mysql_session *s, unsigned i) {
	unsigned long length = s->columns[i].length;
	autofree char *bytes = mem_alloc(length);
	MYSQL_BIND bind = {.buffer_type = MYSQL_TYPE_STRING, .buffer = bytes, .buffer_length = length};
	mysql_stmt_fetch_column(s->stmt, &bind, i, 0); /* the row is here: it can't fail */
	add_value(s->into, bytes, length);
}

static const struct call *fetch_prepared_then(struct mysql_session *s) {
	struct mysql_answer *into = s->into;
	if (s->failed == MYSQL_NO_DATA) {
		into->affected = into->nrows;
		return end_statement(s);
	}
	if (s->failed != 0 && s->failed != MYSQL_DATA_TRUNCATED)
		return fail_as_statement(s);
	for (unsigned i = 0; i < (unsigned)into->ncolumns; i++) {
		const struct column *column = &s->columns[i];
		if (column->is_null)
			add_value(into, NULL, 0);
		else if (column->length > sizeof column->bytes)
			add_long_value(s, i);
		else
			add_value(into, column->bytes, column->length);
	}
	into->nrows++;
	return &fetch_prepared;
}

static const struct call fetch_prepared = {fetch_prepared_start, fetch_prepared_cont, fetch_prepared_then};

/* --- the session --- */

static bool reads_rows(const struct call *call) {
	return call == &fetch || call == &fetch_prepared;
}

/*
 * Begins the call, or goes on with it. OpenSSL's SSL_get_error looks at the thread's queue of errors, and the library does not
 * empty it before: what another session has left there would be taken for an error of this one.
 * https://docs.openssl.org/3.0/man3/SSL_get_error/
 */
static int enter(struct mysql_session *s, int ready) {
	ERR_clear_error();
	return s->suspended ? s->call->cont(s, ready) : s->call->start(s);
}

/* Call after call, until something must be waited for. */
static int run(struct mysql_session *s, int ready) {
	for (int rows = 0; s->call != NULL;) {
		int waits = enter(s, ready);
		s->suspended = waits != 0;
		if (s->suspended)
			return waits;
		s->changed = s->changed || (s->mysql->server_status & SERVER_SESSION_STATE_CHANGED) != 0;
		s->call = s->call->then(s);
		if (reads_rows(s->call) && ++rows > ROWS_A_TURN)
			return MYSQL_SESSION_YIELDS;
	}
	return 0;
}

/* What the statement begins with: it may be prepared already, or another one has to go before it is. */
static const struct call *first_call(struct mysql_session *s) {
	if (s->piece->norder == 0)
		return &query;
	s->stmt = mysql_prepared_find(s->prepared, s->piece->sql);
	if (s->stmt != NULL)
		return execute_prepared(s);
	s->leaving = mysql_prepared_make_room(s->prepared);
	return s->leaving != NULL ? &close_prepared : &prepare;
}

int mysql_session_ask(struct mysql_session *s, const struct mysql_piece *piece, const char *const *params, bool strict) {
	s->piece = piece;
	s->params = params;
	s->strict = strict;
	s->into = &s->answer;
	s->call = first_call(s);
	return run(s, 0);
}

/* It has yielded before a call, or the call waits. */
int mysql_session_continue(struct mysql_session *s, int ready) {
	return run(s, ready);
}

struct mysql_answer mysql_session_take(struct mysql_session *s) {
	struct mysql_answer answer = s->answer;
	answer.changes = s->changed || answer.error != 0;
	s->answer = (struct mysql_answer){0};
	s->changed = false;
	mysql_answer_clear(&s->warnings);
	return answer;
}

/* The server never speaks first but to say good-bye: that can be read like an answer. */
static int listen_start(struct mysql_session *s) {
	return mysql_read_query_result_start(&s->closed, s->mysql);
}

static int listen_cont(struct mysql_session *s, int ready) {
	return mysql_read_query_result_cont(&s->closed, s->mysql, ready);
}

static const struct call listening = {listen_start, listen_cont, NULL};

void mysql_session_last_words(struct mysql_session *s, char *out, size_t size) {
	s->call = &listening;
	s->suspended = enter(s, 0) != 0;
	unsigned number = s->suspended ? CR_SERVER_LOST : mysql_errno(s->mysql);
	if (number == 0 || (number >= CR_MIN_ERROR && number <= CR_MAX_ERROR))
		text_format(out, size, "the server has closed the connection");
	else
		mysql_message(out, size, number, mysql_error(s->mysql));
}

int mysql_session_socket(const struct mysql_session *s) {
	return mysql_get_socket(s->mysql);
}

/*
 * Over TCP the library asks the socket not to block each time; OpenSSL doesn't. The library itself takes the flag away when one
 * of its blocking calls is used: none is, until the session is closed.
 */
struct mysql_session *mysql_session_new(MYSQL *mysql) {
	struct mysql_session *s = mem_alloc(sizeof *s);
	s->mysql = mysql;
	s->prepared = mysql_prepared_new();
	mysql_options(mysql, MYSQL_OPT_NONBLOCK, NULL);
	int socket = mysql_get_socket(mysql);
	fcntl(socket, F_SETFL, fcntl(socket, F_GETFL) | O_NONBLOCK);
	return s;
}

/*
 * A call that is suspended is in the middle of a function, on a stack of its own, and holds memory: closing would take the stack
 * away, and leak that. So it is run to its end, which is near, as its socket is shut; and closing, which says COM_QUIT to a
 * server that listens, does not wait either.
 */
void mysql_session_free(struct mysql_session *s) {
	if (s == NULL)
		return;
	int socket = mysql_get_socket(s->mysql);
	if (s->call != NULL && socket >= 0)
		shutdown(socket, SHUT_RDWR);
	while (s->call != NULL && s->suspended)
		s->suspended = enter(s, MYSQL_WAIT_READ | MYSQL_WAIT_WRITE) != 0;
	mysql_free_result(s->result);
	mysql_close(s->mysql);
	if (s->call == &prepare && s->stmt != NULL) /* it is in no set yet */
		mysql_stmt_close(s->stmt);
	mysql_prepared_free(s->prepared);
	mysql_answer_clear(&s->answer);
	mysql_answer_clear(&s->warnings);
	free(s->columns);
	free(s);
}
