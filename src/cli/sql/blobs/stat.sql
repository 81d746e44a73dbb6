-- One blob: stat_blobs, times in UTC. $1 cluster id, $2 job id or NULL for none, $3 key. Columns: as ls.sql. Read only.
SELECT b.blob_key, b.size AS bytes, b.size_text, b.job, b.cluster_id, b.type, b.sha256, b.loid, b.epoch_text,
       to_char(b.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS created_at
  FROM stat_blobs b
 WHERE b.cluster_id = $1::text AND b.job_id IS NOT DISTINCT FROM $2::uuid AND b.blob_key = $3::text
