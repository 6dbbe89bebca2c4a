-- How many of the site's sessions are at work. All level_….sql answer with: value (NULL: not known), why it isn't, source, who is
-- behind it, a limit of the server's own; or with no row where there is no such thing.
SELECT CASE WHEN shown THEN (
           SELECT count(*) FROM pg_stat_activity
            WHERE state IN ('active', 'fastpath function call') AND backend_type = 'client backend'
              AND NOT (usename = current_user AND application_name LIKE 'backfilld%')) END,
       CASE WHEN NOT shown THEN 'the role sees only its own sessions: GRANT pg_read_all_stats (or pg_monitor) TO ' || quote_ident(current_user) END,
       'pg_stat_activity', NULL, NULL
  FROM pg_has_role('pg_read_all_stats', 'USAGE') AS shown
