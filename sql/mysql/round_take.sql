-- Begins a round, behind the look at its last keys: the UPDATE is where the transaction gets its id, the marker, and so whatever wrote
-- below those keys has a smaller one, or was in the middle of a statement: InnoDB draws AUTO_INCREMENT before it gives a transaction its
-- id. Those are written down first. Without segments there is nothing to wait for.
-- The id is found in innodb_trx, which may show what was read up to 0.1 s ago, or longer if others look more often than that: the answer is
-- this very statement's if our own line says that it is being executed, known by a text that never was before. Otherwise no row is the
-- answer. https://dev.mysql.com/doc/refman/8.0/en/innodb-information-schema-internal-data.html
-- So that jobs which begin together don't keep the list from being read anew, they look one after the other. A lock that an error has left
-- behind is not taken twice, and released by the next look; the others go on without it after 2 s.
-- $1 job, $2 epoch, $3 round that went before, $4 phase, $5 has segments, $6 estimated rows
SET @backfilld_writers = (
    SELECT JSON_OBJECT('at', TIMESTAMPDIFF(SECOND, '1970-01-01', UTC_TIMESTAMP()), 'connections', JSON_ARRAYAGG(id))
      FROM information_schema.processlist
     WHERE command IN ('Query', 'Execute') AND id <> CONNECTION_ID());
SET @backfilld_marker = NULL;
UPDATE backfill.job
   SET round = CAST($3 AS SIGNED) + 1, phase = $4, freeze_writers = @backfilld_writers,
       frozen_at = IF($5 = 'true', NULL, UTC_TIMESTAMP(6)), estimated_rows = $6
 WHERE id = $1 AND epoch = CAST($2 AS SIGNED) AND state = 'running'
   AND GREATEST(round, frozen_at IS NOT NULL) = CAST($3 AS SIGNED)
   AND NOT EXISTS (SELECT 1 FROM backfill.meta WHERE name LIKE 'stop:%')
   AND NOT EXISTS (SELECT 1 FROM backfill.segment WHERE job_id = $1 AND NOT done);
SET @backfilld_taken = ROW_COUNT();
SET @backfilld_look = CONCAT('SELECT COALESCE(@backfilld_marker, MAX(trx_id)) INTO @backfilld_marker FROM information_schema.innodb_trx '
                             'WHERE trx_mysql_thread_id = CONNECTION_ID() AND INSTR(trx_query, ''', UUID(), ''') > 0');
DO IF(IS_USED_LOCK('backfilld:innodb_trx') <=> CONNECTION_ID(), 1, GET_LOCK('backfilld:innodb_trx', 2));
PREPARE backfilld_look FROM @backfilld_look;
EXECUTE backfilld_look;
DO IF(@backfilld_marker IS NULL, SLEEP(0.12), 0);
EXECUTE backfilld_look;
DO IF(@backfilld_marker IS NULL, SLEEP(0.12), 0);
EXECUTE backfilld_look;
DEALLOCATE PREPARE backfilld_look;
DO RELEASE_LOCK('backfilld:innodb_trx');
UPDATE backfill.job SET freeze_marker = @backfilld_marker WHERE id = $1 AND @backfilld_taken = 1;
SELECT freeze_marker, freeze_writers FROM backfill.job WHERE id = $1 AND @backfilld_taken = 1 AND @backfilld_marker IS NOT NULL
