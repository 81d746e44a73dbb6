-- The number that a job's counter issues next. $1 cluster id, $2 job id. Read only.
SELECT job_hex($2::uuid) AS job, coalesce(n.next_id, 1) AS next_id,
       to_char(n.updated_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS updated_at
  FROM (SELECT) one
  LEFT JOIN checkpoint_counter n ON n.cluster_id = $1::text AND n.job_id = $2::uuid
