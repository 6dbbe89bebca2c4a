-- How long InnoDB's history list is: old versions that nobody could purge yet. Columns as in sql/postgres/level_active.sql.
SELECT count, NULL, 'innodb_metrics', NULL, NULL FROM information_schema.innodb_metrics WHERE name = 'trx_rseg_history_len'
