-- A change of state: the fence is raised with it, so that no batch of the former state can commit any more. Assignments are made from
-- left to right, each on what those before it left: `state` is the last that is read, and the last.
-- The first marker is this transaction's own id: what was open when the job was first started has a smaller one. How it is learnt, see
-- round_take.sql; if it can't be, whoever writes is waited for.
-- $1 id, $2 state, $3 reason
UPDATE backfill.job
   SET reason = $3, epoch = epoch + 1,
       owner = IF($2 = 'running', owner, NULL),
       owner_seen_at = IF($2 = 'running', owner_seen_at, NULL),
       started_at = IF($2 = 'running', COALESCE(started_at, UTC_TIMESTAMP(6)), started_at),
       paused_ms = paused_ms + IF(state = 'paused' AND paused_at IS NOT NULL,
                                  TIMESTAMPDIFF(MICROSECOND, paused_at, UTC_TIMESTAMP(6)) DIV 1000, 0),
       paused_at = IF($2 = 'paused', UTC_TIMESTAMP(6), NULL),
       finished_at = IF($2 IN ('completed', 'failed', 'cancelled', 'rolled_back'), UTC_TIMESTAMP(6), NULL),
       state = $2
 WHERE id = $1;
SET @backfilld_marker = (SELECT IF(state = 'running', freeze_marker, 'none') FROM backfill.job WHERE id = $1);
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
UPDATE backfill.job
   SET freeze_marker = COALESCE(@backfilld_marker, '18446744073709551615')
 WHERE id = $1 AND state = 'running' AND freeze_marker IS NULL;
SELECT epoch FROM backfill.job WHERE id = $1
