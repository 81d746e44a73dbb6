-- $1 cluster id, $2 job id. Column: its state (dirty, clean), or none. Safe to retry.
SELECT coalesce((SELECT r.state FROM job_result r WHERE r.cluster_id = $1::text AND r.job_id = $2::uuid), 'none')
