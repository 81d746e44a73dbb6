-- Blobs: stat_blobs, times in UTC. $1 cluster id or NULL for all, $2 only those of no job?, $3 job id or NULL for all,
-- $4 at most so many or NULL. Read only.
SELECT b.blob_key, b.size AS bytes, b.size_text, b.job, b.cluster_id, b.type, b.sha256, b.loid, b.epoch_text,
       to_char(b.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS created_at
  FROM stat_blobs b
 WHERE ($1::text IS NULL OR b.cluster_id = $1::text) AND ($3::uuid IS NULL OR b.job_id = $3::uuid)
   AND (NOT $2::boolean OR b.job_id IS NULL)
 ORDER BY b.cluster_id, b.job_id NULLS FIRST, b.created_at, b.blob_key
 LIMIT $4::bigint
