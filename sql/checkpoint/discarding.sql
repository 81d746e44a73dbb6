-- What is to be discarded, of one job or of all, one row at a time or more, going on after the last one seen.
-- $1 cluster id, $2 job id (NULL: all), $3 job id and $4 checkpoint id of the last one seen (NULL: from the start),
-- $5 at most so many, $6 leadership id, $7 epoch (both NULL: no fence).
-- Columns: job id, checkpoint id, kind, retention, completed (milliseconds since 1970), epoch, SHA-256, metadata,
-- pointer, id of its write, place among its pieces as in list.sql; ascending. SQLSTATE PK001 when fenced: who is deposed
-- must remove nothing. Safe to retry.
SELECT c.job_id, c.checkpoint_id, c.kind, c.retention, round(extract(epoch FROM c.completed_at) * 1000)::bigint, c.epoch,
       c.sha256, substring(c.metadata FROM piece * 1048576 + 1 FOR 1048576), c.pointer, c.op_id,
       CASE WHEN octet_length(c.metadata) > 1048576 THEN int4send(piece) || int4send(octet_length(c.metadata)) END
  FROM (SELECT * FROM checkpoint e
         WHERE (SELECT may_write($6::integer, $7::bigint, $1::text)) AND e.cluster_id = $1::text AND e.state = 'discarding'
           AND ($2::uuid IS NULL OR e.job_id = $2::uuid)
           AND ($3::uuid IS NULL OR (e.job_id, e.checkpoint_id) > ($3::uuid, $4::bigint))
         ORDER BY e.job_id, e.checkpoint_id
         LIMIT $5::bigint) c
 CROSS JOIN LATERAL generate_series(0, (coalesce(octet_length(c.metadata), 1) - 1) / 1048576) AS piece
