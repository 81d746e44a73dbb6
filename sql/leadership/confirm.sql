-- $1 leadership id, $2 epoch, $3 session id, $4 component, $5 address.
-- Column: outcome (done, unchanged, conflict); SQLSTATE PK001 when fenced. Safe to retry.
SELECT confirm($1::integer, $2::bigint, $3::uuid, $4::text, $5::text)
