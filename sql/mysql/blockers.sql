-- Who keeps our batch waiting: the oldest. $1 our connection's id
SELECT b.trx_mysql_thread_id, COALESCE(p.user, '?'),
       TIMESTAMPDIFF(SECOND, CONVERT_TZ(b.trx_started, 'SYSTEM', '+00:00'), UTC_TIMESTAMP()),
       COALESCE(LEFT(REGEXP_REPLACE(b.trx_query, '[[:space:]]+', ' '), 120), '')
  FROM information_schema.innodb_trx AS r
  JOIN /*M!100600 information_schema.innodb_lock_waits AS w ON w.requesting_trx_id = r.trx_id
       JOIN information_schema.innodb_trx AS b ON b.trx_id = w.blocking_trx_id */
       /*!80000 performance_schema.data_lock_waits AS w ON w.requesting_engine_transaction_id = r.trx_id
       JOIN information_schema.innodb_trx AS b ON b.trx_id = w.blocking_engine_transaction_id */
  LEFT JOIN information_schema.processlist AS p ON p.id = b.trx_mysql_thread_id
 WHERE r.trx_mysql_thread_id = CAST($1 AS UNSIGNED)
 ORDER BY b.trx_started LIMIT 1
