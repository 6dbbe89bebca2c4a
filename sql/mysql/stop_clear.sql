-- $1 'stop:<daemon>', or 'stop:%' for all of them
DELETE FROM backfill.meta WHERE name = $1 OR ($1 = 'stop:%' AND name LIKE $1)
