-- What cleanup_job() would remove. $1 cluster id, $2 job id. Read only.
SELECT job_hex($2::uuid) AS job, (s.graph_bytes IS NOT NULL)::integer AS graphs,
       coalesce(s.checkpoints, 0) AS checkpoints, coalesce(s.discarding, 0) AS discarding, coalesce(s.retained, 0) AS retained,
       (SELECT count(*) FROM leader r WHERE r.cluster_id = $1::text AND r.component = 'job-' || job_hex($2::uuid)) AS addresses,
       coalesce(s.blobs, 0) AS blobs, coalesce(s.blob_bytes, 0) AS blob_bytes,
       coalesce(s.status, 'PENDING') AS status, coalesce(s.next_checkpoint_id, 1) AS next_checkpoint_id
  FROM (SELECT) one
  LEFT JOIN stat_jobs s ON s.cluster_id = $1::text AND s.job_id = $2::uuid
