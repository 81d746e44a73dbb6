-- $1 cluster id, $2 job id. Column: status (PENDING, RUNNING, DONE). Safe to retry.
SELECT coalesce((SELECT s.status FROM job_status s WHERE s.cluster_id = $1::text AND s.job_id = $2::uuid), 'PENDING')
