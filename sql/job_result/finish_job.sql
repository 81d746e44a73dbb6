-- The end of a job, all or nothing: its result dirty, its graph gone, its status DONE.
-- $1..$14 as in create_dirty.sql, $15 store id that is not to be told of the graph (NULL: none).
-- Column: outcome (done: new or repeated; exists: nothing changed); SQLSTATE PK001 when fenced.
-- Safe to retry with the same $5.
WITH f AS MATERIALIZED (
    SELECT may_write($1::integer, $2::bigint, $3::text) AS ok,
           set_config('pgkeeper.act', 'finish_job', true),
           set_config('pgkeeper.store', coalesce($15::uuid::text, ''), true)),
w AS (
    INSERT INTO job_result AS r (cluster_id, job_id, op_id, epoch, status, job_name, job_started_at, job_ended_at,
                                 net_runtime_ms, failure, accumulators, accumulators_sha256, format_version)
    SELECT $3::text, $4::uuid, $5::uuid, coalesce($2::bigint, 0), $6::text, $7::text,
           timestamptz 'epoch' + $8::bigint * interval '1 ms', timestamptz 'epoch' + $9::bigint * interval '1 ms',
           $10::bigint, $11::text, $12::bytea, $13::bytea, $14::integer
      FROM f WHERE f.ok
    ON CONFLICT (cluster_id, job_id) DO UPDATE SET updated_at = clock_timestamp() WHERE r.op_id = EXCLUDED.op_id
    RETURNING 1),
gone AS (
    DELETE FROM job_graph g WHERE g.cluster_id = $3::text AND g.job_id = $4::uuid AND EXISTS (SELECT FROM w)),
ended AS (
    INSERT INTO job_status AS s (cluster_id, job_id, status, op_id, epoch)
    SELECT $3::text, $4::uuid, 'DONE', $5::uuid, coalesce($2::bigint, 0) FROM w
    ON CONFLICT (cluster_id, job_id) DO UPDATE
       SET status = EXCLUDED.status, op_id = EXCLUDED.op_id, epoch = EXCLUDED.epoch, updated_at = clock_timestamp())
SELECT CASE WHEN EXISTS (SELECT FROM w) THEN 'done' ELSE 'exists' END FROM f
