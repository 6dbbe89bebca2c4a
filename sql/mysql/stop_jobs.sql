-- The rows are locked (stop_lock.sql), so both statements mean the same ones. In id order, as every other transaction that locks
-- several jobs. $1 reason
SELECT j.id, (SELECT COALESCE(SUM(s.batch_id), 0) FROM backfill.segment AS s WHERE s.job_id = j.id)
  FROM backfill.job AS j
 WHERE j.state = 'running'
 ORDER BY j.id
   FOR UPDATE;
UPDATE backfill.job
   SET state = 'paused', reason = $1, epoch = epoch + 1, owner = NULL, owner_seen_at = NULL, paused_at = UTC_TIMESTAMP(6)
 WHERE state = 'running'
 ORDER BY id
