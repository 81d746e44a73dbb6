-- The store no longer owns a graph, however it came to own it.
-- $1 leadership id, $2 epoch (both NULL: no fence), $3 cluster id, $4 job id, $5 store id.
-- Column: outcome (done, missing); SQLSTATE PK001 when fenced. Safe to retry.
WITH f AS MATERIALIZED (SELECT may_write($1::integer, $2::bigint, $3::text) AS ok),
w AS (
    UPDATE job_graph g
       SET owners = array_remove(g.owners, $5::uuid),
           -- Recoveries of all that are the latest of their store: only they need to be named as having let go.
           disowned = ARRAY(SELECT s.claim_id FROM job_store s
                             WHERE s.claim_id IS NOT NULL AND (s.store_id = $5::uuid OR s.claim_id = ANY (g.disowned)))
      FROM f
     WHERE f.ok AND g.cluster_id = $3::text AND g.job_id = $4::uuid
    RETURNING 1)
SELECT CASE WHEN EXISTS (SELECT FROM w) THEN 'done' ELSE 'missing' END FROM f
