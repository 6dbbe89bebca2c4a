-- A deferred constraint fails in the statement that breaks it.
SET CONSTRAINTS ALL IMMEDIATE
