-- Whether this is a standby, and by how many µs it is meant to be late
SELECT pg_is_in_recovery(), (extract(epoch FROM current_setting('recovery_min_apply_delay')::interval) * 1000000)::bigint
