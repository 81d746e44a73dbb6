-- Adds an entry, and moves out of the list what the caller found to be subsumed, all or nothing.
-- $1 leadership id, $2 epoch (both NULL: no fence), $3 cluster id, $4 job id, $5 id of this write, $6 checkpoint id,
-- $7 kind, $8 retention, $9 metadata (NULL: pointer), $10 pointer, $11 SHA-256 of either,
-- $12 completed (milliseconds since 1970), $13 ids of checkpoints to be discarded, $14 ids of entries to be retained.
-- Columns: outcome (done: new or repeated; exists), ids that moved out, is the list as the caller has planned it: the
-- entry is in it, and all of $13 and $14 moved by this. SQLSTATE PK001 when fenced.
-- Safe to retry with the same $5.
WITH f AS MATERIALIZED (SELECT may_write($1::integer, $2::bigint, $3::text) AS ok),
w AS (
    INSERT INTO checkpoint AS c (cluster_id, job_id, checkpoint_id, op_id, epoch, kind, retention, metadata, pointer, sha256,
                                 completed_at)
    SELECT $3::text, $4::uuid, $6::bigint, $5::uuid, coalesce($2::bigint, 0), $7::text, $8::text, $9::bytea, $10::text,
           $11::bytea, timestamptz 'epoch' + $12::bigint * interval '1 ms'
      FROM f WHERE f.ok
    ON CONFLICT (cluster_id, job_id, checkpoint_id) DO UPDATE SET updated_at = clock_timestamp()
     WHERE c.op_id = EXCLUDED.op_id
    RETURNING c.state),
moved AS (
    UPDATE checkpoint c
       SET state = CASE WHEN c.kind = 'checkpoint' AND c.checkpoint_id = ANY ($13::bigint[]) THEN 'discarding' ELSE 'retained' END,
           epoch = coalesce($2::bigint, 0), updated_at = clock_timestamp()
     WHERE c.cluster_id = $3::text AND c.job_id = $4::uuid AND c.state = 'completed'
       AND c.checkpoint_id = ANY ($13::bigint[] || $14::bigint[]) AND EXISTS (SELECT FROM w)
    RETURNING c.checkpoint_id)
SELECT CASE WHEN EXISTS (SELECT FROM w) THEN 'done' ELSE 'exists' END, ARRAY(SELECT m.checkpoint_id FROM moved m),
       EXISTS (SELECT FROM w WHERE w.state = 'completed')
       AND (SELECT count(*) FROM moved) = cardinality($13::bigint[] || $14::bigint[])
  FROM f
