-- $1 leadership id, $2 epoch (both NULL: no fence), $3 cluster id, $4 job id, $5 store id, $6 id of this write,
-- $7 id of the write that this store knows (NULL: it does not own the graph), $8 graph, $9 its SHA-256.
-- Columns: outcome (done: new, replaced or repeated; exists: there and not owned; conflict: changed by somebody else
-- since), version, nothing (tells others that listen of a new one). SQLSTATE PK001 when fenced. Safe to retry with the same $6.
WITH f AS MATERIALIZED (SELECT may_write($1::integer, $2::bigint, $3::text) AS ok),
w AS (
    INSERT INTO job_graph AS g (cluster_id, job_id, graph, sha256, op_id, epoch, owners)
    SELECT $3::text, $4::uuid, $8::bytea, $9::bytea, $6::uuid, coalesce($2::bigint, 0), ARRAY[$5::uuid] FROM f WHERE f.ok
    ON CONFLICT (cluster_id, job_id) DO UPDATE
       SET graph = EXCLUDED.graph, sha256 = EXCLUDED.sha256, op_id = EXCLUDED.op_id, epoch = EXCLUDED.epoch,
           version = g.version + (g.op_id <> EXCLUDED.op_id)::integer, updated_at = clock_timestamp()
     WHERE g.op_id = $7::uuid OR g.op_id = EXCLUDED.op_id
    RETURNING g.version)
SELECT CASE WHEN w.version IS NOT NULL THEN 'done' WHEN $7::uuid IS NULL THEN 'exists' ELSE 'conflict' END, w.version,
       CASE WHEN w.version = 1 AND EXISTS (
                SELECT FROM job_store s WHERE s.cluster_id = $3::text AND s.listening AND s.store_id <> $5::uuid)
            THEN pg_notify(channel($3::text), 'job_graph') END
  FROM f LEFT JOIN w ON true
