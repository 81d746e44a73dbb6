-- Undoes 0003_blobs, and removes all blobs. Drops exactly what it made; fails if somebody's own objects depend on them.
-- Each blob takes a lock: with more than some thousand, clean up first (pgkeeper cleanup cluster).
COMMENT ON COLUMN event.subject IS 'Group, component or job that it concerns; of cleanup_cluster the cluster.';
UPDATE schema_meta SET schema_version = 2;
DROP VIEW stat_blobs, stat_jobs, stat_summary;
DROP FUNCTION cleanup_cluster(integer, bigint, text, integer), cleanup_job(integer, bigint, text, uuid, uuid);
ALTER FUNCTION cleanup_cluster_rows(integer, bigint, text, integer) RENAME TO cleanup_cluster;
ALTER FUNCTION cleanup_job_rows(integer, bigint, text, uuid, uuid) RENAME TO cleanup_job;
COMMENT ON FUNCTION cleanup_job(integer, bigint, text, uuid, uuid) IS 'Removes every trace of a job but its result. Rows removed, and how many checkpoints among them were still discarding. leadership_id and epoch NULL: without a fence. store_id: the store that is not to be told.';
COMMENT ON FUNCTION cleanup_cluster(integer, bigint, text, integer) IS 'Removes one batch of all that is stored under a cluster id, in a safe order; call it until more is false; while others write, that may not come. Epochs, history and audit stay. leadership_id and epoch NULL: without a fence.';
SELECT set_config('pgkeeper.act', 'migrate', true);
DELETE FROM blob_loose;
DELETE FROM blob;
SELECT set_config('pgkeeper.act', '', true);
DROP FUNCTION blob_remove_orphans(integer, bigint), blob_orphans(), blob_sweep(integer, bigint), blob_sweep_one(oid, bigint, bigint), blob_remove_job(integer, bigint, text, uuid, integer),
    blob_remove(integer, bigint, text, uuid, text), blob_read(oid, uuid, bigint, integer), blob_leave(uuid),
    blob_publish_all(text, uuid, text[], uuid[], uuid, bigint, bigint[], bytea[], bytea[]),
    blob_publish(integer, bigint, text, uuid, text, uuid, uuid, bigint, bytea, bytea), blob_write(uuid, bigint, bytea),
    blob_writing(uuid), blob_begin(integer, bigint, text, uuid, boolean),
    blob_store(integer, bigint, text, uuid, text, uuid, bytea, bytea, bytea),
    blob_place(text, uuid, text, oid, bigint, bytea, bytea, uuid, bigint);
DROP TABLE blob_loose, blob;
DROP FUNCTION note_blob_by_hand(), keep_objects(), follow_loose(), follow_blob(), blob_compress_fast(), blob_object_size(oid),
    blob_object_unlink(oid), blob_object_cut(oid, bigint), blob_object_new(bytea), blob_mark();
DROP DOMAIN blob_key;
