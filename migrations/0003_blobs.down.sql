-- Undoes 0003_blobs, and removes all blobs. Drops exactly what it made; fails if somebody's own objects depend on them.
-- Each blob takes a lock: with more than some thousand, clean up first (pgkeeper cleanup cluster).
COMMENT ON COLUMN event.subject IS 'Group, component or job that it concerns; of cleanup_cluster the cluster.';
UPDATE schema_meta SET schema_version = 2;
DROP VIEW stat_blobs, stat_jobs, stat_summary;
-- As 0002 made them.
CREATE VIEW stat_jobs AS
-- As live_owners(), but looked up once for all jobs.
WITH live AS MATERIALIZED (
    SELECT o.cluster_id, o.store_id, o.claims, o.claim_id
      FROM job_store o JOIN leadership l ON l.id = o.leadership_id AND l.epoch = o.epoch
     WHERE l.session_id IS NOT NULL AND l.released_at IS NULL AND is_held(l.id))
SELECT known.cluster_id, job_hex(known.job_id) AS job, known.job_id,
       coalesce(s.status, 'PENDING') AS status,
       r.state AS result_state, r.status AS result_status,
       octet_length(g.graph) AS graph_bytes, octet_length(g.requirements) AS requirements_bytes,
       g.version, epoch_text(g.epoch) AS epoch_text, g.created_at, g.updated_at,
       CASE WHEN g.job_id IS NOT NULL THEN ARRAY(
            SELECT o.store_id FROM live o
             WHERE o.cluster_id = g.cluster_id
               AND (o.store_id = ANY (g.owners)
                    OR (pg_visible_in_snapshot(g.created_in, o.claims) AND NOT o.claim_id = ANY (g.disowned)
                        AND r.job_id IS NULL))) END AS live_owners,
       coalesce(c.completed, 0) AS checkpoints, coalesce(c.discarding, 0) AS discarding, coalesce(c.retained, 0) AS retained,
       c.latest AS latest_checkpoint,
       coalesce(n.next_id, 1) AS next_checkpoint_id
  FROM (SELECT cluster_id, job_id FROM job_graph
        UNION SELECT cluster_id, job_id FROM job_status
        UNION SELECT cluster_id, job_id FROM job_result
        UNION SELECT cluster_id, job_id FROM checkpoint
        UNION SELECT cluster_id, job_id FROM checkpoint_counter) known
  LEFT JOIN job_graph g USING (cluster_id, job_id)
  LEFT JOIN job_status s USING (cluster_id, job_id)
  LEFT JOIN job_result r USING (cluster_id, job_id)
  LEFT JOIN checkpoint_counter n USING (cluster_id, job_id)
  -- Grouped and joined, not looked up for each job: with thousands of jobs that is one scan.
  LEFT JOIN (
       SELECT x.cluster_id, x.job_id,
              count(*) FILTER (WHERE x.state = 'completed') AS completed,
              count(*) FILTER (WHERE x.state = 'discarding') AS discarding,
              count(*) FILTER (WHERE x.state = 'retained') AS retained,
              max(x.checkpoint_id) FILTER (WHERE x.state = 'completed') AS latest
         FROM checkpoint x GROUP BY x.cluster_id, x.job_id) c USING (cluster_id, job_id);
