-- One row behind histogram_leave_out.sql: how it is called what histogram_read.sql reads, whether our own statements are out of it, and why
-- it can't be used, if so. MariaDB says nothing of a plugin that is not there.
/*!80000 SELECT 'events_statements_histogram_global without ours', 'true',
       CASE WHEN @@performance_schema = 0 THEN 'performance_schema is off'
            WHEN COALESCE((SELECT instrumented FROM performance_schema.threads WHERE processlist_id = CONNECTION_ID()), 'YES') = 'YES'
            THEN 'our connections can''t be told by their program_name: performance_schema_session_connect_attrs_size is too small' END */
/*M!100600 SELECT 'QUERY_RESPONSE_TIME with ours, in powers of 2', 'false',
       (SELECT CASE WHEN COUNT(*) = 0 THEN 'the plugin query_response_time is not loaded'
                    WHEN MAX(variable_value) <> 'ON' THEN 'query_response_time_stats is OFF' END
          FROM information_schema.global_variables WHERE variable_name = 'QUERY_RESPONSE_TIME_STATS') */
