-- Who keeps our batch waiting: the oldest. $1 our backend's pid
SELECT a.pid, coalesce(a.usename::text, '?'), coalesce(extract(epoch FROM clock_timestamp() - a.xact_start)::bigint::text, '?'),
       coalesce(CASE WHEN a.query = '<insufficient privilege>' THEN 'a query we may not see (GRANT pg_read_all_stats shows it)' END,
                left(regexp_replace(a.query, '\s+', ' ', 'g'), 120), '')
  FROM unnest(pg_blocking_pids($1::integer)) AS b(pid) JOIN pg_stat_activity a USING (pid)
 ORDER BY a.xact_start NULLS LAST LIMIT 1
