-- Is the table still what the job was submitted for? One row: what is not (NULL: it is), which leaves came after the freeze
-- and are none of the job's, and two marks that change with the table: of its leaves, and of its engine and the key's columns, as
-- the dialect's checkpoint compares it; the server's version; whether the time in the second mark is enough, as no later change can have the
-- same: on MariaDB it is that of the file with the definition, which every change of it writes anew; and what to do about the change, if it
-- is not to be put back. What the shape doesn't say is not compared. A leaf's oid is InnoDB's id of the table or partition, which is another
-- behind whatever builds it anew: an ALTER or OPTIMIZE, after which the job may go on, and another table of that name, which nothing tells
-- from these. A person does: the brackets have a mark of the ids, by which shape_accept.sql knows that he was told of these. InnoDB has
-- names as files have them.
-- The columns are read into a table of their own (DISTINCT): MariaDB would open all tables of the server for a join with them.
-- SET … = (SELECT …) would lock the job's row until the transaction ends, for a sign of life to wait behind and deadlock with. $1 job
SET @backfilld_shape = NULL, @backfilld_frozen = NULL;
SELECT shape, round > 0 OR frozen_at IS NOT NULL INTO @backfilld_shape, @backfilld_frozen FROM backfill.job WHERE id = $1;
SET @backfilld_schema = JSON_UNQUOTE(JSON_EXTRACT(@backfilld_shape, '$.schema')),
    @backfilld_table = JSON_UNQUOTE(JSON_EXTRACT(@backfilld_shape, '$.name'));
SET @backfilld_path = (SELECT CONCAT(REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(@backfilld_schema, '@', '@0040'), '-', '@002d'), ' ', '@0020'),
                                                     '.', '@002e'), '$', '@0024'), '/', @backfilld_table));
