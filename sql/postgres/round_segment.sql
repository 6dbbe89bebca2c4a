-- $1 job, $2 number, $3 leaf, $4 round, $5 after_key, $6 through_key, $7 epoch
INSERT INTO backfill.segment (job_id, number, leaf, round, after_key, through_key, epoch)
VALUES ($1, $2::integer, $3::integer, $4::integer, $5, $6, $7::bigint)
RETURNING number, leaf, after_key, through_key, position_key, batch_id, done::text, rows_scanned, rows_changed, rows_conflicted, round, ctid
