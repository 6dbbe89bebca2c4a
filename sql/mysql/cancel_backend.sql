-- Cancels what the job's connection runs, and nobody else's: the one that has the job's lock. $1 job
SET @backfilld_cancel = (
    SELECT CONCAT('KILL QUERY ', p.id)
      FROM information_schema.processlist AS p
     WHERE p.id = IS_USED_LOCK(CONCAT('backfilld:', LEFT(SHA2($1, 256), 48)))
       AND p.id <> CONNECTION_ID() AND p.user = SUBSTRING_INDEX(USER(), '@', 1));
SET @backfilld_cancel = COALESCE(@backfilld_cancel, 'DO 0');
PREPARE backfilld_cancel FROM @backfilld_cancel;
EXECUTE backfilld_cancel;
DEALLOCATE PREPARE backfilld_cancel
