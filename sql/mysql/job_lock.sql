-- First the lock, then the look, as in claim_lock.sql. $1 id
SELECT id FROM backfill.job WHERE id = $1 FOR UPDATE;
SELECT state, epoch, settings, definition,
       (SELECT CONCAT(name, ' ', value) FROM backfill.meta WHERE name LIKE 'stop:%' LIMIT 1)
  FROM backfill.job WHERE id = $1
