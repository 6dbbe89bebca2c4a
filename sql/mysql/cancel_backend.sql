-- Cancels what the job's connection runs, and nobody else's: the one that has the job's lock. Refused as in claim_end_backend.sql. $1 job
SET @backfilld_cancel = COALESCE(CONCAT('KILL QUERY ', NULLIF(IS_USED_LOCK(CONCAT('backfilld:', LEFT(SHA2($1, 256), 48))), CONNECTION_ID())), 'DO 0');
PREPARE backfilld_cancel FROM @backfilld_cancel;
EXECUTE backfilld_cancel;
DEALLOCATE PREPARE backfilld_cancel
