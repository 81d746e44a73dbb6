-- One batch of clean results whose retention is over.
-- $1 leadership id, $2 epoch (both NULL: no fence), $3 cluster id, $4 retention in ms, $5 at most so many.
-- Column: how many were deleted; fewer than $5: none is left. SQLSTATE PK001 when fenced. Safe to retry.
WITH f AS MATERIALIZED (
    SELECT may_write($1::integer, $2::bigint, $3::text) AS ok,
           set_config('pgkeeper.act', 'purge', true)),
old AS MATERIALIZED (
    SELECT r.job_id FROM f, job_result r
     WHERE f.ok AND r.cluster_id = $3::text AND r.state = 'clean'
       AND r.clean_at <= clock_timestamp() - $4::bigint * interval '1 ms'
     ORDER BY r.clean_at LIMIT $5::bigint
       FOR UPDATE OF r SKIP LOCKED),
gone AS (
    DELETE FROM job_result r USING old o WHERE r.cluster_id = $3::text AND r.job_id = o.job_id RETURNING 1)
SELECT (SELECT count(*) FROM gone) FROM f
