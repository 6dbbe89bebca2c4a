-- One submission at a time, so that of two with one id the later sees the other: a row that isn't there can't be locked.
-- $1 id, $2 target, $3 table, $4 kind, $5 definition, $6 sha256, $7 shape, $8 estimated rows, $9 actor
SELECT name FROM backfill.meta WHERE name = 'schema_version' FOR UPDATE;
INSERT INTO backfill.job (id, target, table_name, kind, definition, sha256, shape, estimated_rows, submitted_by, submitted_at, state, phase)
SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, UTC_TIMESTAMP(6), 'pending', 'full' FROM backfill.meta
 WHERE name = 'schema_version' AND NOT EXISTS (SELECT 1 FROM backfill.job WHERE id = $1)
