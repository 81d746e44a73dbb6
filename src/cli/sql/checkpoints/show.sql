-- One entry: stat_checkpoints, times in UTC. $1 cluster id, $2 job id, $3 checkpoint id or NULL for the latest of the
-- list. Read only.
SELECT c.job, c.checkpoint_id, c.cluster_id, c.kind, c.state, c.retention, c.metadata_bytes, c.pointer, c.epoch_text,
       to_char(c.completed_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS completed_at,
       to_char(c.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS created_at,
       to_char(c.updated_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS updated_at
  FROM stat_checkpoints c
 WHERE c.cluster_id = $1::text AND c.job_id = $2::uuid
   AND CASE WHEN $3::bigint IS NULL THEN c.state = 'completed' ELSE c.checkpoint_id = $3::bigint END
 ORDER BY c.checkpoint_id DESC
 LIMIT 1
