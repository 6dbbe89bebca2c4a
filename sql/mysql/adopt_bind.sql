-- Binds the control tables to this server, if both are still what the operator was told of. $1 the server's identity,
-- $2 what the tables said. The other server's standbys are of no concern here.
DELETE FROM backfill.meta WHERE name LIKE 'standby:%';
INSERT INTO backfill.meta
SELECT 'identity', $1 FROM backfill.meta WHERE name = 'schema_version' AND NOT EXISTS (SELECT 1 FROM backfill.meta WHERE name = 'identity');
UPDATE backfill.meta
   SET value = $1
 WHERE name = 'identity' AND value IN ($1, $2)
   AND $1 = /*M!100600 CONCAT(@@hostname, ':', @@port, ':', @@datadir, '#', @@server_id) */ /*!80000 @@server_uuid */
