-- What the server is, and where a table is found. $1 schema or NULL: the one that the url names, $2 name.
-- What only one kind of server knows stands in comments that only that kind reads, in forms that hold without them, too: an older
-- server is refused by its version. https://dev.mysql.com/doc/refman/8.4/en/comments.html https://mariadb.com/kb/en/comment-syntax/
SELECT JSON_OBJECT(
	'mariadb', /*M! TRUE OR */ FALSE,
	'version', VERSION(),
	'version_number', CAST(SUBSTRING_INDEX(VERSION(), '.', 1) * 10000 + SUBSTRING_INDEX(SUBSTRING_INDEX(VERSION(), '.', 2), '.', -1) * 100 AS UNSIGNED),
-- A number, or the name of a degree (MariaDB 12).
	'read_only', CONCAT(@@global.read_only) NOT IN ('0', 'OFF') /*!80000 OR @@global.super_read_only */ OR @@global.innodb_read_only,
	'session_read_only', /*!80000 @@session.transaction_read_only OR */ /*M! @@session.tx_read_only OR */ FALSE,
	'log_bin', @@global.log_bin = 1,
	'binlog_format', @@session.binlog_format,
	'wsrep', /*M! @@global.wsrep_on OR */ FALSE,
	'role', CONCAT('''', REPLACE(LEFT(CURRENT_USER(), CHAR_LENGTH(CURRENT_USER()) - LOCATE('@', REVERSE(CURRENT_USER()))), '''', ''''''),
		'''@''', SUBSTRING_INDEX(CURRENT_USER(), '@', -1), ''''),
	'database', COALESCE($1, DATABASE()),
-- Names are compared as the server does it with its own files: without regard to case where it keeps them in lower case.
	'schema', (
		SELECT t.TABLE_SCHEMA FROM information_schema.TABLES AS t
		WHERE t.TABLE_SCHEMA = COALESCE($1, DATABASE()) AND t.TABLE_NAME = $2
			AND (@@global.lower_case_table_names > 0 OR (BINARY t.TABLE_SCHEMA = COALESCE($1, DATABASE()) AND BINARY t.TABLE_NAME = $2))),
	'similar', (
		SELECT GROUP_CONCAT(t.TABLE_SCHEMA, '.', t.TABLE_NAME ORDER BY t.TABLE_NAME SEPARATOR ', ') FROM information_schema.TABLES AS t
		WHERE t.TABLE_SCHEMA = COALESCE($1, DATABASE()) AND LOWER(t.TABLE_NAME) = LOWER($2)),
	'control_tables_elsewhere', (
		SELECT GROUP_CONCAT(t.TABLE_NAME, ' (', t.ENGINE, ')' ORDER BY t.TABLE_NAME SEPARATOR ', ') FROM information_schema.TABLES AS t
		WHERE t.TABLE_SCHEMA = 'backfill' AND t.TABLE_TYPE = 'BASE TABLE' AND t.ENGINE <> 'InnoDB'))
