-- Ends exactly the connection that the former owner's batches ran on, if it still lives, and waits until it is gone: its
-- locks block the site and us. The job's lock names it: a user-level lock ends with its connection, behind the roll-back, and ids of
-- connections don't come again. From here on the lock is ours. KILL takes no subquery. A session that
-- is in a trigger counts as the definer's: it is refused then (1095), and asked for again, unless our role may end anybody's.
-- https://dev.mysql.com/doc/refman/8.0/en/locking-functions.html
-- $1 job
SET @backfilld_end = COALESCE(CONCAT('KILL ', NULLIF(IS_USED_LOCK(CONCAT('backfilld:', LEFT(SHA2($1, 256), 48))), CONNECTION_ID())), 'DO 0');
PREPARE backfilld_end FROM @backfilld_end;
EXECUTE backfilld_end;
DEALLOCATE PREPARE backfilld_end;
DO IF(IS_USED_LOCK(CONCAT('backfilld:', LEFT(SHA2($1, 256), 48))) = CONNECTION_ID(), 1,
      GET_LOCK(CONCAT('backfilld:', LEFT(SHA2($1, 256), 48)), 2))
