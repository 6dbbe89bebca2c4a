-- The sources that this server replicates from, and how its threads are. MariaDB tells it in this way alone, to those with REPLICA MONITOR:
-- its performance schema is off by default, and its process list does not know whose thread is whose. MySQL's performance schema waits
-- for nobody, as SHOW does for STOP REPLICA; here it answers with the same columns. The channel that a member of a group uses
-- while it joins rests for the remainder of its life.
-- https://mariadb.com/kb/en/show-replica-status/
-- https://dev.mysql.com/doc/refman/8.4/en/performance-schema-replication-tables.html
/*M!100600 SHOW ALL REPLICAS STATUS */
/*!80000 SELECT c.channel_name AS Connection_name, c.source_uuid AS Master_Server_Id, f.desired_delay AS SQL_Delay,
       CASE c.service_state WHEN 'ON' THEN 'Yes' WHEN 'OFF' THEN 'No' ELSE 'Connecting' END AS Slave_IO_Running,
       CASE a.service_state WHEN 'ON' THEN 'Yes' ELSE 'No' END AS Slave_SQL_Running,
       c.last_error_message AS Last_IO_Error,
       (SELECT MAX(w.last_error_message) FROM performance_schema.replication_applier_status_by_worker AS w
         WHERE w.channel_name = c.channel_name) AS Last_SQL_Error
  FROM performance_schema.replication_connection_status AS c
  JOIN performance_schema.replication_applier_status AS a USING (channel_name)
  JOIN performance_schema.replication_applier_configuration AS f USING (channel_name)
 WHERE c.channel_name <> 'group_replication_recovery' */