COMMENT ON VIEW stat_jobs IS 'One row per job of which anything is stored.';
COMMENT ON COLUMN stat_jobs.cluster_id IS 'Cluster id.';
COMMENT ON COLUMN stat_jobs.job IS 'Job as tools write it: 32 hex digits.';
COMMENT ON COLUMN stat_jobs.job_id IS 'Job.';
COMMENT ON COLUMN stat_jobs.status IS 'In the registry: PENDING, RUNNING or DONE.';
COMMENT ON COLUMN stat_jobs.result_state IS 'Its result: dirty or clean; empty: none.';
COMMENT ON COLUMN stat_jobs.result_status IS 'How it ended: FINISHED, FAILED, CANCELED, UNKNOWN.';
COMMENT ON COLUMN stat_jobs.graph_bytes IS 'Size of its graph; empty: it has none.';
COMMENT ON COLUMN stat_jobs.requirements_bytes IS 'Size of its resource requirements; empty: it has none.';
COMMENT ON COLUMN stat_jobs.version IS 'Version of its graph.';
COMMENT ON COLUMN stat_jobs.epoch_text IS 'Epoch in which the graph was written, as timeline.counter; 0.0: without a fence, or by hand.';
COMMENT ON COLUMN stat_jobs.created_at IS 'When the graph was stored first.';
COMMENT ON COLUMN stat_jobs.updated_at IS 'When the graph or its requirements were written last.';
COMMENT ON COLUMN stat_jobs.live_owners IS 'Stores that own the graph and whose tenure leads: job_store.store_id.';
COMMENT ON COLUMN stat_jobs.checkpoints IS 'Completed checkpoints and savepoints in its list.';
COMMENT ON COLUMN stat_jobs.discarding IS 'Checkpoints whose external data is still to be removed.';
COMMENT ON COLUMN stat_jobs.retained IS 'Checkpoints and savepoints that left the list and whose external data stays.';
COMMENT ON COLUMN stat_jobs.latest_checkpoint IS 'Largest id in the list.';
COMMENT ON COLUMN stat_jobs.next_checkpoint_id IS 'What the counter issues next.';
CREATE VIEW stat_summary AS
-- Each table is read once: every part has one row per cluster, and max() only picks it.
SELECT part.cluster_id,
       coalesce(max(part.graphs), 0) AS graphs, coalesce(max(part.graph_bytes), 0) AS graph_bytes,
       coalesce(max(part.running), 0) AS running, coalesce(max(part.done), 0) AS done,
       coalesce(max(part.dirty), 0) AS dirty_results, coalesce(max(part.clean), 0) AS clean_results,
       coalesce(max(part.completed), 0) AS checkpoints, coalesce(max(part.discarding), 0) AS discarding,
       coalesce(max(part.retained), 0) AS retained, coalesce(max(part.metadata_bytes), 0) AS metadata_bytes,
       coalesce(max(part.stores), 0) AS stores
  FROM (SELECT l.cluster_id, NULL::bigint AS graphs, NULL::bigint AS graph_bytes, NULL::bigint AS running,
               NULL::bigint AS done, NULL::bigint AS dirty, NULL::bigint AS clean,
               NULL::bigint AS completed, NULL::bigint AS discarding, NULL::bigint AS retained,
               NULL::bigint AS metadata_bytes, NULL::bigint AS stores
          FROM leadership l GROUP BY l.cluster_id
        UNION ALL
        SELECT g.cluster_id, count(*) AS graphs, sum(octet_length(g.graph)) AS graph_bytes, NULL::bigint AS running,
               NULL::bigint AS done, NULL::bigint AS dirty, NULL::bigint AS clean,
               NULL::bigint AS completed, NULL::bigint AS discarding, NULL::bigint AS retained,
               NULL::bigint AS metadata_bytes, NULL::bigint AS stores
          FROM job_graph g GROUP BY g.cluster_id
        UNION ALL
        SELECT s.cluster_id, NULL::bigint AS graphs, NULL::bigint AS graph_bytes,
               count(*) FILTER (WHERE s.status = 'RUNNING') AS running,
               count(*) FILTER (WHERE s.status = 'DONE') AS done, NULL::bigint AS dirty,
               NULL::bigint AS clean, NULL::bigint AS completed, NULL::bigint AS discarding,
               NULL::bigint AS retained, NULL::bigint AS metadata_bytes, NULL::bigint AS stores
          FROM job_status s GROUP BY s.cluster_id
        UNION ALL
        SELECT r.cluster_id, NULL::bigint AS graphs, NULL::bigint AS graph_bytes, NULL::bigint AS running,
               NULL::bigint AS done, count(*) FILTER (WHERE r.state = 'dirty') AS dirty,
               count(*) FILTER (WHERE r.state = 'clean') AS clean, NULL::bigint AS completed,
               NULL::bigint AS discarding, NULL::bigint AS retained, NULL::bigint AS metadata_bytes,
               NULL::bigint AS stores
          FROM job_result r GROUP BY r.cluster_id
        UNION ALL
        SELECT c.cluster_id, NULL::bigint AS graphs, NULL::bigint AS graph_bytes, NULL::bigint AS running,
               NULL::bigint AS done, NULL::bigint AS dirty, NULL::bigint AS clean,
               count(*) FILTER (WHERE c.state = 'completed') AS completed,
               count(*) FILTER (WHERE c.state = 'discarding') AS discarding,
               count(*) FILTER (WHERE c.state = 'retained') AS retained,
               sum(octet_length(c.metadata)) AS metadata_bytes, NULL::bigint AS stores
          FROM checkpoint c GROUP BY c.cluster_id
        UNION ALL
        SELECT n.cluster_id, NULL::bigint AS graphs, NULL::bigint AS graph_bytes, NULL::bigint AS running,
               NULL::bigint AS done, NULL::bigint AS dirty, NULL::bigint AS clean,
               NULL::bigint AS completed, NULL::bigint AS discarding, NULL::bigint AS retained,
               NULL::bigint AS metadata_bytes, NULL::bigint AS stores
          FROM checkpoint_counter n GROUP BY n.cluster_id
        UNION ALL
        SELECT o.cluster_id, NULL::bigint AS graphs, NULL::bigint AS graph_bytes, NULL::bigint AS running,
               NULL::bigint AS done, NULL::bigint AS dirty, NULL::bigint AS clean,
               NULL::bigint AS completed, NULL::bigint AS discarding, NULL::bigint AS retained,
               NULL::bigint AS metadata_bytes, count(*) AS stores
          FROM job_store o GROUP BY o.cluster_id) part
 GROUP BY part.cluster_id;
