-- $1 leadership id, $2 epoch (both NULL: no fence), $3 cluster id, $4 job id, $5 store id that is not to be told (NULL),
-- $6 id of this write.
-- Columns: rows removed, entries among them that were discarding; none when it had been done before; are there bytes of
-- blobs to be swept? SQLSTATE PK001 when fenced. Safe to retry with the same $6: of a job that is there again since it takes nothing.
WITH n AS MATERIALIZED (SELECT note_write($6::uuid) AS first)
SELECT c.removed, c.dropped, c.loose
  FROM n, cleanup_job($1::integer, $2::bigint, $3::text, CASE WHEN n.first THEN $4::uuid END, $5::uuid) c
