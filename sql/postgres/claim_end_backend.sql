-- Ends exactly the backend that the former owner's batches ran on, if it still lives, and waits until it is gone: its
-- locks block the site and us. https://www.postgresql.org/docs/15/functions-admin.html#FUNCTIONS-ADMIN-SIGNAL
-- $1 job
SELECT pg_terminate_backend(a.pid, 2000)
  FROM backfill.job j
  JOIN pg_stat_activity a ON a.pid = j.backend_pid AND a.backend_start = j.backend_start
 WHERE j.id = $1 AND a.pid <> pg_backend_pid() AND a.usename = current_user
