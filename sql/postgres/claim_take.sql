-- Takes the job for the connection this runs on. Behind a pooler the protocol tells another pid than the server: the session
-- may serve somebody else the next moment, so it is not remembered; idle_in_transaction_session_timeout ends what we leave.
-- $1 job, $2 owner, $3 our backend's pid by the protocol
UPDATE backfill.job
   SET owner = $2, owner_seen_at = clock_timestamp(), epoch = epoch + 1,
       backend_pid = CASE WHEN pg_backend_pid() = $3::bigint THEN pg_backend_pid() END,
       backend_start = (SELECT backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid() AND pid = $3::bigint)
 WHERE id = $1
RETURNING epoch, (backend_pid IS NOT NULL)::text
