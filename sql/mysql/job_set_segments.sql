-- $1 id, $2 epoch, $3 stopped
UPDATE backfill.segment SET epoch = $2, stopped = ($3 = 'true') WHERE job_id = $1
