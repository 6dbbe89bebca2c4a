-- $1 job, $2 owner, $3 epoch
UPDATE backfill.job
   SET state = 'completed', reason = NULL, finished_at = UTC_TIMESTAMP(6), epoch = epoch + 1, owner = NULL, owner_seen_at = NULL,
       backend_pid = NULL
 WHERE id = $1 AND owner = $2 AND epoch = CAST($3 AS SIGNED) AND state = 'running'
   AND NOT EXISTS (SELECT 1 FROM backfill.segment AS s WHERE s.job_id = $1 AND NOT s.done)
