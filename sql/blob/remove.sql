-- $1 leadership id, $2 epoch (both NULL: no fence), $3 cluster id, $4 job id (NULL: none), $5 key. Columns: rows removed,
-- are there loose objects to be swept? SQLSTATE PK001 when fenced. Safe to retry: what somebody else has put meanwhile
-- goes too.
SELECT r.removed, r.loose FROM blob_remove($1::integer, $2::bigint, $3::text, $4::uuid, $5::text) r
