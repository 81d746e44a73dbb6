-- $1 leadership id, $2 epoch (both NULL: no fence), $3 cluster id, $4 job id, $5 id of this write,
-- $6 status (RUNNING, DONE).
-- Column: outcome (done); SQLSTATE PK001 when fenced. Safe to retry with the same $5, unless somebody else writes the
-- same job meanwhile: the repetition then overwrites that.
WITH f AS MATERIALIZED (SELECT may_write($1::integer, $2::bigint) AS ok),
w AS (
    INSERT INTO job_status AS s (cluster_id, job_id, status, op_id, epoch)
    SELECT $3::text, $4::uuid, $6::text, $5::uuid, coalesce($2::bigint, 0) FROM f WHERE f.ok
    ON CONFLICT (cluster_id, job_id) DO UPDATE
       SET status = EXCLUDED.status, op_id = EXCLUDED.op_id, epoch = EXCLUDED.epoch, updated_at = clock_timestamp()
     WHERE s.op_id <> EXCLUDED.op_id)
SELECT 'done' FROM f
