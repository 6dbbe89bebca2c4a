-- `stranger` says why nothing may be written here: a connection that was made anew may lead to a restored copy.
-- A daemon of schema version 2 may have frozen the job after the upgrade: that was round 1.
-- $1 job, $2 owner, $3 owner's prefix, $4 owner time-out in ms, $5 the server that the control connection leads to
SELECT state, definition, settings::text, shape::text, freeze_marker, (frozen_at IS NOT NULL)::text, estimated_rows, owner,
       (state = 'running' AND (owner IS NULL OR owner = $2 OR starts_with(owner, $3)
         OR coalesce(owner_seen_at < clock_timestamp() - $4::bigint * interval '1 millisecond', true)))::text AS claimable,
       (SELECT value FROM backfill.meta WHERE name LIKE 'stop:%' LIMIT 1) AS stop,
       CASE WHEN home.value IS DISTINCT FROM here.server
            THEN 'the control tables were made on another server or database (' || coalesce(home.value, 'not known') || '), this is ' || here.server
            WHEN here.server <> $5 THEN 'this connection leads to ' || here.server || ', the control connection to ' || $5 END AS stranger,
       greatest(round, (frozen_at IS NOT NULL)::integer), phase, freeze_writers
  FROM backfill.job
 CROSS JOIN (SELECT system_identifier || '/' || current_database() AS server FROM pg_control_system()) AS here
  LEFT JOIN backfill.meta AS home ON home.name = 'identity'
 WHERE id = $1
   FOR UPDATE OF job
