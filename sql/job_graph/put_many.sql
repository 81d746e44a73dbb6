-- Several put.sql of one store in one transaction, for threads that would have to wait for a session. Jobs differ.
-- $1 leadership id, $2 epoch (both NULL: no fence), $3 cluster id, $4 job ids, $5 store id, $6 ids of these writes,
-- $7 ids of the writes that the store knows, of those jobs that it owns, $8 graphs, $9 their SHA-256.
-- Columns: id of a write that was done (new, replaced or repeated), its version, nothing (tells others that listen of new
-- ones). What is not among the rows was not done: exists or conflict. SQLSTATE PK001 when fenced. Safe to retry with the same $6.
WITH f AS MATERIALIZED (SELECT may_write($1::integer, $2::bigint, $3::text) AS ok),
w AS (
    INSERT INTO job_graph AS g (cluster_id, job_id, graph, sha256, op_id, epoch, owners)
    SELECT $3::text, u.job_id, u.graph, u.sha256, u.op_id, coalesce($2::bigint, 0), ARRAY[$5::uuid]
      FROM f, unnest($4::uuid[], $6::uuid[], $8::bytea[], $9::bytea[]) AS u(job_id, op_id, graph, sha256)
     WHERE f.ok
     ORDER BY u.job_id -- rows are locked in this order by everybody
    ON CONFLICT (cluster_id, job_id) DO UPDATE
       SET graph = EXCLUDED.graph, sha256 = EXCLUDED.sha256, op_id = EXCLUDED.op_id, epoch = EXCLUDED.epoch,
           version = g.version + (g.op_id <> EXCLUDED.op_id)::integer, updated_at = clock_timestamp()
     -- An id is of one write of one job: that of another job never matches.
     WHERE g.op_id = ANY ($7::uuid[]) OR g.op_id = EXCLUDED.op_id
    RETURNING g.op_id, g.version)
SELECT w.op_id, w.version,
       CASE WHEN w.version = 1 AND EXISTS (
                SELECT FROM job_store s WHERE s.cluster_id = $3::text AND s.listening AND s.store_id <> $5::uuid)
            THEN pg_notify(channel($3::text), 'job_graph') END
  FROM f LEFT JOIN w ON true
