-- Marks a result clean by hand; the trigger writes the audit. $1 cluster id, $2 job id, $3 delete it instead?
-- Column: outcome (done, clean: it was, missing).
WITH found AS MATERIALIZED (
    SELECT r.state FROM job_result r WHERE r.cluster_id = $1::text AND r.job_id = $2::uuid FOR UPDATE OF r),
marked AS (
    UPDATE job_result r SET state = 'clean', clean_at = clock_timestamp()
      FROM found f
     WHERE r.cluster_id = $1::text AND r.job_id = $2::uuid AND f.state = 'dirty' AND NOT $3::boolean
    RETURNING 1),
gone AS (
    DELETE FROM job_result r USING found f
     WHERE r.cluster_id = $1::text AND r.job_id = $2::uuid AND $3::boolean
    RETURNING 1)
SELECT CASE WHEN EXISTS (SELECT FROM marked) OR EXISTS (SELECT FROM gone) THEN 'done'
            WHEN EXISTS (SELECT FROM found) THEN 'clean' ELSE 'missing' END
