-- One result: stat_results, times in UTC. $1 cluster id, $2 job id. Read only.
SELECT r.job, r.cluster_id, r.state, r.status, r.job_name,
       to_char(r.job_started_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS job_started_at,
       to_char(r.job_ended_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS job_ended_at,
       r.net_runtime_ms, r.accumulators_bytes, r.format_version, r.epoch_text,
       to_char(r.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS created_at,
       to_char(r.clean_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS clean_at,
       r.failure
  FROM stat_results r
 WHERE r.cluster_id = $1::text AND r.job_id = $2::uuid
