-- $1 leadership id, $2 epoch (both NULL: no fence), $3 cluster id, $4 job id, $5 id of this write, $6 status,
-- $7 job name, $8 started, $9 ended (milliseconds since 1970; NULL: not known), $10 net runtime in ms, $11 failure,
-- $12 accumulators, $13 their SHA-256, $14 format version.
-- Column: outcome (done: new or repeated; exists); SQLSTATE PK001 when fenced. Safe to retry with the same $5.
WITH f AS MATERIALIZED (SELECT may_write($1::integer, $2::bigint, $3::text) AS ok),
w AS (
    INSERT INTO job_result AS r (cluster_id, job_id, op_id, epoch, status, job_name, job_started_at, job_ended_at,
                                 net_runtime_ms, failure, accumulators, accumulators_sha256, format_version)
    SELECT $3::text, $4::uuid, $5::uuid, coalesce($2::bigint, 0), $6::text, $7::text,
           timestamptz 'epoch' + $8::bigint * interval '1 ms', timestamptz 'epoch' + $9::bigint * interval '1 ms',
           $10::bigint, $11::text, $12::bytea, $13::bytea, $14::integer
      FROM f WHERE f.ok
    ON CONFLICT (cluster_id, job_id) DO UPDATE SET updated_at = clock_timestamp() WHERE r.op_id = EXCLUDED.op_id
    RETURNING 1)
SELECT CASE WHEN EXISTS (SELECT FROM w) THEN 'done' ELSE 'exists' END FROM f
