-- How many of the site's sessions of this database wait for a lock, and who has waited longest. Columns as in level_active.sql.
WITH waiting AS (
    SELECT pid, usename, state_change FROM pg_stat_activity
     WHERE wait_event_type = 'Lock' AND datname = current_database()
       AND NOT (usename = current_user AND application_name LIKE 'backfilld%'))
SELECT CASE WHEN shown THEN (SELECT count(*) FROM waiting) END,
       CASE WHEN NOT shown THEN 'the role sees only its own sessions: GRANT pg_read_all_stats (or pg_monitor) TO ' || quote_ident(current_user) END,
       'pg_stat_activity', (SELECT 'first pid ' || pid || ', user ' || usename FROM waiting ORDER BY state_change LIMIT 1), NULL
  FROM pg_has_role('pg_read_all_stats', 'USAGE') AS shown
