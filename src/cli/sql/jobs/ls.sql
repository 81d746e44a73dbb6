-- Jobs of which anything is stored: stat_jobs, times in UTC. $1 cluster id or NULL for all, $2 status in the registry or
-- NULL for all, $3 at most so many or NULL. Read only.
SELECT s.job, s.status, s.result_status, s.graph_bytes, coalesce(s.live_owners <> '{}', false) AS owned,
       s.cluster_id, s.result_state, s.requirements_bytes, s.version, s.epoch_text, s.checkpoints, s.discarding, s.retained,
       s.latest_checkpoint, s.next_checkpoint_id, s.blobs, s.blob_bytes,
       to_char(s.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS created_at,
       to_char(s.updated_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS updated_at
  FROM stat_jobs s
 WHERE ($1::text IS NULL OR s.cluster_id = $1::text) AND ($2::text IS NULL OR s.status = $2::text)
 ORDER BY s.cluster_id, s.job_id
 LIMIT $3::bigint
