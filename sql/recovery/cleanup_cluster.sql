-- One batch. $1 leadership id, $2 epoch (both NULL: no fence), $3 cluster id, $4 at most so many rows.
-- Columns: rows removed, is there more? SQLSTATE PK001 when fenced. Safe to retry.
SELECT c.removed, c.more FROM cleanup_cluster($1::integer, $2::bigint, $3::text, $4::integer) c
