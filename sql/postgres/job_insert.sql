-- $1 id, $2 target, $3 table, $4 kind, $5 definition, $6 sha256, $7 shape, $8 estimated rows, $9 actor
INSERT INTO backfill.job (id, target, table_name, kind, definition, sha256, shape, estimated_rows, submitted_by, state, phase)
VALUES ($1, $2, $3, $4, $5, $6, $7::jsonb, $8::bigint, $9, 'pending', 'full')
ON CONFLICT (id) DO NOTHING
RETURNING id
