-- $1 leadership id, $2 epoch (both NULL: no fence), $3 cluster id, $4 job id, $5 id of this write, $6 number to be
-- issued next. Column: outcome (done: set or repeated); SQLSTATE PK001 when fenced. Safe to retry with the
-- same $5, also after numbers were issued meanwhile; not after another set.
WITH f AS MATERIALIZED (SELECT may_write($1::integer, $2::bigint) AS ok),
w AS (
    INSERT INTO checkpoint_counter AS n (cluster_id, job_id, next_id, op_id, set_op_id, epoch)
    SELECT $3::text, $4::uuid, $6::bigint, $5::uuid, $5::uuid, coalesce($2::bigint, 0) FROM f WHERE f.ok
    ON CONFLICT (cluster_id, job_id) DO UPDATE
       SET next_id = EXCLUDED.next_id, op_id = EXCLUDED.op_id, set_op_id = EXCLUDED.set_op_id, epoch = EXCLUDED.epoch,
           updated_at = clock_timestamp()
     WHERE n.set_op_id IS DISTINCT FROM EXCLUDED.set_op_id)
SELECT 'done' FROM f
