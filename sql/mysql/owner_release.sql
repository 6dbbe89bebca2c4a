-- $1 job, $2 owner, $3 epoch
UPDATE backfill.job
   SET owner = NULL, owner_seen_at = NULL, backend_pid = NULL, epoch = epoch + 1
 WHERE id = $1 AND owner = $2 AND epoch = CAST($3 AS SIGNED)
