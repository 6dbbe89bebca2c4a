-- A restored table has another id in InnoDB than the one that the job was submitted for; the names, and the operator's word, say
-- that it is the same. Transaction ids of the other server mean nothing here: a job whose round isn't open takes a new marker when it is resumed.
UPDATE backfill.job AS j
  JOIN (
    SELECT jobs.id, CONCAT('[', GROUP_CONCAT(
               JSON_SET(JSON_EXTRACT(jobs.shape, CONCAT('$.leaves[', l.number - 1, ']')), '$.oid', COALESCE(i.table_id, l.oid))
               ORDER BY l.number SEPARATOR ','), ']') AS leaves
      FROM backfill.job AS jobs
      JOIN JSON_TABLE(jobs.shape, '$.leaves[*]' COLUMNS (number FOR ORDINALITY, `schema` VARCHAR(64) CHARACTER SET utf8mb4 PATH '$.schema', name VARCHAR(64) CHARACTER SET utf8mb4 PATH '$.name',
                                                         part VARCHAR(64) CHARACTER SET utf8mb4 PATH '$.partition', oid BIGINT UNSIGNED PATH '$.oid')) AS l
      LEFT JOIN information_schema.partitions AS p
        ON p.table_schema = l.`schema` AND p.table_name = l.name AND COALESCE(p.subpartition_name, p.partition_name, '') = COALESCE(l.part, '')
      LEFT JOIN /*M!100600 information_schema.innodb_sys_tables */ /*!80000 information_schema.innodb_tables */ AS i
        ON i.name = CONCAT(REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(p.table_schema, '@', '@0040'), '-', '@002d'), ' ', '@0020'),
                                   '.', '@002e'), '$', '@0024'), '/', p.table_name,
                           COALESCE(CONCAT('#p#', p.partition_name), ''), COALESCE(CONCAT('#sp#', p.subpartition_name), ''))
     WHERE jobs.state NOT IN ('completed', 'cancelled', 'rolled_back')
     GROUP BY jobs.id) AS now_here ON now_here.id = j.id
   SET j.freeze_marker = IF(j.frozen_at IS NULL, NULL, j.freeze_marker), j.freeze_writers = NULL,
       j.shape = JSON_SET(j.shape, '$.leaves', JSON_EXTRACT(now_here.leaves, '$'))