WITH innodb AS (
    SELECT table_id, CONVERT(name USING utf8mb4) COLLATE utf8mb4_bin AS path
      FROM /*M!100600 information_schema.innodb_sys_tables */ /*!80000 information_schema.innodb_tables */
     WHERE name LIKE CONCAT(REPLACE(@backfilld_path, '_', '\\_'), '%')
), found AS (
    SELECT CONVERT(COALESCE(p.subpartition_name, p.partition_name, '') USING utf8mb4) COLLATE utf8mb4_bin AS part, COALESCE(i.table_id, 0) AS oid
      FROM information_schema.partitions AS p
      LEFT JOIN innodb AS i
        ON CAST(LEFT(i.path, CHAR_LENGTH(@backfilld_path)) AS BINARY) = CAST(@backfilld_path AS BINARY)
       AND LOWER(SUBSTRING(i.path, CHAR_LENGTH(@backfilld_path) + 1))
           = LOWER(CONVERT(CONCAT(
                 COALESCE(CONCAT('#p#', /*M!100600 CONVERT(CAST(CONVERT(p.partition_name USING filename) AS BINARY) USING utf8mb4) */ /*!80000 REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(p.partition_name, '@', '@0040'), '-', '@002d'), ' ', '@0020'), '.', '@002e'), CHAR(36 USING utf8mb4), '@0024'), '#', '@0023'), '/', '@002f'), ':', '@003a') */), ''),
                 COALESCE(CONCAT('#sp#', /*M!100600 CONVERT(CAST(CONVERT(p.subpartition_name USING filename) AS BINARY) USING utf8mb4) */ /*!80000 REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(p.subpartition_name, '@', '@0040'), '-', '@002d'), ' ', '@0020'), '.', '@002e'), CHAR(36 USING utf8mb4), '@0024'), '#', '@0023'), '/', '@002f'), ':', '@003a') */), '')) USING utf8mb4))
             COLLATE utf8mb4_bin
     WHERE p.table_schema = @backfilld_schema AND p.table_name = @backfilld_table
), known AS (
    SELECT CONVERT(COALESCE(l.part, '') USING utf8mb4) COLLATE utf8mb4_bin AS part, l.oid,
           NOT @backfilld_frozen OR EXISTS (SELECT 1 FROM backfill.segment AS s WHERE s.job_id = $1 AND s.leaf = l.number - 1 AND NOT s.done) AS wanted
      FROM JSON_TABLE(@backfilld_shape, '$.leaves[*]' COLUMNS (number FOR ORDINALITY, part VARCHAR(64) CHARACTER SET utf8mb4 PATH '$.partition', oid BIGINT UNSIGNED PATH '$.oid')) AS l
), of_table AS (
    SELECT DISTINCT column_name, column_type, collation_name
      FROM information_schema.columns
     WHERE table_schema = @backfilld_schema AND table_name = @backfilld_table
), `key` AS (
    SELECT k.number, k.name, k.type AS type_then, k.collation AS collation_then, CONVERT(c.column_name USING utf8mb4) AS present,
           CONVERT(c.column_type USING utf8mb4) COLLATE utf8mb4_bin AS type_now, CONVERT(c.collation_name USING utf8mb4) COLLATE utf8mb4_bin AS collation_now
      FROM JSON_TABLE(@backfilld_shape, '$.key[*]' COLUMNS (number FOR ORDINALITY, name VARCHAR(64) CHARACTER SET utf8mb4 PATH '$.name',
                                                            type MEDIUMTEXT CHARACTER SET utf8mb4 PATH '$.type', collation VARCHAR(64) CHARACTER SET utf8mb4 PATH '$.collation')) AS k
      LEFT JOIN of_table AS c ON c.column_name = k.name
), changes AS (
    SELECT 1 AS place, known.part AS thing, CONCAT(IF(known.part = '', 'the table', CONCAT('partition ', known.part)),
                                                   ' is gone since the job was submitted') AS what
      FROM known
     WHERE known.wanted AND NOT EXISTS (SELECT 1 FROM found WHERE found.part = known.part)
     UNION ALL
    SELECT 1, '', CONCAT('the table''s engine is ', engine, ' now: its rows can''t commit together with the checkpoint')
      FROM information_schema.tables
     WHERE table_schema = @backfilld_schema AND table_name = @backfilld_table AND engine <> 'InnoDB'
     UNION ALL
    SELECT 3, '', CONCAT(IF(MAX(known.part) = '', 'the table', CONCAT('partition ', LEFT(GROUP_CONCAT(known.part ORDER BY known.part SEPARATOR ', '), 100))),
                         ' was built anew, or replaced by another, since the job was submitted [', LEFT(SHA2((
                             SELECT GROUP_CONCAT(oid ORDER BY oid SEPARATOR ' ') FROM found), 256), 12), ']')
      FROM known
      JOIN found ON found.part = known.part
     WHERE known.wanted AND NOT found.oid <=> known.oid
    HAVING COUNT(*) > 0
     UNION ALL
    SELECT 1, found.part, CONCAT('partition ', found.part, ' came after the job was submitted')
      FROM found
     WHERE NOT @backfilld_frozen AND NOT EXISTS (SELECT 1 FROM known WHERE known.part = found.part)
     UNION ALL
    SELECT 2, name, CONCAT('the key''s column ', name,
           CASE WHEN present IS NULL THEN ' is gone since the job was submitted'
                WHEN type_then <> type_now THEN CONCAT(' has the type ', type_now, ' now, ', type_then, ' when the job was submitted')
                WHEN collation_then <> COALESCE(collation_now, '')
                THEN CONCAT(' has the collation ', COALESCE(collation_now, 'none'), ' now, ', collation_then, ' when the job was submitted') END)
      FROM `key`
)
SELECT (SELECT CONCAT(@backfilld_schema, '.', @backfilld_table, ': ', what) FROM changes WHERE what IS NOT NULL ORDER BY place, thing LIMIT 1),
       (SELECT GROUP_CONCAT(part ORDER BY part SEPARATOR ', ') FROM found
         WHERE @backfilld_frozen AND NOT EXISTS (SELECT 1 FROM known WHERE known.part = found.part)),
       (SELECT GROUP_CONCAT(oid ORDER BY oid SEPARATOR ' ') FROM found),
       CONCAT_WS(' ', (SELECT CONCAT_WS(' ', create_time, engine) FROM information_schema.tables WHERE table_schema = @backfilld_schema AND table_name = @backfilld_table),
                 (SELECT GROUP_CONCAT(CONCAT_WS('/', type_now, collation_now) ORDER BY number SEPARATOR ' ') FROM `key`)),
       CONCAT(SUBSTRING_INDEX(@@version, '.', 1), LPAD(SUBSTRING_INDEX(SUBSTRING_INDEX(@@version, '.', 2), '.', -1), 2, '0'),
              LPAD(SUBSTRING_INDEX(SUBSTRING_INDEX(@@version, '-', 1), '.', -1), 2, '0')),
       /*!80000 'false' */
       /*M!100600 IF((SELECT create_time FROM information_schema.tables WHERE table_schema = @backfilld_schema AND table_name = @backfilld_table)
                     < NOW() - INTERVAL 10 SECOND, 'true', 'false') */,
       IF((SELECT MIN(place) FROM changes WHERE what IS NOT NULL) = 3, 'if it holds the same rows, as behind an ALTER or OPTIMIZE, resume', NULL)
