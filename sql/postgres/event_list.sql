-- The newest ones, oldest first. $1 job or NULL, $2 how many
SELECT json_build_object('seq', seq, 'at', to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'), 'event', event, 'job', job_id,
                         'target', target, 'actor', actor, 'reason', reason, 'data', data)::text
  FROM (SELECT * FROM backfill.event WHERE $1::text IS NULL OR job_id = $1 ORDER BY seq DESC LIMIT $2::integer) AS newest
 ORDER BY seq
