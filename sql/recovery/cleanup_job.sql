-- $1 leadership id, $2 epoch (both NULL: no fence), $3 cluster id, $4 job id, $5 store id that is not to be told (NULL).
-- Columns: rows removed, entries among them that were discarding. SQLSTATE PK001 when fenced. Safe to retry, unless somebody
-- else writes the same job meanwhile: the repetition removes that too.
SELECT c.removed, c.dropped FROM cleanup_job($1::integer, $2::bigint, $3::text, $4::uuid, $5::uuid) c
