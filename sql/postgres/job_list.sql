-- One JSON object a job, as `show` prints it, but for what only its owner knows. $1 id or NULL, $2 state or NULL
SELECT json_build_object(
    'id', j.id, 'target', j.target, 'table', j.table_name, 'kind', j.kind, 'state', j.state, 'phase', j.phase, 'round', j.round, 'reason', j.reason,
    'rows', json_build_object('estimated', j.estimated_rows, 'scanned', s.scanned, 'changed', s.changed, 'conflicted', s.conflicted, 'quarantined', 0),
    'batches', json_build_object('committed', s.batches, 'failed', j.failed_batches, 'retried', j.retried_batches, 'split', j.split_batches,
                                 'last_id', s.batches),
    'segments', s.list, 'owner', regexp_replace(j.owner, '^([^|]*)\|.*\|([0-9]+)$', '\1:\2'), 'epoch', j.epoch, 'submitted_by', j.submitted_by,
    'submitted_at', to_char(j.submitted_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
    'started_at', to_char(j.started_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
    'finished_at', to_char(j.finished_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
    'seconds', json_build_object('running', j.running_ms / 1000.0, 'held', j.held_ms / 1000.0,
        'paused', (j.paused_ms + CASE WHEN j.state = 'paused' THEN extract(epoch FROM clock_timestamp() - j.paused_at) * 1000 ELSE 0 END)::bigint / 1000.0),
    'settings', j.settings, 'sha256', j.sha256)::text
  FROM backfill.job j
 CROSS JOIN LATERAL (
    SELECT coalesce(sum(rows_scanned), 0) AS scanned, coalesce(sum(rows_changed), 0) AS changed,
           coalesce(sum(rows_conflicted), 0) AS conflicted, coalesce(sum(batch_id), 0) AS batches,
           coalesce(json_agg(json_build_object('number', number, 'after', after_key::json, 'through', through_key::json,
                'position', position_key::json, 'rows_scanned', rows_scanned, 'rows_changed', rows_changed, 'done', done) ORDER BY number), '[]') AS list
      FROM backfill.segment WHERE job_id = j.id) AS s
 WHERE ($1::text IS NULL OR j.id = $1) AND ($2::text IS NULL OR j.state = $2)
 ORDER BY j.submitted_at, j.id
