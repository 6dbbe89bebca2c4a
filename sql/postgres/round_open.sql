-- Whoever wrote below the round's last keys has ended. $1 job, $2 epoch, $3 round
UPDATE backfill.job
   SET frozen_at = clock_timestamp()
 WHERE id = $1 AND epoch = $2::bigint AND round = $3::integer AND state = 'running' AND frozen_at IS NULL
