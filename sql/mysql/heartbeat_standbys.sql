-- The replicas as the primary sees them: who reads its binary log. How far they are it can't tell: name, why the lag is not known (it is
-- read on a replica that is configured), and nothing else. Their names are remembered, on the control tables' own server: one that
-- vanishes while no daemon looks is missing, too. innodb_cmp takes the privilege without which the process list would show us ourselves.
INSERT INTO backfill.meta (name, value)
SELECT DISTINCT CONCAT('standby:', LEFT(p.host, CHAR_LENGTH(p.host) - LOCATE(':', REVERSE(p.host)))), CONCAT(UTC_TIMESTAMP(6))
  FROM information_schema.processlist AS p
  JOIN backfill.meta AS home ON home.name = 'identity'
   AND home.value = /*M!100600 CONCAT(@@hostname, ':', @@port, ':', @@datadir, '#', @@server_id) */ /*!80000 @@server_uuid */
 WHERE p.command IN ('Binlog Dump', 'Binlog Dump GTID') AND (SELECT COUNT(*) FROM information_schema.innodb_cmp) > 0
ON DUPLICATE KEY UPDATE value = backfill.meta.value;
SELECT LEFT(p.host, CHAR_LENGTH(p.host) - LOCATE(':', REVERSE(p.host))) AS name,
       'its lag is told by itself alone: name it in the target''s replicas, or leave it out by throttle.replicas' AS state, NULL, NULL, NULL, p.host AS address, NULL
  FROM information_schema.processlist AS p
 WHERE p.command IN ('Binlog Dump', 'Binlog Dump GTID')
 UNION ALL
SELECT SUBSTRING(m.name, 9), 'vanished', NULL, NULL, NULL, NULL, NULL
  FROM backfill.meta AS m
 WHERE m.name LIKE 'standby:%'
   AND NOT EXISTS (SELECT 1 FROM information_schema.processlist AS p
                    WHERE p.command IN ('Binlog Dump', 'Binlog Dump GTID')
                      AND m.name = CONCAT('standby:', LEFT(p.host, CHAR_LENGTH(p.host) - LOCATE(':', REVERSE(p.host)))))
 ORDER BY name, address
