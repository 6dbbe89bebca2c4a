-- $1 job, $2 owner, $3 epoch
UPDATE backfill.job
   SET owner = NULL, owner_seen_at = NULL, backend_pid = NULL, backend_start = NULL, epoch = epoch + 1
 WHERE id = $1 AND owner = $2 AND epoch = $3::bigint
