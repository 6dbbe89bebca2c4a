-- The first step of every transaction on the control tables: a connection that was made anew may lead to another server
-- than the one we have looked at. Nothing is written on one that the tables don't belong to; only `adopt` binds them to it. Nor on one
-- that is read only, the former primary perhaps: some roles it lets write all the same.
-- A statement that fails with a text of ours: SIGNAL knows no condition outside of stored programs, a wrong value (1231) is shown.
SET SESSION completion_type = (
    SELECT CASE WHEN NOT home.value <=> here.server
                THEN CONCAT('the control tables were made on another server (', COALESCE(home.value, 'not known'), '), this is ', here.server)
                WHEN CONCAT(@@global.read_only) NOT IN ('0', 'OFF') THEN 'the server is read only'
                ELSE 'NO_CHAIN' END
      FROM (SELECT /*M!100600 CONCAT(@@hostname, ':', @@port, ':', @@datadir, '#', @@server_id) */ /*!80000 @@server_uuid */ AS server) AS here
      LEFT JOIN backfill.meta AS home ON home.name = 'identity')
