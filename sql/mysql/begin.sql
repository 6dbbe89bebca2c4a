-- A transaction that works on the table. The isolation level is said before it, for it alone: SET SESSION inside a transaction
-- means the next one. https://dev.mysql.com/doc/refman/8.0/en/set-transaction.html
SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
START TRANSACTION READ WRITE
