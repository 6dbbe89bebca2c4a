-- $1 id
SELECT state, epoch, settings::text, definition,
       (SELECT name || ' ' || value FROM backfill.meta WHERE name LIKE 'stop:%' LIMIT 1)
  FROM backfill.job WHERE id = $1 FOR UPDATE
