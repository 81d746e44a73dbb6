-- $1 cluster id, $2 job id. Column: the number that is issued next. Safe to retry.
SELECT coalesce((SELECT n.next_id FROM checkpoint_counter n WHERE n.cluster_id = $1::text AND n.job_id = $2::uuid), 1)
