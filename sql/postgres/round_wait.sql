-- The writing transactions of this database that may have written below the last keys: those that are older than the marker, so
-- they have an xid below it and are still in progress, and those that had the table open for writing and no xid yet. Every
-- snapshot taken after the marker's own transaction ended lists all of the former in its xip; one is left out only when it is
-- proven to belong to another database. $1 marker (xid8), $2 writers of the table (virtual transaction ids)
WITH older AS (
    SELECT x, (x::text::numeric % 4294967296)::bigint AS xid32
      FROM pg_snapshot_xip(pg_current_snapshot()) AS x
     WHERE x < $1::xid8
), open AS (
    SELECT o.x, a.pid, p.gid, coalesce(a.datname, p.database) AS database, p.owner, p.prepared
      FROM older o
      LEFT JOIN pg_stat_activity a ON a.backend_xid::text::bigint = o.xid32
      LEFT JOIN pg_prepared_xacts p ON p.transaction::text::bigint = o.xid32
     UNION ALL
    SELECT NULL, a.pid, NULL, a.datname, NULL, NULL
      FROM pg_locks l
      JOIN pg_stat_activity a ON a.pid = l.pid
     WHERE l.locktype = 'virtualxid' AND l.granted AND l.virtualxid = ANY ($2::text[])
       AND NOT EXISTS (SELECT FROM older WHERE xid32 = a.backend_xid::text::bigint))
SELECT count(*) OVER (),
       coalesce(o.pid::text, o.gid, 'xid ' || o.x::text),
       coalesce(a.usename::text, o.owner::text, 'unknown user'),
       coalesce(extract(epoch FROM clock_timestamp() - coalesce(a.xact_start, o.prepared))::bigint::text, '?'),
       coalesce(CASE WHEN a.query = '<insufficient privilege>' THEN 'a query we may not see (GRANT pg_read_all_stats shows it)' END,
                left(regexp_replace(a.query, '\s+', ' ', 'g'), 120), CASE WHEN o.gid IS NOT NULL THEN 'prepared transaction' END, ''),
       'false' -- prepared transactions have their names here
  FROM open o
  LEFT JOIN pg_stat_activity a ON a.pid = o.pid
 WHERE coalesce(o.database, current_database()) = current_database()
   AND o.pid IS DISTINCT FROM pg_backend_pid()
 ORDER BY coalesce(a.xact_start, o.prepared) NULLS LAST
 LIMIT 1
