-- A transaction that works on the table: READ COMMITTED, which control_begin.sql has said for the session.
START TRANSACTION READ WRITE
