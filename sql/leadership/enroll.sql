-- $1 member id, $2 cluster id, $3 group. Column: leadership id. Safe to retry.
SELECT enroll($1::integer, $2::text, $3::text)
