-- $1 job, $2 epoch
UPDATE backfill.job SET frozen_at = clock_timestamp() WHERE id = $1 AND epoch = $2::bigint
