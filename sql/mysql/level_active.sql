-- How many of the site's sessions are at work. Ours are known by their account. Columns as in sql/postgres/level_active.sql.
-- innodb_cmp takes the privilege without which the process list would show us ourselves.
SELECT COUNT(*), NULL, 'the process list', NULL, NULL
  FROM information_schema.processlist
 WHERE command NOT IN ('Sleep', 'Daemon', 'Connect', 'Binlog Dump', 'Binlog Dump GTID', 'Slave_IO', 'Slave_SQL', 'Slave_worker')
   AND user NOT IN ('system user', 'event_scheduler', 'unauthenticated user', SUBSTRING_INDEX(USER(), '@', 1))
   AND (SELECT COUNT(*) FROM information_schema.innodb_cmp) > 0
