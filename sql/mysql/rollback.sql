-- The same as commit.sql for one that failed, or only looked.
ROLLBACK AND NO CHAIN NO RELEASE;
/*!80000 SET SESSION wait_timeout = DEFAULT */
