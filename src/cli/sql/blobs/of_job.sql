-- How many blobs a job has. $1 cluster id, $2 job id or NULL for none. Columns: count, bytes, the same for people. Read only.
SELECT count(*), coalesce(sum(b.size), 0), pg_size_pretty(coalesce(sum(b.size), 0))
  FROM blob b WHERE b.cluster_id = $1::text AND b.job_id IS NOT DISTINCT FROM $2::uuid
