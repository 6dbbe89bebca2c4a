-- One JSON object a job, as `show` prints it, but for what only its owner knows. $1 id or NULL, $2 state or NULL
SET SESSION group_concat_max_len = 1073741824;
SELECT JSON_OBJECT(
    'id', j.id, 'target', j.target, 'table', j.table_name, 'kind', j.kind, 'state', j.state, 'phase', j.phase, 'round', j.round, 'reason', j.reason,
    'rows', JSON_OBJECT('estimated', j.estimated_rows, 'scanned', COALESCE(s.scanned, 0), 'changed', COALESCE(s.changed, 0),
                        'conflicted', COALESCE(s.conflicted, 0), 'quarantined', 0),
    'batches', JSON_OBJECT('committed', COALESCE(s.batches, 0), 'failed', j.failed_batches, 'retried', j.retried_batches,
                           'split', j.split_batches, 'last_id', COALESCE(s.batches, 0)),
    'segments', JSON_EXTRACT(CONCAT('[', COALESCE(s.list, ''), ']'), '$'),
    'owner', CONCAT(SUBSTRING_INDEX(j.owner, '|', 1), ':', SUBSTRING_INDEX(j.owner, '|', -1)), 'epoch', j.epoch, 'submitted_by', j.submitted_by,
    'submitted_at', CONCAT(LEFT(DATE_FORMAT(j.submitted_at, '%Y-%m-%dT%H:%i:%s.%f'), 23), 'Z'),
    'started_at', CONCAT(LEFT(DATE_FORMAT(j.started_at, '%Y-%m-%dT%H:%i:%s.%f'), 23), 'Z'),
    'finished_at', CONCAT(LEFT(DATE_FORMAT(j.finished_at, '%Y-%m-%dT%H:%i:%s.%f'), 23), 'Z'),
    'seconds', JSON_OBJECT('running', j.running_ms / 1000, 'held', j.held_ms / 1000,
        'paused', (j.paused_ms + IF(j.state = 'paused', COALESCE(TIMESTAMPDIFF(MICROSECOND, j.paused_at, UTC_TIMESTAMP(6)) DIV 1000, 0), 0)) / 1000),
    'settings', JSON_EXTRACT(j.settings, '$'), 'sha256', j.sha256)
  FROM backfill.job AS j
  LEFT JOIN (
    SELECT job_id, SUM(rows_scanned) AS scanned, SUM(rows_changed) AS changed, SUM(rows_conflicted) AS conflicted, SUM(batch_id) AS batches,
           GROUP_CONCAT(JSON_OBJECT('number', number, 'after', JSON_EXTRACT(after_key, '$'), 'through', JSON_EXTRACT(through_key, '$'),
                'position', JSON_EXTRACT(position_key, '$'), 'rows_scanned', rows_scanned, 'rows_changed', rows_changed,
                'done', JSON_EXTRACT(IF(done, 'true', 'false'), '$')) ORDER BY number SEPARATOR ',') AS list
      FROM backfill.segment
     WHERE $1 IS NULL OR job_id = $1
     GROUP BY job_id) AS s ON s.job_id = j.id
 WHERE ($1 IS NULL OR j.id = $1) AND ($2 IS NULL OR j.state = $2)
 ORDER BY j.submitted_at, j.id
