-- The counter of a job that has ended for good goes.
-- $1 leadership id, $2 epoch (both NULL: no fence), $3 cluster id, $4 job id, $5 id of this write.
-- Column: outcome (done: also when it had been done before; missing); SQLSTATE PK001 when fenced. Safe to retry with the
-- same $5.
WITH f AS MATERIALIZED (
    SELECT may_write($1::integer, $2::bigint, $3::text) AS ok,
           set_config('pgkeeper.act', 'drop_id', true)),
n AS MATERIALIZED (SELECT note_write($5::uuid) AS first FROM f WHERE f.ok),
gone AS (
    DELETE FROM checkpoint_counter c USING n WHERE n.first AND c.cluster_id = $3::text AND c.job_id = $4::uuid RETURNING 1)
SELECT CASE WHEN n.first AND NOT EXISTS (SELECT FROM gone) THEN 'missing' ELSE 'done' END FROM n
