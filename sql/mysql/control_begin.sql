-- Opens a transaction on the control tables. Its isolation level and access mode hold for what follows in the session, too: begin.sql
-- relies on that, as every session that works on a table begins with a claim.
SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED, READ WRITE;
START TRANSACTION;
SET SESSION sql_mode = 'STRICT_ALL_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ZERO_DATE,NO_ZERO_IN_DATE,NO_ENGINE_SUBSTITUTION',
    time_zone = '+00:00', character_set_client = utf8mb4, character_set_results = utf8mb4, collation_connection = utf8mb4_general_ci,
    foreign_key_checks = 1, unique_checks = 1, sql_safe_updates = 0, sql_select_limit = 18446744073709551615, group_concat_max_len = 1073741824,
    /*M!100600 max_statement_time = 10, idle_transaction_timeout = 2, idle_readonly_transaction_timeout = 2,
    idle_write_transaction_timeout = 2, */ /*!80000 max_execution_time = 10000, wait_timeout = 2, */
    innodb_lock_wait_timeout = 2, lock_wait_timeout = 2
