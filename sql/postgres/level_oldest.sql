-- How old the oldest transaction of this database is, in seconds, that keeps dead rows from being removed: one with a snapshot or an
-- id of its own, or a prepared one. Nothing is older than 0 s where there is none. What a vacuum sees keeps nothing. Columns as in
-- level_active.sql.
WITH open AS (
    SELECT extract(epoch FROM clock_timestamp() - xact_start) AS age,
           'pid ' || pid || ', user ' || usename || ', ' || CASE WHEN state LIKE 'idle%' THEN state || ' behind: ' ELSE '' END
               || left(regexp_replace(query, '\s+', ' ', 'g'), 70) AS who
      FROM pg_stat_activity
     WHERE datname = current_database() AND coalesce(backend_xid, backend_xmin) IS NOT NULL AND backend_type <> 'autovacuum worker'
       AND NOT (usename = current_user AND application_name LIKE 'backfilld%')
     UNION ALL
    SELECT extract(epoch FROM clock_timestamp() - prepared), 'prepared transaction ' || gid || ', user ' || owner
      FROM pg_prepared_xacts WHERE database = current_database()
), oldest AS (SELECT * FROM open WHERE age IS NOT NULL ORDER BY age DESC LIMIT 1)
SELECT CASE WHEN shown THEN coalesce((SELECT age FROM oldest), 0) END,
       CASE WHEN NOT shown THEN 'the role sees only its own sessions: GRANT pg_read_all_stats (or pg_monitor) TO ' || quote_ident(current_user) END,
       'pg_stat_activity', (SELECT who FROM oldest), NULL
  FROM pg_has_role('pg_read_all_stats', 'USAGE') AS shown
