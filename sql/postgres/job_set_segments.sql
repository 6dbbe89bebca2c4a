-- $1 id, $2 epoch, $3 stopped
UPDATE backfill.segment SET epoch = $2::bigint, stopped = $3::boolean WHERE job_id = $1
