-- The first step of every transaction on the control tables: a connection that was made anew may lead to another server
-- than the one we have looked at. Nothing is written on one that the tables don't belong to; only `adopt` binds them to it.
DO $$
DECLARE
    here text := (SELECT system_identifier || '/' || current_database() FROM pg_control_system());
    home text := (SELECT value FROM backfill.meta WHERE name = 'identity');
BEGIN
    IF home IS DISTINCT FROM here THEN
        RAISE EXCEPTION 'the control tables were made on another server or database (%), this is %', coalesce(home, 'not known'), here
            USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;
END $$
