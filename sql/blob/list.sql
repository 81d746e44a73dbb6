-- $1 cluster id, $2 all?, else $3 job id (NULL: those of none), $4 key (NULL: each). Columns: job id, key, bytes, SHA-1,
-- SHA-256, created (ms since 1970), epoch, large object, id of the write; ascending by job (none first) and key, as
-- pgk_blob_key_compare. Safe to retry.
SELECT b.job_id, b.blob_key, b.size, b.sha1, b.sha256, floor(extract(epoch FROM b.created_at) * 1000)::bigint, b.epoch,
       b.loid::bigint, b.op_id
  FROM blob b
 WHERE b.cluster_id = $1::text AND ($2::boolean OR coalesce(b.job_id::text, '') = coalesce($3::uuid::text, ''))
   AND ($4::text IS NULL OR b.blob_key = $4::text)
 ORDER BY b.job_id NULLS FIRST, substr(b.blob_key, 3, 40), b.blob_key
