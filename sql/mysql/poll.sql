-- Jobs that may need an owner, and those that are ours. $1 owner, $2 owner's prefix without the pid (a predecessor on
-- the same socket: dead, as we hold its lock), $3 owner time-out in ms, $4 target: another one
-- may lead to the same database
SELECT id
  FROM backfill.job
 WHERE state = 'running' AND target = $4
   AND (owner IS NULL OR owner = $1 OR LEFT(owner, CHAR_LENGTH($2)) = $2
        OR owner_seen_at < UTC_TIMESTAMP(6) - INTERVAL CAST($3 AS SIGNED) * 1000 MICROSECOND)
 ORDER BY started_at, id
