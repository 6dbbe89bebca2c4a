-- $1 job, $2 number, $3 leaf, $4 through_key, $5 epoch
INSERT INTO backfill.segment (job_id, number, leaf, through_key, epoch)
VALUES ($1, $2::integer, $3::integer, $4, $5::bigint)
RETURNING number, leaf, after_key, through_key, position_key, batch_id, done::text, rows_scanned, rows_changed, rows_conflicted
