-- A transaction that works on the table.
BEGIN ISOLATION LEVEL READ COMMITTED
