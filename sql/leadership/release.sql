-- $1 leadership id, $2 epoch, $3 session id, $4 reason, $5 was it granted, $6 milliseconds to stand back.
-- Column: outcome (done, fenced). Not retried after an unclear answer.
SELECT release($1::integer, $2::bigint, $3::uuid, $4::text, $5::boolean, $6::integer)
