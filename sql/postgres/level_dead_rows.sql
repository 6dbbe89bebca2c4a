-- The dead rows of the table, or of its worst partition, over the number at which autovacuum would come. $1 its oid. Columns as in
-- level_active.sql.
WITH RECURSIVE part AS (
    SELECT $1::oid AS oid
     UNION
    SELECT i.inhrelid FROM part JOIN pg_inherits i ON i.inhparent = part.oid
), said AS (
    SELECT c.oid, greatest(c.reltuples, 0) AS rows,
           coalesce(max(o.option_value) FILTER (WHERE o.option_name = 'autovacuum_vacuum_threshold'), current_setting('autovacuum_vacuum_threshold'))::float8 AS base,
           coalesce(max(o.option_value) FILTER (WHERE o.option_name = 'autovacuum_vacuum_scale_factor'), current_setting('autovacuum_vacuum_scale_factor'))::float8 AS factor,
           nullif(coalesce(max(o.option_value) FILTER (WHERE o.option_name = 'autovacuum_vacuum_max_threshold'),
                           current_setting('autovacuum_vacuum_max_threshold', true), '-1')::float8, -1) AS most
      FROM part JOIN pg_class c USING (oid) LEFT JOIN LATERAL pg_options_to_table(c.reloptions) AS o ON true
     WHERE c.relkind IN ('r', 'm')
     GROUP BY c.oid, c.reltuples
), ratio AS (
    SELECT oid, pg_stat_get_dead_tuples(oid) AS dead, pg_stat_get_dead_tuples(oid) / greatest(least(base + factor * rows, most), 1) AS over
      FROM said)
SELECT over, NULL, 'pg_stat_get_dead_tuples', dead || ' in ' || oid::regclass, NULL FROM ratio ORDER BY over DESC LIMIT 1
