-- Cancels what the job's connection runs, and nobody else's: by what its claim has written down on this server. $1 job
SELECT pg_cancel_backend(a.pid)
  FROM backfill.job j
  JOIN pg_stat_activity a ON a.pid = j.backend_pid AND a.backend_start = j.backend_start
 WHERE j.id = $1 AND a.usename = current_user
