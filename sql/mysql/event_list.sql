-- The newest ones, oldest first. $1 job or NULL, $2 how many
SELECT JSON_OBJECT('seq', seq, 'at', CONCAT(LEFT(DATE_FORMAT(at, '%Y-%m-%dT%H:%i:%s.%f'), 23), 'Z'), 'event', event, 'job', job_id,
                   'target', target, 'actor', actor, 'reason', reason, 'data', JSON_EXTRACT(data, '$'))
  FROM (SELECT * FROM backfill.event WHERE $1 IS NULL OR job_id = $1 ORDER BY seq DESC LIMIT $2) AS newest
 ORDER BY seq
