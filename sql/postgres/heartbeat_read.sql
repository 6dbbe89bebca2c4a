-- $1 daemon, $2 instance: the newest heartbeat that arrived
SELECT max(mono_us) FROM backfill.heartbeat WHERE daemon = $1 AND instance = $2
