-- The list of a job. $1 cluster id, $2 job id, $3 only the latest?
-- Columns: checkpoint id, kind, retention, completed (milliseconds since 1970), epoch, SHA-256, metadata, pointer,
-- place among its pieces (a row number from 0 and the length of the metadata, as 32-bit integers; NULL: the row is whole).
-- Ascending; metadata of more than 1 MiB comes in rows of 1 MiB that follow each other. Any number of rows; safe to retry.
SELECT c.checkpoint_id, c.kind, c.retention, round(extract(epoch FROM c.completed_at) * 1000)::bigint, c.epoch, c.sha256::bytea,
       CASE WHEN c.large THEN substring(c.metadata FROM piece * 1048576 + 1 FOR 1048576) ELSE c.metadata END, c.pointer,
       CASE WHEN c.large THEN int4send(piece) || int4send(octet_length(c.metadata)) END
  FROM (
SELECT c.*, coalesce(octet_length(c.metadata), 0) > 1048576 AS large
  FROM checkpoint c
 WHERE c.cluster_id = $1::text AND c.job_id = $2::uuid AND c.state = 'completed'
   AND (NOT $3::boolean OR c.checkpoint_id = (
           SELECT max(x.checkpoint_id) FROM checkpoint x
            WHERE x.cluster_id = $1::text AND x.job_id = $2::uuid AND x.state = 'completed'))
 ORDER BY c.checkpoint_id) c
 CROSS JOIN LATERAL generate_series(0, CASE WHEN c.large THEN (octet_length(c.metadata) - 1) / 1048576 ELSE 0 END) AS piece
