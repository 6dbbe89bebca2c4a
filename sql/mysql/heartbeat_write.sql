-- No row on a server that the control tables don't belong to, as its replicas are not the ones we ask. Nor on one that is read only,
-- though it may let our role write: an error with a text of ours, as in identity.sql.
-- $1 daemon, $2 slot, $3 instance, $4 sequence number, $5 our monotonic clock
-- By the SELECT the answer is of one row however the first statement wrote it: it counts an insertion as one row, a change as two.
-- It is what replicas know this server by.
SET SESSION completion_type = IF(CONCAT(@@global.read_only) IN ('0', 'OFF'), 'NO_CHAIN', 'the server is read only');
INSERT INTO backfill.heartbeat (daemon, slot, instance, seq, mono_us, written_at)
SELECT $1, $2, $3, $4, $5, UTC_TIMESTAMP(6) FROM backfill.meta
 WHERE name = 'identity'
   AND value = /*M!100600 CONCAT(@@hostname, ':', @@port, ':', @@datadir, '#', @@server_id) */ /*!80000 @@server_uuid */
ON DUPLICATE KEY UPDATE instance = $3, seq = $4, mono_us = $5, written_at = UTC_TIMESTAMP(6);
SELECT /*M!100600 @@server_id */ /*!80000 @@server_uuid */ FROM backfill.meta
 WHERE name = 'identity'
   AND value = /*M!100600 CONCAT(@@hostname, ':', @@port, ':', @@datadir, '#', @@server_id) */ /*!80000 @@server_uuid */
