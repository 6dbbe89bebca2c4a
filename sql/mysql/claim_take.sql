-- Takes the job for the connection this runs on, if the job's lock is its own: otherwise the former one still rolls back, and no
-- row is the answer. Behind a pooler the protocol tells another id than the server: the session may serve somebody else the next moment.
-- $1 job, $2 owner, $3 our connection's id by the protocol
UPDATE backfill.job
   SET owner = $2, owner_seen_at = UTC_TIMESTAMP(6), epoch = epoch + 1,
       backend_pid = IF(CONNECTION_ID() = CAST($3 AS UNSIGNED), CONNECTION_ID(), NULL)
 WHERE id = $1 AND IS_USED_LOCK(CONCAT('backfilld:', LEFT(SHA2($1, 256), 48))) = CONNECTION_ID();
SELECT epoch, IF(backend_pid IS NULL, 'false', 'true')
  FROM backfill.job
 WHERE id = $1 AND IS_USED_LOCK(CONCAT('backfilld:', LEFT(SHA2($1, 256), 48))) = CONNECTION_ID()
