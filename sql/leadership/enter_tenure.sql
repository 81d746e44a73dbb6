-- $1 leadership id, $2 epoch. Column: backend pid. Safe to retry.
SELECT enter_tenure($1::integer, $2::bigint)
