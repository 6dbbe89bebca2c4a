-- $1 daemon, $2 instance: the newest heartbeat that arrived, whether this is a standby, and by how many µs it is meant
-- to be late
SELECT max(mono_us), pg_is_in_recovery(),
       (extract(epoch FROM current_setting('recovery_min_apply_delay')::interval) * 1000000)::bigint
  FROM backfill.heartbeat
 WHERE daemon = $1 AND instance = $2
