-- Clean results that are older. $1 cluster id, $2 age in ms. Read only.
SELECT count(*) AS results,
       to_char(min(r.clean_at) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS oldest,
       to_char(max(r.clean_at) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS newest
  FROM job_result r
 WHERE r.cluster_id = $1::text AND r.state = 'clean' AND r.clean_at <= clock_timestamp() - $2::bigint * interval '1 ms'
