-- One batch. $1 leadership id, $2 epoch (both NULL: no fence), $3 cluster id, $4 job id (NULL: none), $5 at most so many.
-- Columns: rows removed, is there more? Their objects are to be swept. SQLSTATE PK001 when fenced. Safe to retry.
SELECT r.removed, r.more FROM blob_remove_job($1::integer, $2::bigint, $3::text, $4::uuid, $5::integer) r
