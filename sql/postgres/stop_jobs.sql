-- $1 reason. In id order, as every other transaction that locks several jobs.
UPDATE backfill.job
   SET state = 'paused', reason = $1, epoch = epoch + 1, owner = NULL, owner_seen_at = NULL, paused_at = clock_timestamp()
 WHERE id IN (SELECT id FROM backfill.job WHERE state = 'running' ORDER BY id FOR UPDATE)
RETURNING id, (SELECT coalesce(sum(s.batch_id), 0) FROM backfill.segment s WHERE s.job_id = id)