COMMENT ON VIEW stat_summary IS 'How much is stored: one row per cluster id.';
COMMENT ON COLUMN stat_summary.cluster_id IS 'Cluster id.';
COMMENT ON COLUMN stat_summary.graphs IS 'Job graphs.';
COMMENT ON COLUMN stat_summary.graph_bytes IS 'Their size in all.';
COMMENT ON COLUMN stat_summary.running IS 'Jobs that are RUNNING in the registry.';
COMMENT ON COLUMN stat_summary.done IS 'Jobs that are DONE in the registry.';
COMMENT ON COLUMN stat_summary.dirty_results IS 'Ended jobs that are still to be cleaned up.';
COMMENT ON COLUMN stat_summary.clean_results IS 'Ended jobs kept until their retention is over.';
COMMENT ON COLUMN stat_summary.checkpoints IS 'Completed checkpoints and savepoints.';
COMMENT ON COLUMN stat_summary.discarding IS 'Checkpoints whose external data is still to be removed.';
COMMENT ON COLUMN stat_summary.retained IS 'Checkpoints and savepoints that left their list and whose external data stays.';
COMMENT ON COLUMN stat_summary.metadata_bytes IS 'Size of all metadata stored here.';
COMMENT ON COLUMN stat_summary.stores IS 'Job graph stores that are started, live or not.';
DROP FUNCTION cleanup_cluster(integer, bigint, text, integer), cleanup_job(integer, bigint, text, uuid, uuid);
ALTER FUNCTION cleanup_cluster_rows(integer, bigint, text, integer) RENAME TO cleanup_cluster;
ALTER FUNCTION cleanup_job_rows(integer, bigint, text, uuid, uuid) RENAME TO cleanup_job;
COMMENT ON FUNCTION cleanup_job(integer, bigint, text, uuid, uuid) IS 'Removes every trace of a job but its result. Rows removed, and how many checkpoints among them were still discarding. leadership_id and epoch NULL: without a fence. store_id: the store that is not to be told.';
COMMENT ON FUNCTION cleanup_cluster(integer, bigint, text, integer) IS 'Removes one batch of all that is stored under a cluster id, in a safe order; call it until more is false; while others write, that may not come. Epochs, history and audit stay. leadership_id and epoch NULL: without a fence.';
SELECT set_config('pgkeeper.act', 'migrate', true);
DELETE FROM blob_loose;
DELETE FROM blob;
SELECT set_config('pgkeeper.act', '', true);
DROP FUNCTION blob_remove_orphans(integer), blob_orphans(), blob_sweep(integer, bigint), blob_remove_job(integer, bigint, text, uuid, integer),
    blob_remove(integer, bigint, text, uuid, text), blob_read(oid, uuid, bigint, integer), blob_leave(uuid),
    blob_publish_all(text, uuid, text[], uuid[], uuid, bigint, bigint[], bytea[], bytea[]),
    blob_publish(integer, bigint, text, uuid, text, uuid, uuid, bigint, bytea, bytea), blob_write(uuid, bigint, bytea),
    blob_writing(uuid), blob_begin(integer, bigint, text, uuid, boolean),
    blob_store(integer, bigint, text, uuid, text, uuid, bytea, bytea, bytea),
    blob_place(text, uuid, text, oid, bigint, bytea, bytea, uuid, bigint);
DROP TABLE blob_loose, blob;
DROP FUNCTION note_blob_by_hand(), keep_objects(), follow_loose(), follow_blob(), blob_compress_fast(), blob_object_size(oid),
    blob_object_unlink(oid), blob_object_new(bytea), blob_mark();
DROP DOMAIN blob_key;
