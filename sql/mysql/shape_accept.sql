-- Behind job_lock.sql, before a job runs again: if it was paused since its table had been built anew, the person who resumes it was told
-- so, and says that it is the same one. Its leaves' ids are then those that the reason has the mark of, as shape_check.sql makes it;
-- whatever was built anew since then has another, and is told of first. $1 job
SET @backfilld_shape = (SELECT shape FROM backfill.job WHERE id = $1 AND state = 'paused' AND INSTR(reason, ' was built anew, ') > 0);
SET @backfilld_schema = JSON_UNQUOTE(JSON_EXTRACT(@backfilld_shape, '$.schema')),
    @backfilld_table = JSON_UNQUOTE(JSON_EXTRACT(@backfilld_shape, '$.name'));
SET @backfilld_path = (SELECT CONCAT(REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(@backfilld_schema, '@', '@0040'), '-', '@002d'), ' ', '@0020'),
                                                     '.', '@002e'), '$', '@0024'), '/', @backfilld_table));
UPDATE backfill.job AS j
  JOIN (
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
    )
    SELECT CONCAT('[', GROUP_CONCAT(JSON_SET(JSON_EXTRACT(@backfilld_shape, CONCAT('$.leaves[', l.number - 1, ']')), '$.oid', COALESCE(found.oid, l.oid))
                                    ORDER BY l.number SEPARATOR ','), ']') AS leaves,
           (SELECT LEFT(SHA2(GROUP_CONCAT(oid ORDER BY oid SEPARATOR ' '), 256), 12) FROM found) AS mark
      FROM JSON_TABLE(@backfilld_shape, '$.leaves[*]' COLUMNS (number FOR ORDINALITY, part VARCHAR(64) CHARACTER SET utf8mb4 PATH '$.partition', oid BIGINT UNSIGNED PATH '$.oid')) AS l
      LEFT JOIN found ON found.part = CONVERT(COALESCE(l.part, '') USING utf8mb4) COLLATE utf8mb4_bin) AS now_here
   SET j.shape = JSON_SET(j.shape, '$.leaves', JSON_EXTRACT(now_here.leaves, '$'))
 WHERE j.id = $1 AND INSTR(j.reason, CONCAT('[', now_here.mark, ']')) > 0
