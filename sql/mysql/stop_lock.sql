-- Waits for every change of state that has looked for stop flags before ours was there: stop_jobs, with a snapshot of its
-- own, then sees what it made of the job. In id order, as every transaction that locks several jobs.
SELECT id
  FROM backfill.job FORCE INDEX (PRIMARY)
 WHERE state NOT IN ('completed', 'cancelled', 'rolled_back')
 ORDER BY id
   FOR UPDATE
