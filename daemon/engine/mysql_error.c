#include "daemon/engine/mysql.h"

#include "common/text.h"

#include <errmsg.h>
#include <stdlib.h>
#include <string.h>

void mysql_message(char *out, size_t size, unsigned number, const char *message) {
	char line[600];
	text_one_line(line, sizeof line, message);
	text_format(out, size, "%s (%u)", line, number);
}

/*
 * By number; numbers up to 1999 mean the same to both servers, those above belong to one of them.
 * https://dev.mysql.com/doc/mysql-errors/9.4/en/server-error-reference.html
 * https://mariadb.com/docs/server/reference/error-codes
 */
static const struct {
	unsigned number;
	enum engine_error error;
} numbers[] = {
	{1205, ENGINE_ERROR_CONTENTION}, /* lock wait timeout */
	{1213, ENGINE_ERROR_CONTENTION}, /* deadlock; Galera: certification failed */
	{3572, ENGINE_ERROR_CONTENTION}, /* MySQL: NOWAIT */
	{1020, ENGINE_ERROR_CONTENTION}, /* MariaDB: record has changed since last read (innodb_snapshot_isolation) */
	{1412, ENGINE_ERROR_CONTENTION}, /* table definition has changed, please retry transaction */
	{1614, ENGINE_ERROR_CONTENTION}, /* deadlock of an XA transaction */
	{1615, ENGINE_ERROR_CONTENTION}, /* prepared statement needs to be re-prepared: the engine does, the next time */
	{1243, ENGINE_ERROR_CONTENTION}, /* unknown prepared statement handler: the same, behind a proxy */
	{3100, ENGINE_ERROR_CONTENTION}, /* Group Replication: error on running the hook before COMMIT */
	{3101, ENGINE_ERROR_CONTENTION}, /* Group Replication: certification failed */
	{1197, ENGINE_ERROR_TOO_LARGE},  /* more than max_binlog_cache_size */
	{1153, ENGINE_ERROR_TOO_LARGE},  /* more than max_allowed_packet */
	{1301, ENGINE_ERROR_TOO_LARGE},  /* a function's result, more than max_allowed_packet: kept values are put together by some */
	{1260, ENGINE_ERROR_TOO_LARGE},  /* GROUP_CONCAT's, the same */
	{1206, ENGINE_ERROR_TOO_LARGE},  /* more locks than the buffer pool has room for */
	{1180, ENGINE_ERROR_TOO_LARGE},  /* Galera: got error … during COMMIT: more than wsrep_max_ws_size */
	{3024, ENGINE_ERROR_TIMEOUT},    /* MySQL: max_execution_time */
	{1969, ENGINE_ERROR_TIMEOUT},    /* MariaDB: max_statement_time */
	{1317, ENGINE_ERROR_TIMEOUT},    /* KILL QUERY */
	{1028, ENGINE_ERROR_TIMEOUT},    /* sort aborted: either of them */
	{1036, ENGINE_ERROR_READ_ONLY},  /* the table is: InnoDB, in read-only mode */
	{1836, ENGINE_ERROR_READ_ONLY},  /* running in read-only mode */
	{1792, ENGINE_ERROR_READ_ONLY},  /* in a read-only transaction */
	{1874, ENGINE_ERROR_READ_ONLY},  /* InnoDB is in read-only mode */
	{1878, ENGINE_ERROR_DISK_FULL},  /* temporary file write failure */
	{1637, ENGINE_ERROR_RESOURCE},   /* too many active concurrent transactions: no room for undo */
	{1820, ENGINE_ERROR_PRIVILEGE},  /* the password must be changed first */
	{1265, ENGINE_ERROR_DATA},       /* data truncated, in strict mode */
	{1021, ENGINE_ERROR_DISK_FULL},  {1114, ENGINE_ERROR_DISK_FULL}, {1044, ENGINE_ERROR_PRIVILEGE},
	{1045, ENGINE_ERROR_PRIVILEGE},  {1095, ENGINE_ERROR_PRIVILEGE}, {1142, ENGINE_ERROR_PRIVILEGE},
	{1143, ENGINE_ERROR_PRIVILEGE},  {1227, ENGINE_ERROR_PRIVILEGE}, {1370, ENGINE_ERROR_PRIVILEGE},
	{1410, ENGINE_ERROR_PRIVILEGE},  {1040, ENGINE_ERROR_RESOURCE},                                 /* too many connections */
	{1203, ENGINE_ERROR_RESOURCE},                                                                  /* max_user_connections */
	{1226, ENGINE_ERROR_RESOURCE},                                                                  /* a limit of the account */
	{1037, ENGINE_ERROR_RESOURCE},   {1038, ENGINE_ERROR_RESOURCE},  {1041, ENGINE_ERROR_RESOURCE}, /* out of memory */
	{1053, ENGINE_ERROR_RESOURCE}, /* server shutdown in progress */
	{1047, ENGINE_ERROR_RESOURCE}, /* Galera: not yet prepared for application use */
	{1461, ENGINE_ERROR_RESOURCE}, /* max_prepared_stmt_count */
	{1136, ENGINE_ERROR_SCHEMA},     {1222, ENGINE_ERROR_SCHEMA},    {1241, ENGINE_ERROR_SCHEMA}, /* numbers of columns */
	{1193, ENGINE_ERROR_SCHEMA},                                                                  /* unknown system variable */
	{1295, ENGINE_ERROR_SCHEMA},                                                                  /* can't be prepared */
	{1347, ENGINE_ERROR_SCHEMA},                                                                  /* is not a table */
	{1062, ENGINE_ERROR_DUPLICATE},  {1586, ENGINE_ERROR_DUPLICATE}, {1364, ENGINE_ERROR_DATA},   /* no default value */
	{1366, ENGINE_ERROR_DATA},                                  /* incorrect value for a column */
	{1369, ENGINE_ERROR_DATA},                                  /* CHECK OPTION of a view */
	{1411, ENGINE_ERROR_DATA},                                  /* incorrect value for a function */
	{1526, ENGINE_ERROR_DATA},       {1748, ENGINE_ERROR_DATA}, /* the row belongs into no partition, or another one */
	{3819, ENGINE_ERROR_DATA},                                  /* MySQL: CHECK constraint */
};

