-- Raises the fence and reads what is committed. $1 job, $2 epoch
UPDATE backfill.segment
   SET epoch = $2::bigint
 WHERE job_id = $1
RETURNING number, leaf, after_key, through_key, position_key, batch_id, done::text, rows_scanned, rows_changed, rows_conflicted, round, ctid
