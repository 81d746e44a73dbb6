-- One entry, without its metadata. $1 cluster id, $2 job id, $3 checkpoint id. Read only.
SELECT job_hex(c.job_id) AS job, c.checkpoint_id, c.kind, c.state, c.cluster_id, c.retention,
       octet_length(c.metadata) AS metadata_bytes, c.pointer
  FROM checkpoint c
 WHERE c.cluster_id = $1::text AND c.job_id = $2::uuid AND c.checkpoint_id = $3::bigint
