-- Binds the control tables to this server, if both are still what the operator was told of. $1 the server's identity,
-- $2 what the tables said, NULL: nothing. The other server's standbys are of no concern here.
WITH forgotten AS (DELETE FROM backfill.meta WHERE name LIKE 'standby:%')
INSERT INTO backfill.meta
    SELECT 'identity', $1::text FROM pg_control_system() WHERE system_identifier || '/' || current_database() = $1
ON CONFLICT (name) DO UPDATE SET value = excluded.value WHERE meta.value = $2
