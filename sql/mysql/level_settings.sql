-- A probe that is slow must not become a load.
SET SESSION /*M!100600 max_statement_time = 1 */ /*!80000 max_execution_time = 1000 */
