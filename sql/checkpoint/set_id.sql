-- $1 leadership id, $2 epoch (both NULL: no fence), $3 cluster id, $4 job id, $5 id of this write, $6 number to be
-- issued next. Column: outcome (done: set, or done before); SQLSTATE PK001 when fenced. Safe to retry with the same $5.
WITH f AS MATERIALIZED (SELECT may_write($1::integer, $2::bigint, $3::text) AS ok),
a AS MATERIALIZED (SELECT note_write($5::uuid) AS first FROM f WHERE f.ok),
w AS (
    INSERT INTO checkpoint_counter AS n (cluster_id, job_id, next_id, op_id, epoch)
    SELECT $3::text, $4::uuid, $6::bigint, $5::uuid, coalesce($2::bigint, 0) FROM a WHERE a.first
    ON CONFLICT (cluster_id, job_id) DO UPDATE
       SET next_id = EXCLUDED.next_id, op_id = EXCLUDED.op_id, epoch = EXCLUDED.epoch, updated_at = clock_timestamp())
SELECT 'done' FROM f