/* Where the number says nothing. The first that begins the SQLSTATE. */
static const struct {
	const char *prefix;
	enum engine_error error;
} states[] = {
	{"22", ENGINE_ERROR_DATA},       {"23", ENGINE_ERROR_DATA},   {"45000", ENGINE_ERROR_DATA}, /* SIGNAL: a trigger's veto */
	{"21", ENGINE_ERROR_AMBIGUOUS}, /* 1242, a subquery gave several rows: a smaller batch may give another result */
	{"40", ENGINE_ERROR_CONTENTION}, {"42", ENGINE_ERROR_SCHEMA}, {"0A", ENGINE_ERROR_SCHEMA},  {"3D", ENGINE_ERROR_SCHEMA},
};

/* Writing a file fails under several numbers: 3, 1026, 1030, 1180. The system's own words are the same. */
static bool says_disk_full(unsigned number, const char *message) {
	return (number == 3 || number == 20 || number == 1026 || number == 1030 || number == 1180) &&
	       (strstr(message, "No space left") != NULL || strstr(message, "error 28 ") != NULL);
}

/* "running with the --read-only option so it cannot execute this statement", which is said of other options as well; and "Can't
 * lock file (errno: 165 - Table is read only)", of MySQL's InnoDB in read-only mode; and our own, which identity.sql makes a
 * value that is wrong. */
static bool says_read_only(unsigned number, const char *message) {
	return (number == 1290 && (strstr(message, "read-only") != NULL || strstr(message, "read_only") != NULL)) ||
	       (number == 1015 && strstr(message, "errno: 165 ") != NULL) ||
	       (number == 1231 && strstr(message, "the server is read only") != NULL);
}

