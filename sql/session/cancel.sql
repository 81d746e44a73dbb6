-- $1 pid of another session of this role whose wait is to end early. Column: was it there. Safe to retry.
SELECT pg_cancel_backend($1::integer)
