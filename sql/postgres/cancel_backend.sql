-- $1 pid
SELECT pg_cancel_backend($1::integer)
