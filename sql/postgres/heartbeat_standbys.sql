-- The physical standbys as the primary sees them: name, state, replayed up to, bytes still to replay, replay_lag in µs; without bytes
-- the state is why its lag is not known. pg_receivewal and pg_basebackup replay nothing: their replay_lsn is NULL.
-- Their names are remembered, on the control tables' own server: one that vanishes while no daemon looks is missing, too.
WITH listed AS MATERIALIZED (
    SELECT CASE WHEN r.application_name IN ('', 'walreceiver') AND r.client_addr IS NOT NULL THEN host(r.client_addr)
                ELSE r.application_name END AS name,
           coalesce(r.state, 'the role needs pg_monitor to see it in pg_stat_replication'), (r.replay_lsn - '0/0'::pg_lsn)::bigint, pg_wal_lsn_diff(pg_current_wal_lsn(), r.replay_lsn)::bigint,
           (extract(epoch FROM r.replay_lag) * 1000000)::bigint, r.client_addr, r.client_port
      FROM pg_stat_replication r
     WHERE (r.replay_lsn IS NOT NULL OR r.state IS NULL)
       AND NOT EXISTS (SELECT FROM pg_replication_slots s WHERE s.slot_type = 'logical' AND s.active_pid = r.pid)
), remembered AS (
    INSERT INTO backfill.meta
    SELECT DISTINCT 'standby:' || l.name, clock_timestamp()::text FROM listed l
     WHERE NOT EXISTS (SELECT FROM backfill.meta m WHERE m.name = 'standby:' || l.name)
       AND EXISTS (SELECT FROM backfill.meta m, pg_control_system() AS here
                    WHERE m.name = 'identity' AND m.value = here.system_identifier || '/' || current_database())
    ON CONFLICT DO NOTHING
)
SELECT * FROM listed
 UNION ALL
SELECT substr(m.name, 9), 'vanished', NULL, NULL, NULL, NULL, NULL FROM backfill.meta m
 WHERE m.name LIKE 'standby:%' AND NOT EXISTS (SELECT FROM listed l WHERE m.name = 'standby:' || l.name)
 ORDER BY name, client_addr, client_port
