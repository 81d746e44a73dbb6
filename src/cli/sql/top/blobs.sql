-- The latest blobs. $1 cluster id. Read only.
SELECT left(b.blob_key, 18) || '..' AS key, b.job, b.size_text, date_trunc('second', clock_timestamp() - b.created_at)::text AS age,
       b.type, b.loid
  FROM stat_blobs b WHERE b.cluster_id = $1::text
 ORDER BY b.created_at DESC, b.blob_key LIMIT 40
