-- The list of a job. $1 cluster id, $2 job id, $3 only the latest?
-- Columns: checkpoint id, kind, retention, completed (milliseconds since 1970), epoch, SHA-256, metadata, pointer, place
-- among its pieces, of metadata, as in job_graph/recover_all.sql, but that what is large comes where it belongs;
-- ascending. Any number of rows; safe to retry.
SELECT c.checkpoint_id, c.kind, c.retention, round(extract(epoch FROM c.completed_at) * 1000)::bigint, c.epoch, c.sha256,
       substring(c.metadata FROM piece * 1048576 + 1 FOR 1048576), c.pointer,
       CASE WHEN octet_length(c.metadata) > 1048576 THEN int4send(piece) || int4send(octet_length(c.metadata)) END
  -- Ordered before they are cut: the pieces are not to be sorted.
  FROM (SELECT * FROM checkpoint e
         WHERE e.cluster_id = $1::text AND e.job_id = $2::uuid AND e.state = 'completed'
           AND (NOT $3::boolean OR e.checkpoint_id = (
                   SELECT max(x.checkpoint_id) FROM checkpoint x
                    WHERE x.cluster_id = $1::text AND x.job_id = $2::uuid AND x.state = 'completed'))
         ORDER BY e.checkpoint_id) c
 CROSS JOIN LATERAL generate_series(0, (coalesce(octet_length(c.metadata), 1) - 1) / 1048576) AS piece
