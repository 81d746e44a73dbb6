-- Checkpoints and savepoints: stat_checkpoints, times in UTC. $1 cluster id or NULL for all, $2 job id or NULL for all,
-- $3 state or NULL for all, $4 at most so many or NULL. Read only.
SELECT c.job, c.checkpoint_id, c.kind, c.state, c.cluster_id, c.retention, c.metadata_bytes, c.pointer, c.epoch_text,
       to_char(c.completed_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS completed_at,
       to_char(c.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS created_at,
       to_char(c.updated_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS updated_at
  FROM stat_checkpoints c
 WHERE ($1::text IS NULL OR c.cluster_id = $1::text) AND ($2::uuid IS NULL OR c.job_id = $2::uuid)
   AND ($3::text IS NULL OR c.state = $3::text)
 ORDER BY c.cluster_id, c.job_id, c.checkpoint_id
 LIMIT $4::bigint
