-- The physical standbys as the primary sees them: name, state (NULL: hidden from us, which takes pg_monitor), replayed
-- up to, bytes still to replay, replay_lag in µs. pg_receivewal and pg_basebackup replay nothing: their replay_lsn is NULL.
SELECT CASE WHEN r.application_name IN ('', 'walreceiver') AND r.client_addr IS NOT NULL THEN host(r.client_addr)
            ELSE r.application_name END,
       r.state, (r.replay_lsn - '0/0'::pg_lsn)::bigint, pg_wal_lsn_diff(pg_current_wal_lsn(), r.replay_lsn)::bigint,
       (extract(epoch FROM r.replay_lag) * 1000000)::bigint
  FROM pg_stat_replication r
 WHERE (r.replay_lsn IS NOT NULL OR r.state IS NULL)
   AND NOT EXISTS (SELECT FROM pg_replication_slots s WHERE s.slot_type = 'logical' AND s.active_pid = r.pid)
 ORDER BY 1, r.client_addr, r.client_port
