-- $1 job, $2 number, $3 leaf, $4 round, $5 after_key, $6 through_key, $7 epoch
INSERT INTO backfill.segment (job_id, number, leaf, round, after_key, through_key, epoch, updated_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, UTC_TIMESTAMP(6));
SELECT number, leaf, after_key, through_key, position_key, batch_id, IF(done, 'true', 'false'), rows_scanned, rows_changed,
       rows_conflicted, round, ''
  FROM backfill.segment
 WHERE job_id = $1 AND number = CAST($2 AS SIGNED)
