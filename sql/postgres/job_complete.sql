-- $1 job, $2 owner, $3 epoch
UPDATE backfill.job
   SET state = 'completed', reason = NULL, finished_at = clock_timestamp(), epoch = epoch + 1, owner = NULL, owner_seen_at = NULL,
       backend_pid = NULL, backend_start = NULL
 WHERE id = $1 AND owner = $2 AND epoch = $3::bigint AND state = 'running'
   AND NOT EXISTS (SELECT FROM backfill.segment s WHERE s.job_id = $1 AND NOT s.done)
