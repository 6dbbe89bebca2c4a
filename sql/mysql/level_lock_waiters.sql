-- How many of the site's transactions wait for a row, and who has waited longest. Ours are known by their account. Columns as in
-- sql/postgres/level_active.sql.
SELECT COUNT(*), NULL, 'innodb_trx',
       SUBSTRING_INDEX(GROUP_CONCAT(CONCAT('first id ', t.trx_mysql_thread_id, ', user ', COALESCE(p.user, '?')) ORDER BY t.trx_wait_started SEPARATOR '\n'), '\n', 1), NULL
  FROM information_schema.innodb_trx AS t
  LEFT JOIN information_schema.processlist AS p ON p.id = t.trx_mysql_thread_id
 WHERE t.trx_state = 'LOCK WAIT' AND NOT p.user <=> SUBSTRING_INDEX(USER(), '@', 1)
