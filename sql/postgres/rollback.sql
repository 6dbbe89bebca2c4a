-- Ends a transaction that only looked.
ROLLBACK
