-- Removes the graph of a job by hand: the triggers tell stores of it and write the audit.
-- $1 cluster id, $2 job id, $3 also one that a live leader owns? Column: outcome (done, missing, owned).
WITH found AS MATERIALIZED (
    SELECT live_owners(g.cluster_id, g.job_id) AS owners FROM job_graph g
     WHERE g.cluster_id = $1::text AND g.job_id = $2::uuid FOR UPDATE OF g),
gone AS (
    DELETE FROM job_graph g USING found f
     WHERE g.cluster_id = $1::text AND g.job_id = $2::uuid AND ($3::boolean OR f.owners = '{}')
    RETURNING 1)
SELECT CASE WHEN EXISTS (SELECT FROM gone) THEN 'done' WHEN EXISTS (SELECT FROM found) THEN 'owned' ELSE 'missing' END
