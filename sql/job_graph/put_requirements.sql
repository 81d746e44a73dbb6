-- $1 leadership id, $2 epoch (both NULL: no fence), $3 cluster id, $4 job id, $5 requirements, $6 their SHA-256.
-- Column: outcome (done, missing); SQLSTATE PK001 when fenced. Safe to retry: the same bytes again
-- (no id of the write: one that comes late may put back what a later one has replaced).
WITH f AS MATERIALIZED (SELECT may_write($1::integer, $2::bigint) AS ok),
w AS (
    UPDATE job_graph g
       SET requirements = $5::bytea, requirements_sha256 = $6::bytea, updated_at = clock_timestamp()
      FROM f
     WHERE f.ok AND g.cluster_id = $3::text AND g.job_id = $4::uuid
    RETURNING 1)
SELECT CASE WHEN EXISTS (SELECT FROM w) THEN 'done' ELSE 'missing' END FROM f
