-- What the server has counted since its start, or since somebody emptied it: number of the bucket from 0, its bounds in µs, statements.
-- Buckets that are left out are empty. MariaDB's base is what these rows say: a change of query_response_time_range_base waits for a flush.
-- https://dev.mysql.com/doc/refman/8.4/en/performance-schema-statement-histogram-summary-tables.html
-- https://mariadb.com/kb/en/query-response-time-plugin/
/*!80000 SELECT bucket_number, bucket_timer_low / 1000000, bucket_timer_high / 1000000, count_bucket
  FROM performance_schema.events_statements_histogram_global
 WHERE count_bucket > 0 */
/*M!100600 SELECT ROW_NUMBER() OVER bounds - 1, 1000000 * COALESCE(LAG(CAST(time AS DECIMAL(20, 6))) OVER bounds, 0),
       1000000 * CAST(time AS DECIMAL(20, 6)), count
  FROM information_schema.query_response_time
 WHERE time NOT LIKE 'TOO%'
WINDOW bounds AS (ORDER BY CAST(time AS DECIMAL(20, 6))) */
