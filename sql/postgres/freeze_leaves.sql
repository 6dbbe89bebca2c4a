-- What became of the table between submit and start: nothing, if no row comes back. $1 schema, $2 name, $3 its shape then,
-- as JSON
WITH root AS (
    SELECT c.oid, c.relkind
      FROM pg_class c
      JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE n.nspname = $1::text AND c.relname = $2::text
), leaves AS (
    SELECT oid FROM root WHERE relkind <> 'p'
     UNION ALL
    SELECT t.relid FROM root r, pg_partition_tree(r.oid) t WHERE r.relkind = 'p' AND t.isleaf
), found AS (
    SELECT n.nspname::text AS schema, c.relname::text AS name, c.oid::bigint
      FROM leaves
      JOIN pg_class c USING (oid)
      JOIN pg_namespace n ON n.oid = c.relnamespace
)
SELECT schema, name,
       CASE WHEN known.oid IS NULL THEN 'came after the job was submitted'
            WHEN found.oid IS NULL THEN 'is gone since the job was submitted'
            ELSE 'is not the table that the job was submitted for (its oid was ' || known.oid || ')' END
  FROM found
  FULL JOIN jsonb_to_recordset($3::jsonb -> 'leaves') AS known (schema text, name text, oid bigint) USING (schema, name)
 WHERE found.oid IS DISTINCT FROM known.oid
 ORDER BY schema, name
 LIMIT 1
