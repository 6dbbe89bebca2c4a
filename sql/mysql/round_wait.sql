-- The transactions of this server that may have written below the last keys: those that are older than the marker (a prepared one has
-- no connection), and those whose statement had begun before it: such a statement itself, unless it only reads, and what it then opened.
-- Both are counted in whole seconds of two clocks, and may seem to have begun a second later than they have.
-- What innodb_trx shows is never older than the look by which the marker was found.
-- Who asks often keeps it from being read anew, as in round_take.sql: one at a time.
-- $1 marker, $2 who was in the middle of a statement then
DO IF(IS_USED_LOCK('backfilld:innodb_trx') <=> CONNECTION_ID(), 1, GET_LOCK('backfilld:innodb_trx', 2));
WITH trx AS (
    SELECT trx_id, trx_mysql_thread_id AS id, trx_query,
           trx_rows_modified > 0 OR trx_tables_locked > 0 OR trx_lock_structs > 0 AS writes,
           TIMESTAMPDIFF(SECOND, '1970-01-01', CONVERT_TZ(trx_started, 'SYSTEM', '+00:00')) AS started
      FROM information_schema.innodb_trx
), then_busy AS (
    SELECT id, user, info, TIMESTAMPDIFF(SECOND, '1970-01-01', UTC_TIMESTAMP()) - time AS began, command
      FROM information_schema.processlist
     WHERE JSON_CONTAINS(JSON_EXTRACT($2, '$.connections'), CAST(id AS CHAR))
), open AS (
    SELECT trx.trx_id, trx.id, trx.started, trx.trx_query AS query
      FROM trx
     WHERE trx.writes
       AND (trx.trx_id < CAST($1 AS UNSIGNED)
            OR trx.started <= JSON_EXTRACT($2, '$.at') + 1 AND trx.id IN (SELECT id FROM then_busy))
     UNION
    SELECT NULL, b.id, b.began, b.info
      FROM then_busy AS b
     WHERE b.command IN ('Query', 'Execute') AND b.began <= JSON_EXTRACT($2, '$.at') + 1
       AND NOT EXISTS (SELECT 1 FROM trx WHERE trx.id = b.id)
)
SELECT COUNT(*) OVER (), COALESCE(NULLIF(open.id, 0), CONCAT('trx ', open.trx_id)), COALESCE(p.user, 'unknown user'),
       COALESCE(TIMESTAMPDIFF(SECOND, '1970-01-01', UTC_TIMESTAMP()) - open.started, '?'),
       COALESCE(LEFT(REGEXP_REPLACE(open.query, '[[:space:]]+', ' '), 120), IF(open.id = 0, 'prepared transaction', '')),
       IF(MAX(open.id <=> 0) OVER (), 'true', 'false')
  FROM open
  LEFT JOIN information_schema.processlist AS p ON p.id = open.id
 WHERE open.id <> CONNECTION_ID()
 ORDER BY open.started
 LIMIT 1;
DO RELEASE_LOCK('backfilld:innodb_trx')
