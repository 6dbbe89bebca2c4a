/*
 * What each error of MySQL and MariaDB means to us: number, SQLSTATE and words are the manuals'.
 * https://dev.mysql.com/doc/mysql-errors/9.4/en/server-error-reference.html
 * https://mariadb.com/docs/server/reference/error-codes
 */
#include "daemon/engine/mysql.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const struct {
	unsigned number;
	const char *sqlstate, *message;
	enum engine_error error;
} errors[] = {
	/* Somebody was faster: full ROLLBACK, and again. */
	{1205, "HY000", "Lock wait timeout exceeded; try restarting transaction", ENGINE_ERROR_CONTENTION},
	{1213, "40001", "Deadlock found when trying to get lock; try restarting transaction", ENGINE_ERROR_CONTENTION},
	{1614, "XA102", "XA_RBDEADLOCK: Transaction branch was rolled back: deadlock was detected", ENGINE_ERROR_CONTENTION},
	{3572, "HY000", "Statement aborted because lock(s) could not be acquired immediately and NOWAIT is set.",
     ENGINE_ERROR_CONTENTION},
	{1020, "HY000", "Record has changed since last read in table 't'", ENGINE_ERROR_CONTENTION},
	{1412, "HY000", "Table definition has changed, please retry transaction", ENGINE_ERROR_CONTENTION},
	{1615, "HY000", "Prepared statement needs to be re-prepared", ENGINE_ERROR_CONTENTION},
	{1243, "HY000", "Unknown prepared statement handler (7) given to mysqld_stmt_execute", ENGINE_ERROR_CONTENTION},
	{3100, "HY000", "Error on observer while running replication hook 'before_commit'.", ENGINE_ERROR_CONTENTION},
	{3101, "40000", "Plugin instructed the server to rollback the current transaction.", ENGINE_ERROR_CONTENTION},

	/* More than fits: a smaller batch. */
	{1197, "HY000", "Multi-statement transaction required more than 'max_binlog_cache_size' bytes of storage",
     ENGINE_ERROR_TOO_LARGE},
	{1153, "08S01", "Got a packet bigger than 'max_allowed_packet' bytes", ENGINE_ERROR_TOO_LARGE},
	{1301, "HY000", "Result of concat() was larger than max_allowed_packet (1024) - truncated", ENGINE_ERROR_TOO_LARGE},
	{1206, "HY000", "The total number of locks exceeds the lock table size", ENGINE_ERROR_TOO_LARGE},
	{1180, "HY000", "Got error 90 \"Message too long\" during COMMIT", ENGINE_ERROR_TOO_LARGE},

	/* It takes too long, or was cancelled. */
	{3024, "HY000", "Query execution was interrupted, maximum statement execution time exceeded", ENGINE_ERROR_TIMEOUT},
	{1969, "70100", "Query execution was interrupted (max_statement_time exceeded)", ENGINE_ERROR_TIMEOUT},
	{1317, "70100", "Query execution was interrupted", ENGINE_ERROR_TIMEOUT},
	{1028, "HY000", "Sort aborted: Query execution was interrupted", ENGINE_ERROR_TIMEOUT},

	/* Not the primary any more. */
	{1290, "HY000", "The MySQL server is running with the --super-read-only option so it cannot execute this statement",
     ENGINE_ERROR_READ_ONLY},
	{1290, "HY000", "The MariaDB server is running with the --read-only option so it cannot execute this statement",
     ENGINE_ERROR_READ_ONLY},
	{1290, "HY000", "The MySQL server is running with the --secure-file-priv option so it cannot execute this statement",
     ENGINE_ERROR_OTHER},
	{1836, "HY000", "Running in read-only mode", ENGINE_ERROR_READ_ONLY},
	{1792, "25006", "Cannot execute statement in a READ ONLY transaction.", ENGINE_ERROR_READ_ONLY},
	{1874, "HY000", "InnoDB is in read only mode.", ENGINE_ERROR_READ_ONLY},

	/* Never again by itself. */
	{1021, "HY000", "Disk full (/tmp/#sql); waiting for someone to free some space... (errno: 28)", ENGINE_ERROR_DISK_FULL},
	{1114, "HY000", "The table 't' is full", ENGINE_ERROR_DISK_FULL},
	{1878, "HY000", "Temporary file write failure.", ENGINE_ERROR_DISK_FULL},
	{3, "HY000", "Error writing file '/tmp/x' (Errcode: 28 \"No space left on device\")", ENGINE_ERROR_DISK_FULL},
	{1026, "HY000", "Error writing file './binlog' (errno: 28 - No space left on device)", ENGINE_ERROR_DISK_FULL},
	{1030, "HY000", "Got error 28 from storage engine", ENGINE_ERROR_DISK_FULL},
	{1030, "HY000", "Got error 28 \"No space left on device\" from storage engine InnoDB", ENGINE_ERROR_DISK_FULL},
	{1180, "HY000", "Got error 28 \"No space left on device\" during COMMIT", ENGINE_ERROR_DISK_FULL},
	{1026, "HY000", "Error writing file 'x' (errno: 5 - Input/output error)", ENGINE_ERROR_OTHER},
	{1030, "HY000", "Got error 168 - 'Unknown (generic) error from engine' from storage engine", ENGINE_ERROR_OTHER},

	{1044, "42000", "Access denied for user 'backfill'@'%' to database 'shop'", ENGINE_ERROR_PRIVILEGE},
	{1045, "28000", "Access denied for user 'backfill'@'%' (using password: YES)", ENGINE_ERROR_PRIVILEGE},
	{1142, "42000", "UPDATE command denied to user 'backfill'@'%' for table 't'", ENGINE_ERROR_PRIVILEGE},
	{1143, "42000", "SELECT command denied to user 'backfill'@'%' for column 'n' in table 't'", ENGINE_ERROR_PRIVILEGE},
	{1227, "42000", "Access denied; you need (at least one of) the PROCESS privilege(s) for this operation",
     ENGINE_ERROR_PRIVILEGE},
	{1370, "42000", "execute command denied to user 'backfill'@'%' for routine 'shop.f'", ENGINE_ERROR_PRIVILEGE},
	{1095, "HY000", "You are not owner of thread 7", ENGINE_ERROR_PRIVILEGE},
	{1820, "HY000", "You must reset your password using ALTER USER statement before executing this statement.",
     ENGINE_ERROR_PRIVILEGE},

	{1040, "08004", "Too many connections", ENGINE_ERROR_RESOURCE},
	{1203, "42000", "User backfill already has more than 'max_user_connections' active connections", ENGINE_ERROR_RESOURCE},
	{1226, "42000", "User 'backfill' has exceeded the 'max_updates_per_hour' resource (current value: 9)", ENGINE_ERROR_RESOURCE},
	{1037, "HY001", "Out of memory; restart server and try again (needed 9 bytes)", ENGINE_ERROR_RESOURCE},
	{1038, "HY001", "Out of sort memory, consider increasing server sort buffer size", ENGINE_ERROR_RESOURCE},
	{1041, "HY000", "Out of memory.", ENGINE_ERROR_RESOURCE},
	{1053, "08S01", "Server shutdown in progress", ENGINE_ERROR_RESOURCE},
	{1047, "08S01", "WSREP has not yet prepared node for application use", ENGINE_ERROR_RESOURCE},
	{1461, "42000", "Can't create more than max_prepared_stmt_count statements (current value: 9)", ENGINE_ERROR_RESOURCE},
	{1637, "HY000", "Too many active concurrent transactions", ENGINE_ERROR_RESOURCE},

	/* The schema is not what it was. */
	{1146, "42S02", "Table 'shop.t' doesn't exist", ENGINE_ERROR_SCHEMA},
	{1054, "42S22", "Unknown column 'n' in 'field list'", ENGINE_ERROR_SCHEMA},
	{1064, "42000", "You have an error in your SQL syntax", ENGINE_ERROR_SCHEMA},
	{1109, "42S02", "Unknown table 't' in MULTI DELETE", ENGINE_ERROR_SCHEMA},
	{1136, "21S01", "Column count doesn't match value count at row 1", ENGINE_ERROR_SCHEMA},
	{1222, "21000", "The used SELECT statements have a different number of columns", ENGINE_ERROR_SCHEMA},
	{1241, "21000", "Operand should contain 1 column(s)", ENGINE_ERROR_SCHEMA},
	{1305, "42000", "FUNCTION shop.f does not exist", ENGINE_ERROR_SCHEMA},
	{1235, "42000", "This version of MySQL doesn't yet support 'x'", ENGINE_ERROR_SCHEMA},
	{1193, "HY000", "Unknown system variable 'x'", ENGINE_ERROR_SCHEMA},
	{1295, "HY000", "This command is not supported in the prepared statement protocol yet", ENGINE_ERROR_SCHEMA},
	{1347, "HY000", "'shop.t' is not BASE TABLE", ENGINE_ERROR_SCHEMA},

	/* Never split: a smaller batch may have another result. */
	{1242, "21000", "Subquery returns more than 1 row", ENGINE_ERROR_AMBIGUOUS},

	/* The row's. */
	{1048, "23000", "Column 'n' cannot be null", ENGINE_ERROR_DATA},
	{1062, "23000", "Duplicate entry '1' for key 'PRIMARY'", ENGINE_ERROR_DUPLICATE},
	{1451, "23000", "Cannot delete or update a parent row: a foreign key constraint fails", ENGINE_ERROR_DATA},
	{1452, "23000", "Cannot add or update a child row: a foreign key constraint fails", ENGINE_ERROR_DATA},
	{4025, "23000", "CONSTRAINT `c` failed for `shop`.`t`", ENGINE_ERROR_DATA},
	{3819, "HY000", "Check constraint 'c' is violated.", ENGINE_ERROR_DATA},
	{1264, "22003", "Out of range value for column 'n' at row 1", ENGINE_ERROR_DATA},
	{1265, "01000", "Data truncated for column 'n' at row 1", ENGINE_ERROR_DATA},
	{1292, "22007", "Incorrect datetime value: '2026-02-30' for column 'd' at row 1", ENGINE_ERROR_DATA},
	{1364, "HY000", "Field 'n' doesn't have a default value", ENGINE_ERROR_DATA},
	{1365, "22012", "Division by 0", ENGINE_ERROR_DATA},
	{1366, "HY000", "Incorrect integer value: 'x' for column 'n' at row 1", ENGINE_ERROR_DATA},
	{1369, "HY000", "CHECK OPTION failed 'shop.v'", ENGINE_ERROR_DATA},
	{1406, "22001", "Data too long for column 'n' at row 1", ENGINE_ERROR_DATA},
	{1411, "HY000", "Incorrect datetime value: 'x' for function str_to_date", ENGINE_ERROR_DATA},
	{1441, "22008", "Datetime function: datetime field overflow", ENGINE_ERROR_DATA},
	{1526, "HY000", "Table has no partition for value 9", ENGINE_ERROR_DATA},
	{1748, "HY000", "Found a row not matching the given partition set", ENGINE_ERROR_DATA},
	{1690, "22003", "BIGINT UNSIGNED value is out of range in '(`n` - 1)'", ENGINE_ERROR_DATA},
	{3140, "22032", "Invalid JSON text: \"Invalid value.\"", ENGINE_ERROR_DATA},
	{1644, "45000", "a trigger's veto", ENGINE_ERROR_DATA},

	{1105, "HY000", "Unknown error", ENGINE_ERROR_OTHER},
	{1449, "HY000", "The user specified as a definer ('x'@'%') does not exist", ENGINE_ERROR_OTHER},
};

