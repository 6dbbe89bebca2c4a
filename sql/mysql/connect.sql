-- Behind the login, and whatever the server or an option file makes of a session: each statement commits by itself, as the signs of life
-- do, and none is cut off or read in another way. Transactions pin what they need on top. The server's own DEFAULT may be anything.
SET SESSION autocommit = 1, completion_type = 'NO_CHAIN',
    sql_mode = 'STRICT_ALL_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ZERO_DATE,NO_ZERO_IN_DATE,NO_ENGINE_SUBSTITUTION',
    time_zone = '+00:00', sql_select_limit = 18446744073709551615, sql_safe_updates = 0, sql_big_selects = 1, sql_auto_is_null = 0,
    group_concat_max_len = 1073741824,
    /*M!100600 max_error_count = 64, max_statement_time = 10 */ /*!80000 max_execution_time = 10000 */
