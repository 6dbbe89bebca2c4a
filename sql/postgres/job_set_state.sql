-- A change of state: the fence is raised with it, so that no batch of the former state can commit any more. The first
-- marker is this transaction's own xid: what was open when the job was first started has a smaller one.
-- $1 id, $2 state, $3 reason
UPDATE backfill.job
   SET state = $2, reason = $3, epoch = epoch + 1,
       owner = CASE WHEN $2 = 'running' THEN owner END,
       owner_seen_at = CASE WHEN $2 = 'running' THEN owner_seen_at END,
       freeze_marker = CASE WHEN $2 = 'running' THEN coalesce(freeze_marker, pg_current_xact_id()::text) ELSE freeze_marker END,
       started_at = CASE WHEN $2 = 'running' THEN coalesce(started_at, clock_timestamp()) ELSE started_at END,
       paused_ms = paused_ms + CASE WHEN state = 'paused' AND paused_at IS NOT NULL
                                    THEN (extract(epoch FROM clock_timestamp() - paused_at) * 1000)::bigint ELSE 0 END,
       paused_at = CASE WHEN $2 = 'paused' THEN clock_timestamp() END,
       finished_at = CASE WHEN $2 IN ('completed', 'failed', 'cancelled', 'rolled_back') THEN clock_timestamp() END
 WHERE id = $1
RETURNING epoch
