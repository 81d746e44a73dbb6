-- $1 leadership id, $2 epoch, $3 session id, $4 reason, $5 detail. Safe to retry.
SELECT report_end($1::integer, $2::bigint, $3::uuid, $4::text, $5::text)
