-- Issues the next number of a job.
-- $1 leadership id, $2 epoch (both NULL: no fence), $3 cluster id, $4 job id, $5 id of this write.
-- Columns: outcome (done, exhausted), the number. SQLSTATE PK001 when fenced.
-- Safe to retry with the same $5: the same number, or a later one when others have asked meanwhile; never one twice.
WITH f AS MATERIALIZED (SELECT may_write($1::integer, $2::bigint, $3::text) AS ok),
w AS (
    INSERT INTO checkpoint_counter AS n (cluster_id, job_id, next_id, op_id, epoch)
    SELECT $3::text, $4::uuid, 2, $5::uuid, coalesce($2::bigint, 0) FROM f WHERE f.ok
    ON CONFLICT (cluster_id, job_id) DO UPDATE
       SET next_id = n.next_id + (n.op_id <> EXCLUDED.op_id)::integer, op_id = EXCLUDED.op_id, epoch = EXCLUDED.epoch,
           updated_at = clock_timestamp()
     WHERE n.next_id < 9223372036854775807 OR n.op_id = EXCLUDED.op_id
    RETURNING n.next_id - 1 AS issued)
SELECT CASE WHEN w.issued IS NULL THEN 'exhausted' ELSE 'done' END, w.issued FROM f LEFT JOIN w ON true
