-- $1 'stop:<daemon>' or 'stop:%'
DELETE FROM backfill.meta WHERE name LIKE $1
