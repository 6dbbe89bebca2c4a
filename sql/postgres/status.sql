-- What the server is: one row.
SELECT current_user, current_database(), current_setting('server_version'), pg_is_in_recovery()::text,
       (to_regclass('backfill.meta') IS NOT NULL)::text,
       (SELECT system_identifier || '/' || current_database() FROM pg_control_system())
