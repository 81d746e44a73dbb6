-- The latest checkpoints. $1 cluster id. Read only.
SELECT c.job, c.checkpoint_id AS id, c.kind, c.state, date_trunc('second', clock_timestamp() - c.created_at)::text AS age,
       pg_size_pretty(c.metadata_bytes::bigint) AS metadata, c.retention, c.pointer
  FROM stat_checkpoints c WHERE c.cluster_id = $1::text
 ORDER BY c.created_at DESC, c.job, c.checkpoint_id DESC LIMIT 40
