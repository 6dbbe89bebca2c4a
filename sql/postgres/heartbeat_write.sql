-- No row on a server that the control tables don't belong to: its replicas are not the ones we ask.
-- $1 daemon, $2 slot, $3 instance, $4 sequence number, $5 our monotonic clock
-- Its commit waits for the disk, as the site's do: what that takes is a reading. And what waits for the WAL writer instead would be
-- sent to the replicas up to wal_writer_delay later, and be taken for lag. It never waits for standbys, which may be why we are held. set_config(…, true)
-- lasts for this statement's own transaction, which is safe behind a transaction pooler too.
WITH setting AS MATERIALIZED (SELECT pg_catalog.set_config('synchronous_commit', 'local', true))
INSERT INTO backfill.heartbeat (daemon, slot, instance, seq, mono_us, written_at)
SELECT $1, $2::integer, $3, $4::bigint, $5::bigint, clock_timestamp() FROM setting
 WHERE EXISTS (SELECT FROM backfill.meta, pg_control_system() AS here
                WHERE meta.name = 'identity' AND meta.value = here.system_identifier || '/' || current_database())
ON CONFLICT (daemon, slot) DO UPDATE
   SET instance = excluded.instance, seq = excluded.seq, mono_us = excluded.mono_us, written_at = excluded.written_at
