-- $1 job, $2 owner, $3 epoch, $4 running ms, $5 held ms, $6 failed, $7 retried, $8 split: what was added since
UPDATE backfill.job
   SET owner_seen_at = UTC_TIMESTAMP(6), running_ms = running_ms + CAST($4 AS SIGNED), held_ms = held_ms + CAST($5 AS SIGNED),
       failed_batches = failed_batches + CAST($6 AS SIGNED), retried_batches = retried_batches + CAST($7 AS SIGNED), split_batches = split_batches + CAST($8 AS SIGNED)
 WHERE id = $1 AND owner = $2 AND epoch = CAST($3 AS SIGNED) AND state = 'running'
