-- One blob. $1 cluster id, $2 job id (NULL: none), $3 key. Columns: as list.sql. Safe to retry.
SELECT b.job_id, b.blob_key, b.size, b.sha1, b.sha256, floor(extract(epoch FROM b.created_at) * 1000)::bigint, b.epoch,
       b.loid::bigint, b.op_id
  FROM blob b
 WHERE b.cluster_id = $1::text AND coalesce(b.job_id::text, '') = coalesce($2::uuid::text, '') AND b.blob_key = $3::text
