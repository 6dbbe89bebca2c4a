-- Takes our connections out of what the server counts, for as long as they last: those of our account that say they are the daemon's. By
-- threads alone: which statements are ours can't be told from digests, for BEGIN, SET and COMMIT are everybody's. MariaDB's plugin counts all.
-- https://dev.mysql.com/doc/refman/8.4/en/performance-schema-threads-table.html
/*!80000 UPDATE performance_schema.threads AS t
   SET t.instrumented = 'NO'
 WHERE t.instrumented = 'YES'
   AND t.processlist_user = LEFT(USER(), CHAR_LENGTH(USER()) - LOCATE('@', REVERSE(USER())))
   AND t.processlist_id IN (SELECT a.processlist_id FROM performance_schema.session_account_connect_attrs AS a
                             WHERE a.attr_name = 'program_name' AND a.attr_value LIKE 'backfilld%') */
