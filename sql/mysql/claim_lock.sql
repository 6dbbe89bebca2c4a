-- First the lock, then the look: the second statement reads what was committed while we waited, and nobody changes the row any more.
-- `stranger` says why nothing may be written here: a connection that was made anew may lead to a restored copy; and a server that is read
-- only, the former primary perhaps, still lets some roles write.
-- $1 job, $2 owner, $3 owner's prefix, $4 owner time-out in ms, $5 the server that the control connection leads to
SELECT id FROM backfill.job WHERE id = $1 FOR UPDATE;
SELECT state, definition, settings, shape, freeze_marker, IF(frozen_at IS NULL, 'false', 'true'), estimated_rows, owner,
       IF(state = 'running' AND (owner IS NULL OR owner = $2 OR LEFT(owner, CHAR_LENGTH($3)) = $3 OR owner_seen_at IS NULL
          OR owner_seen_at < UTC_TIMESTAMP(6) - INTERVAL CAST($4 AS SIGNED) * 1000 MICROSECOND), 'true', 'false') AS claimable,
       (SELECT value FROM backfill.meta WHERE name LIKE 'stop:%' LIMIT 1) AS stop,
       CASE WHEN NOT home.value <=> here.server
            THEN CONCAT('the control tables were made on another server (', COALESCE(home.value, 'not known'), '), this is ', here.server)
            WHEN CONCAT(@@global.read_only) NOT IN ('0', 'OFF') THEN 'the server is read only'
            WHEN here.server <> $5 THEN CONCAT('this connection leads to ', here.server, ', the control connection to ', $5) END AS stranger,
       round, phase, freeze_writers
  FROM backfill.job
 CROSS JOIN (SELECT /*M!100600 CONCAT(@@hostname, ':', @@port, ':', @@datadir, '#', @@server_id) */ /*!80000 @@server_uuid */ AS server) AS here
  LEFT JOIN backfill.meta AS home ON home.name = 'identity'
 WHERE id = $1
