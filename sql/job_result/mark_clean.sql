-- $1 leadership id, $2 epoch (both NULL: no fence), $3 cluster id, $4 job id, $5 id of this write,
-- $6 delete it instead?
-- Column: outcome (done: also when it was clean; missing); SQLSTATE PK001 when fenced.
-- Safe to retry: when deleting, missing then means done.
WITH f AS MATERIALIZED (
    SELECT may_write($1::integer, $2::bigint, $3::text) AS ok,
           set_config('pgkeeper.act', 'mark_clean', true)),
found AS MATERIALIZED (
    SELECT r.state FROM f, job_result r WHERE f.ok AND r.cluster_id = $3::text AND r.job_id = $4::uuid FOR UPDATE OF r),
marked AS (
    UPDATE job_result r
       SET state = 'clean', clean_at = clock_timestamp(), updated_at = clock_timestamp(), epoch = coalesce($2::bigint, 0),
           op_id = $5::uuid
      FROM found o
     WHERE r.cluster_id = $3::text AND r.job_id = $4::uuid AND o.state = 'dirty' AND NOT $6::boolean),
gone AS (
    DELETE FROM job_result r USING found o WHERE r.cluster_id = $3::text AND r.job_id = $4::uuid AND $6::boolean)
SELECT CASE WHEN o.state IS NULL THEN 'missing' ELSE 'done' END FROM f LEFT JOIN found o ON true