enum engine_error mysql_classify(unsigned number, const char *sqlstate, const char *message) {
	if (says_disk_full(number, message))
		return ENGINE_ERROR_DISK_FULL;
	if (says_read_only(number, message))
		return ENGINE_ERROR_READ_ONLY;
	for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
		if (numbers[i].number == number)
			return numbers[i].error;
	for (size_t i = 0; i < sizeof states / sizeof *states; i++)
		if (strncmp(sqlstate, states[i].prefix, strlen(states[i].prefix)) == 0)
			return states[i].error;
	return ENGINE_ERROR_OTHER;
}

/*
 * That something will go with a later version is no news of the rows. In the manual: ER_WARN_DEPRECATED_SYNTAX,
 * …_SYNTAX_NO_REPLACEMENT, ER_DEPRECATED_UTF8_ALIAS, ER_DEPRECATED_NATIONAL, ER_WARN_DEPRECATED_UTF8MB3_COLLATION,
 * ER_WARN_DEPRECATED_DATETIME_DELIMITER, …_SUPERFLUOUS_DELIMITER. All are below what either server says of values.
 */
bool mysql_is_news(unsigned number) {
	static const unsigned deprecations[] = {1287, 1681, 3719, 3720, 3778, 4095, 4096};
	for (size_t i = 0; i < sizeof deprecations / sizeof *deprecations; i++)
		if (deprecations[i] == number)
			return true;
	return false;
}

/* What became of the statement is not what was meant: for whatever reason, if not for its size, that is the data's. */
enum engine_error mysql_classify_warning(unsigned number) {
	return mysql_classify(number, "", "") == ENGINE_ERROR_TOO_LARGE ? ENGINE_ERROR_TOO_LARGE : ENGINE_ERROR_DATA;
}

/* The library's own errors: what it sent or read is not what the server had. With the others the server closes. */
bool mysql_means_lost(unsigned number) {
	static const unsigned closing[] = {
		1080, 1152, 1184,             /* forcing close, aborted connection */
		1156, 1158, 1159, 1160, 1161, /* packets out of order, reading or writing them failed */
		1927,                         /* MariaDB: connection was killed */
		3169,                         /* MySQL: the session was killed */
		4031,                         /* MySQL: disconnected because of inactivity */
	};
	if ((number >= CR_MIN_ERROR && number <= CR_MAX_ERROR) || (number >= CER_MIN_ERROR && number <= CER_MAX_ERROR))
		return true;
	for (size_t i = 0; i < sizeof closing / sizeof *closing; i++)
		if (closing[i] == number)
			return true;
	return false;
}

/* With TLS asked for, an error that the server has instead of its greeting is said to be a forgery, maybe. */
static unsigned number_before_tls(const char *message) {
	static const char words[] = "cannot be verified: ";
	const char *found = strstr(message, words);
	return found != NULL ? (unsigned)strtoul(found + sizeof words - 1, NULL, 10) : 0;
}

enum error_code mysql_connect_code(unsigned number, const char *message) {
	static const unsigned final[] = {
		1044,
		1045,
		1698, /* access denied: to the database, or at all */
		1049, /* unknown database */
		1130, /* host is not allowed to connect */
		1251,
		1524,
		2049,
		2059,
		2061, /* no way to log in that both sides have */
		1820,
		1862, /* the password must be changed */
		3118,
		4151, /* MySQL, MariaDB: the account is locked */
		3159, /* MySQL: require_secure_transport */
		2019, /* the library has not the character set */
		2026, /* TLS: mostly a certificate */
		MYSQL_WAY_NOT_ALLOWED,
	};
	if (number == CR_CONNECTION_ERROR && number_before_tls(message) != 0)
		number = number_before_tls(message);
	for (size_t i = 0; i < sizeof final / sizeof *final; i++)
		if (final[i] == number)
			return ERROR_CONFIG;
	return ERROR_TRY_AGAIN;
}
