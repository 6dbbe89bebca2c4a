-- $1 job, $2 owner, $3 owner's prefix, $4 owner time-out in ms
SELECT state, definition, settings::text, shape::text, freeze_marker, (frozen_at IS NOT NULL)::text, estimated_rows, owner,
       (state = 'running' AND (owner IS NULL OR owner = $2 OR starts_with(owner, $3)
         OR coalesce(owner_seen_at < clock_timestamp() - $4::bigint * interval '1 millisecond', true)))::text AS claimable,
       (SELECT value FROM backfill.meta WHERE name LIKE 'stop:%' LIMIT 1) AS stop
  FROM backfill.job
 WHERE id = $1
   FOR UPDATE
