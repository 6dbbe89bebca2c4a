-- Raises the fence and reads what is committed: the UPDATE waits for a batch that is at its checkpoint, and the rows are ours then.
-- $1 job, $2 epoch
UPDATE backfill.segment SET epoch = $2 WHERE job_id = $1;
SELECT number, leaf, after_key, through_key, position_key, batch_id, IF(done, 'true', 'false'), rows_scanned, rows_changed,
       rows_conflicted, round, ''
  FROM backfill.segment
 WHERE job_id = $1
