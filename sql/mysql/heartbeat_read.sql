-- $1 daemon, $2 instance: the newest heartbeat that arrived, whether this is a replica ('t'; or what is wrong with it), and by how many µs
-- it is meant to be late. MariaDB shows its threads in the process list only, which takes PROCESS, and its delay in the performance schema
-- only: where that is off the delay is taken for lag.
SELECT (SELECT MAX(mono_us) FROM backfill.heartbeat WHERE daemon = $1 AND instance = $2),
       /*M!100600 (SELECT CASE COALESCE(SUM(command = 'Slave_IO'), 0) > 0 WHEN true
                          THEN IF(SUM(command IN ('Slave_SQL', 'Slave_worker')) > 0, 't', 'its SQL thread is stopped')
                          ELSE IF(SUM(command IN ('Slave_SQL', 'Slave_worker')) > 0, 'its IO thread is stopped', 'f') END
                     FROM information_schema.processlist) */
       /*!80000 (SELECT CASE WHEN COUNT(*) = 0 OR SUM(c.service_state <> 'OFF') + SUM(a.service_state <> 'OFF') = 0 THEN 'f'
                             WHEN SUM(c.service_state = 'OFF') > 0 THEN 'its IO thread is stopped'
                             WHEN SUM(a.service_state = 'OFF') > 0 THEN 'its SQL thread is stopped' ELSE 't' END
                   FROM performance_schema.replication_connection_status AS c
                   JOIN performance_schema.replication_applier_status AS a USING (channel_name)) */,
       (SELECT COALESCE(MAX(desired_delay), 0) * 1000000 FROM performance_schema.replication_applier_configuration)
