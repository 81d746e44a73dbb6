-- All that is known of one job: stat_jobs, times in UTC, and who owns its graph. $1 cluster id, $2 job id. Read only.
SELECT s.job, s.cluster_id, s.status, s.result_state, s.result_status, s.graph_bytes, s.requirements_bytes, s.version,
       s.epoch_text,
       to_char(s.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS created_at,
       to_char(s.updated_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS updated_at,
       (SELECT string_agg(format('leader of group "%s", epoch %s', l.group_name, epoch_text(o.epoch)), ', ' ORDER BY l.id)
          FROM job_store o JOIN leadership l ON l.id = o.leadership_id
         WHERE o.store_id = ANY (s.live_owners)) AS owned_by,
       s.checkpoints, s.discarding, s.retained, s.latest_checkpoint, s.next_checkpoint_id,
       s.blobs, s.blob_bytes
  FROM stat_jobs s
 WHERE s.cluster_id = $1::text AND s.job_id = $2::uuid
