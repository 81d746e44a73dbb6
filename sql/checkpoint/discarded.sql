-- The external data of an entry is gone, and now the entry.
-- $1 leadership id, $2 epoch (both NULL: no fence), $3 cluster id, $4 job id, $5 checkpoint id,
-- $6 id of the write that added it: another one may have its number by now.
-- Column: outcome (done, missing); SQLSTATE PK001 when fenced. Safe to retry.
WITH f AS MATERIALIZED (
    SELECT may_write($1::integer, $2::bigint, $3::text) AS ok,
           set_config('pgkeeper.act', 'discarded', true)),
gone AS (
    DELETE FROM checkpoint c USING f
     WHERE f.ok AND c.cluster_id = $3::text AND c.job_id = $4::uuid AND c.checkpoint_id = $5::bigint
       AND c.op_id = $6::uuid AND c.state = 'discarding'
    RETURNING 1)
SELECT CASE WHEN EXISTS (SELECT FROM gone) THEN 'done' ELSE 'missing' END FROM f
