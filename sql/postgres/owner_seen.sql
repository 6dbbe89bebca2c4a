-- $1 job, $2 owner, $3 epoch, $4 running ms, $5 held ms, $6 failed, $7 retried, $8 split: what was added since
UPDATE backfill.job
   SET owner_seen_at = clock_timestamp(), running_ms = running_ms + $4::bigint, held_ms = held_ms + $5::bigint,
       failed_batches = failed_batches + $6::bigint, retried_batches = retried_batches + $7::bigint, split_batches = split_batches + $8::bigint
 WHERE id = $1 AND owner = $2 AND epoch = $3::bigint AND state = 'running'
