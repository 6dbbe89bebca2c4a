-- Ends exactly the connection that the former owner's batches ran on, if it still lives, and waits until it is gone: its
-- locks block the site and us. The job's lock names it: a user-level lock ends with its connection, behind the roll-back, and ids of
-- connections don't come again. From here on the lock is ours. KILL takes no subquery.
-- https://dev.mysql.com/doc/refman/8.0/en/locking-functions.html
-- $1 job
SET @backfilld_end = (
    SELECT CONCAT('KILL ', p.id)
      FROM information_schema.processlist AS p
     WHERE p.id = IS_USED_LOCK(CONCAT('backfilld:', LEFT(SHA2($1, 256), 48)))
       AND p.id <> CONNECTION_ID() AND p.user = SUBSTRING_INDEX(USER(), '@', 1));
SET @backfilld_end = COALESCE(@backfilld_end, 'DO 0');
PREPARE backfilld_end FROM @backfilld_end;
EXECUTE backfilld_end;
DEALLOCATE PREPARE backfilld_end;
DO IF(IS_USED_LOCK(CONCAT('backfilld:', LEFT(SHA2($1, 256), 48))) = CONNECTION_ID(), 1,
      GET_LOCK(CONCAT('backfilld:', LEFT(SHA2($1, 256), 48)), 2))
