-- Begins a round, behind the look at its last keys: this is where the transaction gets its id, the marker, and so whatever wrote
-- below those keys has a smaller one, or has the table open for writing now: between the id of a row and that of its transaction
-- a trigger may take its time. Without segments there is nothing to wait for.
-- $1 job, $2 epoch, $3 round that went before, $4 phase, $5 has segments, $6 estimated rows
UPDATE backfill.job
   SET round = $3::integer + 1, phase = $4, freeze_marker = pg_current_xact_id()::text,
       freeze_writers = (
           SELECT array_agg(DISTINCT l.virtualtransaction)::text
             FROM jsonb_array_elements(shape -> 'leaves') AS leaf
            CROSS JOIN LATERAL (SELECT (leaf ->> 'oid')::oid UNION SELECT relid FROM pg_partition_ancestors((leaf ->> 'oid')::oid)) AS r (oid)
             JOIN pg_locks l ON l.relation = r.oid AND l.mode = 'RowExclusiveLock' AND l.granted
             JOIN pg_database d ON d.oid = l.database AND d.datname = current_database()),
       frozen_at = CASE WHEN $5::boolean THEN NULL ELSE clock_timestamp() END, estimated_rows = $6::bigint
 WHERE id = $1 AND epoch = $2::bigint AND state = 'running' AND greatest(round, (frozen_at IS NOT NULL)::integer) = $3::integer
   AND NOT EXISTS (SELECT FROM backfill.meta WHERE name LIKE 'stop:%')
   AND NOT EXISTS (SELECT FROM backfill.segment WHERE job_id = $1 AND NOT done)
RETURNING freeze_marker, freeze_writers
