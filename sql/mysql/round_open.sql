-- Whoever wrote below the round's last keys has ended. $1 job, $2 epoch, $3 round
UPDATE backfill.job
   SET frozen_at = UTC_TIMESTAMP(6)
 WHERE id = $1 AND epoch = CAST($2 AS SIGNED) AND round = CAST($3 AS SIGNED) AND state = 'running' AND frozen_at IS NULL
