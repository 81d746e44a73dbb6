-- A graph and blobs of its job, whose bytes have been sent (blob/begin.sql, blob/write.sql). The fence comes last: the
-- objects of blobs that are replaced are unlinked before.
-- $1 leadership id, $2 epoch (both NULL: no fence), $3 cluster id, $4 job id, $5 store id, $6 id of this write, $7 id of
-- the write that this store knows (NULL: it does not own the graph), $8 graph, $9 its SHA-256; of the blobs, arrays of
-- one length: $10 keys, $11 ids of begin.sql, $12 bytes, $13 SHA-1, $14 SHA-256.
-- Columns: outcome (as put.sql), version, nothing (tells others that listen of a new one), blobs done (NULL: not),
-- may it be written. SQLSTATE PK001 when fenced, PK004 when an object was taken for abandoned. Not to be repeated: look
-- for $6.
WITH w AS (
    INSERT INTO job_graph AS g (cluster_id, job_id, graph, sha256, op_id, epoch, owners)
    VALUES ($3::text, $4::uuid, $8::bytea, $9::bytea, $6::uuid, coalesce($2::bigint, 0), ARRAY[$5::uuid])
    ON CONFLICT (cluster_id, job_id) DO UPDATE
       SET graph = EXCLUDED.graph, sha256 = EXCLUDED.sha256, op_id = EXCLUDED.op_id, epoch = EXCLUDED.epoch,
           version = g.version + 1, updated_at = clock_timestamp()
     WHERE g.op_id = $7::uuid
    RETURNING g.version)
SELECT CASE WHEN w.version IS NOT NULL THEN 'done' WHEN $7::uuid IS NULL THEN 'exists' ELSE 'conflict' END, w.version,
       CASE WHEN w.version = 1 AND EXISTS (
                SELECT FROM job_store s WHERE s.cluster_id = $3::text AND s.listening AND s.store_id <> $5::uuid)
            THEN pg_notify(channel($3::text), 'job_graph') END,
       CASE WHEN w.version IS NOT NULL
            THEN blob_publish_all($3::text, $4::uuid, $10::text[], $11::uuid[], $6::uuid, $2::bigint, $12::bigint[], $13::bytea[],
                                  $14::bytea[]) END,
       may_write($1::integer, $2::bigint, $3::text)
  FROM (VALUES (true)) one LEFT JOIN w ON true
