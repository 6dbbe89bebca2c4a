-- How old the oldest transaction is, in seconds, that keeps InnoDB's history from being purged: a prepared one has no connection. Ours are
-- known by their account. Columns as in sql/postgres/level_active.sql.
SELECT COALESCE(MAX(o.age), 0), NULL, 'innodb_trx', MAX(o.who), NULL
  FROM (SELECT TIMESTAMPDIFF(SECOND, CONVERT_TZ(t.trx_started, 'SYSTEM', '+00:00'), UTC_TIMESTAMP()) AS age,
               CONCAT(IF(t.trx_mysql_thread_id = 0, 'prepared transaction', CONCAT('id ', t.trx_mysql_thread_id)), ', user ', COALESCE(p.user, '?'),
                      ', ', COALESCE(LEFT(REGEXP_REPLACE(t.trx_query, '[[:space:]]+', ' '), 70), 'idle')) AS who
          FROM information_schema.innodb_trx AS t
          LEFT JOIN information_schema.processlist AS p ON p.id = t.trx_mysql_thread_id
         WHERE NOT p.user <=> SUBSTRING_INDEX(USER(), '@', 1)
         ORDER BY t.trx_started LIMIT 1) AS o
