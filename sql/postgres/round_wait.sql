-- The writing transactions of this database that are older than the marker: they have an xid below it and are still in
-- progress. Every snapshot taken after the marker's own transaction ended lists all of them in its xip; one is left out only
-- when it is proven to belong to another database. $1 marker (xid8)
WITH open AS (
    SELECT x, (x::text::numeric % 4294967296)::bigint AS xid32
      FROM pg_snapshot_xip(pg_current_snapshot()) AS x
     WHERE x < $1::xid8)
SELECT count(*) OVER (),
       coalesce(a.pid::text, p.gid, 'xid ' || o.x::text),
       coalesce(a.usename::text, p.owner::text, 'unknown user'),
       coalesce(extract(epoch FROM clock_timestamp() - coalesce(a.xact_start, p.prepared))::bigint::text, '?'),
       coalesce(CASE WHEN a.query = '<insufficient privilege>' THEN 'a query we may not see (GRANT pg_read_all_stats shows it)' END,
                left(regexp_replace(a.query, '\s+', ' ', 'g'), 120), CASE WHEN p.gid IS NOT NULL THEN 'prepared transaction' END, '')
  FROM open o
  LEFT JOIN pg_stat_activity a ON a.backend_xid::text::bigint = o.xid32
  LEFT JOIN pg_prepared_xacts p ON p.transaction::text::bigint = o.xid32
 WHERE coalesce(a.datname, p.database, current_database()) = current_database()
   AND a.pid IS DISTINCT FROM pg_backend_pid()
 ORDER BY coalesce(a.xact_start, p.prepared) NULLS LAST
 LIMIT 1
