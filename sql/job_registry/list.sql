-- $1 cluster id. Columns: job id, status; ascending by job. Any number of rows; safe to retry.
SELECT s.job_id, s.status FROM job_status s WHERE s.cluster_id = $1::text ORDER BY s.job_id
