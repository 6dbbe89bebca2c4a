-- The bytes that were written to the binary log since the server began. Columns as in sql/postgres/level_active.sql.
SELECT bytes, NULL, source, NULL, NULL
  FROM /*M!100600 (SELECT variable_value AS bytes, 'Binlog_bytes_written' AS source
                     FROM information_schema.global_status WHERE variable_name = 'BINLOG_BYTES_WRITTEN') */
       /*!80000 (SELECT sum_number_of_bytes_write AS bytes, 'file_summary_by_event_name' AS source
                   FROM performance_schema.file_summary_by_event_name WHERE event_name = 'wait/io/file/sql/binlog') */ AS written
