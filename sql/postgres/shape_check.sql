-- Is the table still what the job was submitted for? One row: what is not (NULL: it is), which leaves came after the freeze
-- and are none of the job's, and two marks that change with the table: of its leaves, and of the key's columns, as the
-- dialect's boundary and count answer it; the server's version; and whether the second mark's time is enough,
-- which has none here. What the shape doesn't say (an older version stored it) is not compared.
-- search_path must be pg_catalog for the first column, as in describe.sql. $1 job
WITH job AS (
    SELECT id, shape, round > 0 OR frozen_at IS NOT NULL AS frozen FROM backfill.job WHERE id = $1
), root AS (
    SELECT c.oid, c.relkind
      FROM job
      JOIN pg_namespace n ON n.nspname = shape ->> 'schema'
      JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = shape ->> 'name'
), leaves AS (
    SELECT oid FROM root WHERE relkind <> 'p'
     UNION ALL
    SELECT t.relid FROM root r, pg_partition_tree(r.oid) t WHERE r.relkind = 'p' AND t.isleaf
), found AS (
    SELECT n.nspname::text AS schema, c.relname::text AS name, c.oid::bigint
      FROM leaves
      JOIN pg_class c USING (oid)
      JOIN pg_namespace n ON n.oid = c.relnamespace
), known AS (
    SELECT leaf ->> 'schema' AS schema, leaf ->> 'name' AS name, (leaf ->> 'oid')::bigint AS oid,
           NOT frozen OR EXISTS (SELECT FROM backfill.segment s WHERE s.job_id = job.id AND s.leaf = l.number - 1 AND NOT s.done) AS wanted
      FROM job, jsonb_array_elements(shape -> 'leaves') WITH ORDINALITY AS l (leaf, number)
), key AS (
    SELECT number, k ->> 'name' AS name, k ->> 'type' AS type_then, k ->> 'collation' AS collation_then,
           k ->> 'collation_version' AS version_then,
           a.attname, a.atttypid, a.atttypmod, a.attcollation, format_type(a.atttypid, a.atttypmod) AS type_now,
           c.name AS collation_now, c.version AS version_now
      FROM job
     CROSS JOIN root
     CROSS JOIN jsonb_array_elements(shape -> 'key') WITH ORDINALITY AS e (k, number)
      LEFT JOIN pg_attribute a ON a.attrelid = root.oid AND a.attname = k ->> 'name' AND a.attnum > 0
      LEFT JOIN LATERAL (
          SELECT CASE WHEN o.oid = 100 THEN 'default (' || coalesce(to_jsonb(d) ->> 'datlocale', to_jsonb(d) ->> 'daticulocale', d.datcollate) || ')'
                      ELSE n.nspname || '.' || o.collname END AS name,
-- PostgreSQL 14 has no version for a database's default: the function is only looked for where there is one.
                 CASE WHEN o.oid <> 100 THEN pg_collation_actual_version(o.oid)
                      WHEN to_jsonb(d) ->> 'datcollversion' IS NOT NULL THEN substring(query_to_xml(
                          'SELECT pg_database_collation_actual_version(' || d.oid || ') AS v', false, true, '')::text FROM '<v>([^<]*)</v>') END AS version
            FROM pg_collation o
            JOIN pg_namespace n ON n.oid = o.collnamespace
            JOIN pg_database d ON d.datname = current_database()
           WHERE o.oid = a.attcollation) AS c ON true
), changes AS (
    SELECT 1 AS rank, concat(schema, '.', name) AS thing,
           CASE WHEN known.oid IS NULL THEN 'came after the job was submitted'
                WHEN found.oid IS NULL THEN 'is gone since the job was submitted'
                ELSE 'is not the table that the job was submitted for (its oid was ' || known.oid || ')' END AS what
      FROM found
      FULL JOIN known USING (schema, name)
      CROSS JOIN job
     WHERE found.oid IS DISTINCT FROM known.oid AND CASE WHEN known.oid IS NULL THEN NOT frozen ELSE wanted END
     UNION ALL
    SELECT 2, 'the key''s column ' || name,
           CASE WHEN attname IS NULL THEN 'is gone since the job was submitted'
                WHEN type_then <> type_now THEN 'has the type ' || type_now || ' now, ' || type_then || ' when the job was submitted'
                WHEN collation_then <> coalesce(collation_now, '')
                THEN 'has the collation ' || coalesce(collation_now, 'none') || ' now, ' || collation_then || ' when the job was submitted'
                WHEN version_then <> coalesce(version_now, '')
                THEN 'has version ' || coalesce(version_now, 'none') || ' of the collation ' || collation_then || ' now, ' || version_then
                     || ' when the job was submitted: its rows may be in another order' END
      FROM key
)
SELECT (SELECT thing || ' ' || what FROM changes WHERE what IS NOT NULL ORDER BY rank, thing LIMIT 1),
       (SELECT string_agg(concat(schema, '.', name), ', ' ORDER BY schema, name)
          FROM found CROSS JOIN job
         WHERE frozen AND NOT EXISTS (SELECT FROM known WHERE known.schema = found.schema AND known.name = found.name)),
       (SELECT string_agg(oid::text, ' ' ORDER BY oid) FROM found),
       (SELECT string_agg(concat_ws('/', atttypid, atttypmod, attcollation), ' ' ORDER BY number) FROM key),
       current_setting('server_version_num'),
       'false',
       NULL
