-- Undoes 0002_job_stores. Drops exactly what it made; fails if somebody's own objects depend on them.
COMMENT ON COLUMN event.act IS 'take_over, release, confirm, withdraw, request_handover, kick; or insert, update, delete by hand, with the table''s name.';
COMMENT ON COLUMN event.subject IS 'Group or component that it concerns.';
UPDATE schema_meta SET schema_version = 1;
DROP VIEW stat_checkpoints, stat_results;
DROP FUNCTION cleanup_cluster(integer, bigint, text, integer), cleanup_job(integer, bigint, text, uuid, uuid);
DROP FUNCTION claim_graphs(uuid, pg_snapshot), live_owners(text, uuid, uuid), live_tenures(), tenure_is_live(integer, bigint), may_write(integer, bigint, text);
DROP FUNCTION note_write(uuid);
DROP TABLE applied_write, checkpoint_counter, checkpoint, job_status, job_result, job_graph, job_store;
DROP FUNCTION announce_graph(), note_by_hand(), job_hex(uuid);
DROP DOMAIN cluster_name, payload, digest, row_version;
