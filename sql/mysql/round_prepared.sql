-- The prepared transactions, younger ones too: the last column is the name. InnoDB's own list has none. MySQL shows them to who has
-- XA_RECOVER_ADMIN. https://dev.mysql.com/doc/refman/8.4/en/xa-statements.html https://mariadb.com/kb/en/xa-transactions/
XA RECOVER /*M! FORMAT = 'SQL' */
