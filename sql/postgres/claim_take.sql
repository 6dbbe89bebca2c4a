-- Takes the job for the connection this runs on. $1 job, $2 owner
UPDATE backfill.job
   SET owner = $2, owner_seen_at = clock_timestamp(), epoch = epoch + 1, backend_pid = pg_backend_pid(),
       backend_start = (SELECT backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid())
 WHERE id = $1
RETURNING epoch
