-- $1 leadership id, $2 epoch (both NULL: no fence), $3 cluster id, $4 job id, $5 store id,
-- $6 id of the write that this store knows (NULL: it does not own the graph).
-- Columns: outcome (done, missing, conflict: changed by somebody else since, owned: by another live store), who owns it.
-- SQLSTATE PK001 when fenced. Safe to retry: missing then means done.
WITH f AS MATERIALIZED (
    SELECT may_write($1::integer, $2::bigint, $3::text) AS ok,
           set_config('pgkeeper.act', 'remove', true),
           set_config('pgkeeper.store', coalesce($5::uuid::text, ''), true)),
found AS MATERIALIZED (
    SELECT g.op_id FROM f, job_graph g WHERE f.ok AND g.cluster_id = $3::text AND g.job_id = $4::uuid FOR UPDATE OF g),
others AS MATERIALIZED (
    SELECT live_owners($3::text, $4::uuid, $5::uuid) AS ids FROM found),
gone AS (
    DELETE FROM job_graph g USING found r, others o
     WHERE g.cluster_id = $3::text AND g.job_id = $4::uuid AND o.ids = '{}'
       AND ($6::uuid IS NULL OR r.op_id = $6::uuid)
    RETURNING 1)
SELECT CASE WHEN EXISTS (SELECT FROM gone) THEN 'done' WHEN r.op_id IS NULL THEN 'missing'
            WHEN o.ids <> '{}' THEN 'owned' ELSE 'conflict' END,
       o.ids
  FROM f LEFT JOIN found r ON true LEFT JOIN others o ON true
