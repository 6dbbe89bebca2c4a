-- $1 event, $2 job, $3 target, $4 actor, $5 reason, $6 data
INSERT INTO backfill.event (at, event, job_id, target, actor, reason, data)
VALUES (UTC_TIMESTAMP(6), $1, $2, $3, $4, $5, COALESCE($6, '{}'));
SELECT seq, TIMESTAMPDIFF(MICROSECOND, '1970-01-01', at) FROM backfill.event WHERE seq = LAST_INSERT_ID()
