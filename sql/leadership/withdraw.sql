-- $1 leadership id, $2 epoch, $3 session id, $4 component. Column: outcome (done, unchanged). Safe to retry.
SELECT withdraw($1::integer, $2::bigint, $3::uuid, $4::text)
