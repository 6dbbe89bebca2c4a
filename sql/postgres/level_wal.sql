-- The bytes of WAL that the worst replication slot keeps. The server's own limit is max_wal_size: beyond it a slot's wal_status is not
-- `reserved` any more, which it may lose earlier (max_slot_wal_keep_size). What is lost keeps nothing. Columns as in level_active.sql.
WITH slots AS (
    SELECT slot_name, active, wal_status, pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn) AS bytes
      FROM pg_replication_slots
     WHERE restart_lsn IS NOT NULL AND wal_status <> 'lost'
), worst AS (SELECT * FROM slots ORDER BY wal_status <> 'reserved' DESC, bytes DESC LIMIT 1)
SELECT coalesce(worst.bytes, 0), NULL, 'pg_replication_slots',
       'slot ' || slot_name || CASE WHEN active THEN '' ELSE ', inactive' END || ', wal_status ' || wal_status,
       CASE WHEN wal_status <> 'reserved' THEN least(most.bytes, worst.bytes) ELSE most.bytes END
  FROM (SELECT setting::numeric * 1024 * 1024 AS bytes FROM pg_settings WHERE name = 'max_wal_size') AS most LEFT JOIN worst ON true
