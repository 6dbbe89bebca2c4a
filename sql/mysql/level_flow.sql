-- For how long Galera's flow control has stopped this node, in nanoseconds since it joined. No row where there is no Galera. Columns as
-- in sql/postgres/level_active.sql.
SELECT variable_value, NULL, 'wsrep_flow_control_paused_ns', NULL, NULL
  FROM /*M!100600 information_schema.global_status */ /*!80000 performance_schema.global_status */
 WHERE variable_name = 'wsrep_flow_control_paused_ns'
