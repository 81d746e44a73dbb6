-- $1 leadership id, $2 epoch (both NULL: no fence), $3 cluster id, $4 job id.
-- Column: outcome (done, missing); SQLSTATE PK001 when fenced. Safe to retry, unless somebody else
-- writes the same status meanwhile: the repetition then removes that, there being no id of this write to know it by.
WITH f AS MATERIALIZED (
    SELECT may_write($1::integer, $2::bigint) AS ok,
           set_config('pgkeeper.act', 'clear', true)),
gone AS (
    DELETE FROM job_status s USING f WHERE f.ok AND s.cluster_id = $3::text AND s.job_id = $4::uuid RETURNING 1)
SELECT CASE WHEN EXISTS (SELECT FROM gone) THEN 'done' ELSE 'missing' END FROM f
