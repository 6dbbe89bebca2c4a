-- $1 id, $2 settings
UPDATE backfill.job SET settings = $2::jsonb WHERE id = $1
