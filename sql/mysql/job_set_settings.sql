-- $1 id, $2 settings
UPDATE backfill.job SET settings = $2 WHERE id = $1
