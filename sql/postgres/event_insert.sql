-- $1 event, $2 job, $3 target, $4 actor, $5 reason, $6 data
INSERT INTO backfill.event (event, job_id, target, actor, reason, data) VALUES ($1, $2, $3, $4, $5, coalesce($6, '{}')::jsonb)
RETURNING seq, (extract(epoch FROM at) * 1000000)::bigint