static void test_errors(void **state) {
	(void)state;
	for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
		enum engine_error found = mysql_classify(errors[i].number, errors[i].sqlstate, errors[i].message);
		if (found != errors[i].error)
			fail_msg("%u (%s): %d, not %d", errors[i].number, errors[i].message, (int)found, (int)errors[i].error);
		assert_false(mysql_means_lost(errors[i].number));
	}
}

static void test_what_ends_a_connection(void **state) {
	(void)state;
	/* Aborted, packets out of order; killed on MariaDB; killed, idle for too long on MySQL; the library's own. */
	static const unsigned lost[] = {1080, 1152, 1156, 1158, 1159, 1160, 1161, 1184, 1927,
	                                3169, 4031, 2002, 2003, 2006, 2013, 2026, 2055, 5014};
	for (size_t i = 0; i < sizeof lost / sizeof *lost; i++)
		if (!mysql_means_lost(lost[i]))
			fail_msg("%u", lost[i]);
}

static void test_warnings(void **state) {
	(void)state;
	static const unsigned news[] = {1287, 1681, 3719, 3720, 3778};
	static const unsigned data[] = {1264, 1265, 1292, 1364, 1365, 1366, 1406, 1441, 1048, 3170};
	for (size_t i = 0; i < sizeof news / sizeof *news; i++)
		assert_true(mysql_is_news(news[i]));
	for (size_t i = 0; i < sizeof data / sizeof *data; i++) {
		assert_false(mysql_is_news(data[i]));
		assert_int_equal(mysql_classify_warning(data[i]), ENGINE_ERROR_DATA);
	}
	assert_int_equal(mysql_classify_warning(1260), ENGINE_ERROR_TOO_LARGE);
	assert_int_equal(mysql_classify_warning(1301), ENGINE_ERROR_TOO_LARGE);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_what_ends_a_connection),
		cmocka_unit_test(test_warnings),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
