-- $1 leadership id, $2 epoch, $3 act (take_over, release). Column: backend pid. Safe to retry.
SELECT announce_tenure($1::integer, $2::bigint, $3::text)
