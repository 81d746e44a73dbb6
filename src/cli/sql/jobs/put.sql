-- Stores a graph by hand: the triggers give it op_id, epoch 0 and the next version, tell stores of it and write the audit.
-- $1 cluster id, $2 job id, $3 graph, $4 its SHA-256, $5 replace one that is there? $6 also one that a live leader owns?
-- Columns: outcome (done, exists, owned), has the job a result?
WITH w AS (
    INSERT INTO job_graph AS g (cluster_id, job_id, graph, sha256)
    VALUES ($1::text, $2::uuid, $3::bytea, $4::bytea)
    ON CONFLICT (cluster_id, job_id) DO UPDATE SET graph = EXCLUDED.graph, sha256 = EXCLUDED.sha256
     WHERE $5::boolean AND ($6::boolean OR live_owners(g.cluster_id, g.job_id) = '{}')
    RETURNING g.version)
SELECT CASE WHEN w.version IS NOT NULL THEN 'done' WHEN $5::boolean THEN 'owned' ELSE 'exists' END,
       EXISTS (SELECT FROM job_result r WHERE r.cluster_id = $1::text AND r.job_id = $2::uuid)
  FROM (SELECT) one LEFT JOIN w ON true
