-- $1 leadership id, $2 epoch (both NULL: no fence), $3 cluster id, $4 job id, $5 id of this write, $6 requirements,
-- $7 their SHA-256.
-- Column: outcome (done: also when it had been done before; missing); SQLSTATE PK001 when fenced. Safe to retry with the
-- same $5.
WITH f AS MATERIALIZED (SELECT may_write($1::integer, $2::bigint, $3::text) AS ok),
n AS MATERIALIZED (
    SELECT note_write($5::uuid) AS first FROM f, job_graph g
     WHERE f.ok AND g.cluster_id = $3::text AND g.job_id = $4::uuid FOR UPDATE OF g),
w AS (
    UPDATE job_graph g
       SET requirements = $6::bytea, requirements_sha256 = $7::bytea, updated_at = clock_timestamp()
      FROM n
     WHERE n.first AND g.cluster_id = $3::text AND g.job_id = $4::uuid)
SELECT CASE WHEN EXISTS (SELECT FROM n) THEN 'done' ELSE 'missing' END FROM f
