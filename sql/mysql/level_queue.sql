-- How far the longest queue of a member of the group is towards the length at which group replication's flow control begins. No row where
-- there is no group. Columns as in sql/postgres/level_active.sql.
/*M!100600 SELECT 1 LIMIT 0 */
/*!80000 SELECT MAX(GREATEST(count_transactions_in_queue / NULLIF(certifier.variable_value, 0),
                             count_transactions_remote_in_applier_queue / NULLIF(applier.variable_value, 0))), NULL,
                'replication_group_member_stats', NULL, 1
           FROM performance_schema.replication_group_member_stats
           JOIN performance_schema.global_variables AS mode ON mode.variable_name = 'group_replication_flow_control_mode' AND mode.variable_value = 'QUOTA'
           JOIN performance_schema.global_variables AS certifier ON certifier.variable_name = 'group_replication_flow_control_certifier_threshold'
           JOIN performance_schema.global_variables AS applier ON applier.variable_name = 'group_replication_flow_control_applier_threshold'
          GROUP BY mode.variable_name */
