-- Results: stat_results, times in UTC. $1 cluster id or NULL for all, $2 state or NULL for both, $3 at most so many or
-- NULL. Read only.
SELECT r.job, r.state, r.status,
       to_char(r.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS created_at,
       r.cluster_id, r.job_name,
       to_char(r.job_started_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS job_started_at,
       to_char(r.job_ended_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS job_ended_at,
       r.net_runtime_ms, r.failure, r.accumulators_bytes, r.format_version, r.epoch_text,
       to_char(r.clean_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS clean_at
  FROM stat_results r
 WHERE ($1::text IS NULL OR r.cluster_id = $1::text) AND ($2::text IS NULL OR r.state = $2::text)
 ORDER BY r.cluster_id, r.job_id
 LIMIT $3::bigint
