-- Behind the login, and whatever the server or an option file makes of a session: each statement commits by itself, as the signs of life
-- do, and none is cut off or read in another way. Transactions pin what they need on top. The server's own DEFAULT may be anything.
-- Whatever a batch's settings pin the server tells of when something sets it otherwise, as a trigger may: until then they stand.
SET SESSION autocommit = 1, completion_type = 'NO_CHAIN',
    sql_mode = 'STRICT_ALL_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ZERO_DATE,NO_ZERO_IN_DATE,NO_ENGINE_SUBSTITUTION',
    time_zone = '+00:00', sql_select_limit = 18446744073709551615, sql_safe_updates = 0, sql_big_selects = 1, sql_auto_is_null = 0,
    group_concat_max_len = 1073741824,
    session_track_system_variables = CONCAT('sql_mode,time_zone,lc_time_names,character_set_client,character_set_results,collation_connection,'
        'div_precision_increment,default_week_format,sql_auto_is_null,sql_safe_updates,sql_select_limit,sql_big_selects,foreign_key_checks,'
        'unique_checks,group_concat_max_len,innodb_lock_wait_timeout,lock_wait_timeout,binlog_row_image,',
        /*M!110402 'innodb_snapshot_isolation,', */
        /*M!100600 'max_statement_time,idle_transaction_timeout,idle_readonly_transaction_timeout,idle_write_transaction_timeout' */
        /*!80000 'max_execution_time,wait_timeout' */),
    /*M!100600 max_error_count = 64, max_statement_time = 10 */ /*!80000 max_execution_time = 10000 */
