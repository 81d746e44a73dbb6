-- Where else a key is: jobs of the cluster, in words; NULL: nowhere. $1 cluster id, $2 key. Read only.
SELECT string_agg(coalesce('job ' || job_hex(b.job_id), 'no job'), ', ' ORDER BY b.job_id NULLS FIRST)
  FROM blob b WHERE b.cluster_id = $1::text AND b.blob_key = $2::text
