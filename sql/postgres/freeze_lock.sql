-- $1 job, $2 epoch
SELECT 1
  FROM backfill.job
 WHERE id = $1 AND epoch = $2::bigint AND state = 'running' AND frozen_at IS NULL
   AND NOT EXISTS (SELECT FROM backfill.meta WHERE name LIKE 'stop:%')
   FOR UPDATE
