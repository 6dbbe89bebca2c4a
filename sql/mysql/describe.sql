-- Everything preflight judges about one table, as JSON; no row when it is missing. $1 schema, $2 name. MariaDB opens the tables that
-- an information_schema query asks for by equality alone: each one here names the schema and the table, so that no other is opened.
-- https://mariadb.com/kb/en/optimizing-queries-using-the-information-schema/ Arrays are texts put together by GROUP_CONCAT, as
-- MySQL's JSON_ARRAYAGG has no order; JSON_EXTRACT makes JSON of them. MySQL remembers numbers of rows for a day unless told otherwise.
-- https://dev.mysql.com/doc/refman/8.4/en/information-schema-optimization.html
SET SESSION group_concat_max_len = 1073741824 /*!80000 , SESSION information_schema_stats_expiry = 0 */;
SELECT JSON_OBJECT(
	'schema', t.TABLE_SCHEMA, 'name', t.TABLE_NAME,
	'type', t.TABLE_TYPE, 'engine', t.ENGINE, 'row_format', t.ROW_FORMAT,
	'kind', IF(EXISTS (SELECT 1 FROM information_schema.PARTITIONS AS p
		WHERE p.TABLE_SCHEMA = $1 AND p.TABLE_NAME = $2 AND p.PARTITION_NAME IS NOT NULL), 'p', 'r'),
	'columns', JSON_EXTRACT((
		SELECT CONCAT('[', GROUP_CONCAT(JSON_OBJECT(
			'name', c.COLUMN_NAME, 'type', c.COLUMN_TYPE, 'data_type', c.DATA_TYPE, 'collation', c.COLLATION_NAME,
			'not_null', c.IS_NULLABLE = 'NO',
			'generated', COALESCE(c.GENERATION_EXPRESSION, '') <> '',
			'auto_increment', c.EXTRA LIKE '%auto_increment%',
			'on_update', c.EXTRA LIKE '%on update%',
			'may_select', FIND_IN_SET('select', c.PRIVILEGES) > 0,
			'may_update', FIND_IN_SET('update', c.PRIVILEGES) > 0,
			'may_insert', FIND_IN_SET('insert', c.PRIVILEGES) > 0) ORDER BY c.ORDINAL_POSITION), ']')
		FROM information_schema.COLUMNS AS c WHERE c.TABLE_SCHEMA = $1 AND c.TABLE_NAME = $2), '$'),
	'indexes', JSON_EXTRACT(COALESCE((
		SELECT CONCAT('[', GROUP_CONCAT(JSON_OBJECT(
			'name', i.name, 'primary', i.name = 'PRIMARY', 'btree', i.btree, 'hidden', i.hidden, 'expressions', i.expressions,
			'columns', JSON_EXTRACT(i.parts, '$')) ORDER BY i.name <> 'PRIMARY', i.name), ']')
		FROM (
			SELECT s.INDEX_NAME AS name, MIN(s.INDEX_TYPE) = 'BTREE' AS btree,
				MAX(/*!80000 s.IS_VISIBLE = 'NO' OR */ /*M!100600 s.IGNORED = 'YES' OR */ FALSE) = 1 AS hidden,
				MAX(s.COLUMN_NAME IS NULL) = 1 AS expressions,
				CONCAT('[', GROUP_CONCAT(JSON_OBJECT('name', s.COLUMN_NAME, 'prefix', s.SUB_PART, 'descending', s.COLLATION = 'D')
					ORDER BY s.SEQ_IN_INDEX), ']') AS parts
			FROM information_schema.STATISTICS AS s
			WHERE s.TABLE_SCHEMA = $1 AND s.TABLE_NAME = $2 AND s.NON_UNIQUE = 0
			GROUP BY s.INDEX_NAME) AS i), '[]'), '$'),
	'triggers', JSON_EXTRACT(COALESCE((
		SELECT CONCAT('[', GROUP_CONCAT(JSON_OBJECT(
			'name', g.TRIGGER_NAME, 'insert', g.EVENT_MANIPULATION LIKE '%INSERT%', 'update', g.EVENT_MANIPULATION LIKE '%UPDATE%',
			'delete', g.EVENT_MANIPULATION LIKE '%DELETE%', 'timing', g.ACTION_TIMING, 'definer', g.DEFINER,
			'statement', g.ACTION_STATEMENT) ORDER BY g.TRIGGER_NAME), ']')
		FROM information_schema.TRIGGERS AS g
		WHERE g.TRIGGER_SCHEMA = $1 AND g.EVENT_OBJECT_SCHEMA = $1 AND g.EVENT_OBJECT_TABLE = $2), '[]'), '$'),
-- Triggers are shown to those alone who may make some (some releases of MariaDB show others all but what they do), and what comes by
-- a role is not told: then only by what is seen.
	'sees_triggers', EXISTS (SELECT 1 FROM information_schema.TRIGGERS AS g
			WHERE g.TRIGGER_SCHEMA = $1 AND g.EVENT_OBJECT_SCHEMA = $1 AND g.EVENT_OBJECT_TABLE = $2)
		OR EXISTS (SELECT 1 FROM information_schema.USER_PRIVILEGES AS u
			WHERE u.PRIVILEGE_TYPE = 'TRIGGER' AND REPLACE(u.GRANTEE, '\'', '') = CURRENT_USER())
		OR EXISTS (SELECT 1 FROM information_schema.SCHEMA_PRIVILEGES AS u
			WHERE u.PRIVILEGE_TYPE = 'TRIGGER' AND REPLACE(u.GRANTEE, '\'', '') = CURRENT_USER() AND $1 LIKE u.TABLE_SCHEMA)
		OR EXISTS (SELECT 1 FROM information_schema.TABLE_PRIVILEGES AS u
			WHERE u.PRIVILEGE_TYPE = 'TRIGGER' AND REPLACE(u.GRANTEE, '\'', '') = CURRENT_USER() AND u.TABLE_SCHEMA = $1 AND u.TABLE_NAME = $2),
-- Where triggers may write what no rollback takes back. Not looked for where there are none: MariaDB reads each table's definition.
	'not_transactional', JSON_EXTRACT(COALESCE(IF(
		EXISTS (SELECT 1 FROM information_schema.TRIGGERS AS g
			WHERE g.TRIGGER_SCHEMA = $1 AND g.EVENT_OBJECT_SCHEMA = $1 AND g.EVENT_OBJECT_TABLE = $2), (
		SELECT CONCAT('[', GROUP_CONCAT(JSON_OBJECT('name', o.TABLE_NAME, 'engine', o.ENGINE) ORDER BY o.TABLE_NAME), ']')
		FROM information_schema.TABLES AS o
		WHERE o.TABLE_SCHEMA = $1 AND o.TABLE_TYPE = 'BASE TABLE' AND o.ENGINE <> 'InnoDB'), NULL), '[]'), '$'),
-- Whoever may read a table's foreign keys sees those of tables that he may not read, too, which information_schema's own views hide;
-- and those views can't be asked for what points at a table without opening all. PROCESS is needed. TYPE's bits: 1 DELETE CASCADE,
-- 2 DELETE SET NULL, 4 UPDATE CASCADE, 8 UPDATE SET NULL.
-- https://dev.mysql.com/doc/refman/8.4/en/information-schema-innodb-foreign-table.html
	'cascades', JSON_EXTRACT(COALESCE((
		SELECT CONCAT('[', GROUP_CONCAT(JSON_OBJECT(
			'name', SUBSTRING_INDEX(f.ID, '/', -1), 'table', REPLACE(f.FOR_NAME, '/', '.'),
			'update', f.TYPE & 12 <> 0, 'delete', f.TYPE & 3 <> 0, 'columns', JSON_EXTRACT((
				SELECT CONCAT('[', GROUP_CONCAT(JSON_QUOTE(k.REF_COL_NAME) ORDER BY k.POS), ']')
				FROM information_schema./*!80000 INNODB_FOREIGN_COLS */ /*M! INNODB_SYS_FOREIGN_COLS */ AS k WHERE k.ID = f.ID), '$'))
			ORDER BY f.ID), ']')
		FROM information_schema./*!80000 INNODB_FOREIGN */ /*M! INNODB_SYS_FOREIGN */ AS f
		WHERE f.REF_NAME = CONCAT($1, '/', $2) AND f.TYPE & 15 <> 0), '[]'), '$'),
-- One for each partition, or each part of it, in their order; or the table itself. As in shape_check.sql its number is InnoDB's, which
-- is another behind whatever builds it anew. InnoDB's names are those of files, where other characters than letters, digits and _ are
-- encoded. MySQL 9 knows no such character set: there a partition whose name has others than the ones below has no number (0).
	'leaves', JSON_EXTRACT((
		SELECT CONCAT('[', GROUP_CONCAT(JSON_OBJECT(
			'schema', l.TABLE_SCHEMA, 'name', l.TABLE_NAME, 'partition', l.part, 'method', l.PARTITION_METHOD,
			'oid', COALESCE(i.TABLE_ID, 0), 'estimated_rows', l.estimated_rows, 'bytes', l.bytes,
			'row_bytes', IF(l.estimated_rows > 0, GREATEST(1, l.bytes DIV l.estimated_rows), 100)) ORDER BY l.place, l.subplace), ']')
		FROM (
			SELECT p.TABLE_SCHEMA, p.TABLE_NAME, COALESCE(p.SUBPARTITION_NAME, p.PARTITION_NAME) AS part, p.PARTITION_METHOD,
				p.PARTITION_ORDINAL_POSITION AS place, p.SUBPARTITION_ORDINAL_POSITION AS subplace,
				COALESCE(p.TABLE_ROWS, 0) AS estimated_rows, COALESCE(p.DATA_LENGTH, 0) AS bytes,
				LOWER(CONCAT($1, '/', $2,
					COALESCE(CONCAT('#p#', /*M!100600 CONVERT(CAST(CONVERT(p.PARTITION_NAME USING filename) AS BINARY) USING utf8mb4) */ /*!80000 REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(p.PARTITION_NAME, '@', '@0040'), '-', '@002d'), ' ', '@0020'), '.', '@002e'), CHAR(36 USING utf8mb4), '@0024'), '#', '@0023'), '/', '@002f'), ':', '@003a') */), ''),
					COALESCE(CONCAT('#sp#', /*M!100600 CONVERT(CAST(CONVERT(p.SUBPARTITION_NAME USING filename) AS BINARY) USING utf8mb4) */ /*!80000 REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(p.SUBPARTITION_NAME, '@', '@0040'), '-', '@002d'), ' ', '@0020'), '.', '@002e'), CHAR(36 USING utf8mb4), '@0024'), '#', '@0023'), '/', '@002f'), ':', '@003a') */), ''))) AS path
			FROM information_schema.PARTITIONS AS p
			WHERE p.TABLE_SCHEMA = $1 AND p.TABLE_NAME = $2) AS l
		LEFT JOIN (
			SELECT n.TABLE_ID, LOWER(CONVERT(n.NAME USING utf8mb4)) AS path
			FROM information_schema./*!80000 INNODB_TABLES */ /*M! INNODB_SYS_TABLES */ AS n
			WHERE CAST(LEFT(n.NAME, CHAR_LENGTH(CONCAT($1, '/', $2))) AS BINARY) = CAST(CONCAT($1, '/', $2) AS BINARY)) AS i
			ON CAST(i.path AS BINARY) = CAST(l.path AS BINARY)), '$'))
FROM information_schema.TABLES AS t
WHERE t.TABLE_SCHEMA = $1 AND t.TABLE_NAME = $2
