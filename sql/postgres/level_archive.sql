-- How many WAL files wait for the archiver: those between the last one that it took and the one that is being written; where it never
-- took any, those from the one that it fails at. Columns as in level_active.sql.
WITH file AS (
    SELECT what, left(name, 24) AS name
      FROM pg_stat_archiver, LATERAL (VALUES ('here', pg_walfile_name(pg_current_wal_lsn())), ('done', last_archived_wal),
                                             ('failed', last_failed_wal)) AS one(what, name)
     WHERE name ~ '^[0-9A-F]{24}'
), number AS (
    SELECT what, ('x' || substr(name, 9, 8))::bit(32)::bigint * (4294967296 / size.bytes) + ('x' || substr(name, 17, 8))::bit(32)::bigint AS n
      FROM file, (SELECT setting::bigint AS bytes FROM pg_settings WHERE name = 'wal_segment_size') AS size
), waiting AS (
    SELECT greatest(0, here.n - coalesce((SELECT n + 1 FROM number WHERE what = 'done'), (SELECT n FROM number WHERE what = 'failed'), here.n)) AS files
      FROM number AS here WHERE what = 'here')
SELECT CASE WHEN archives THEN (SELECT files FROM waiting) ELSE 0 END, NULL, CASE WHEN archives THEN 'pg_stat_archiver' ELSE 'archive_mode is off' END,
       CASE WHEN last_failed_time > coalesce(last_archived_time, '-infinity') THEN 'the archiver failed at ' || last_failed_wal END, NULL
  FROM pg_stat_archiver, (SELECT current_setting('archive_mode') <> 'off') AS mode(archives)
