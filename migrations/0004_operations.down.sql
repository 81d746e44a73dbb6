-- Undoes 0004_operations. Drops exactly what it made; fails if somebody's own objects depend on them. A pause goes on:
-- delete its row to end it.
COMMENT ON COLUMN event.act IS 'take_over, release, confirm, withdraw, request_handover, kick, cleanup_job, cleanup_cluster; or insert, update, delete by hand, with the table''s name.';
COMMENT ON COLUMN event.subject IS 'Group, component, job or blob that it concerns; of cleanup_cluster the cluster.';
COMMENT ON COLUMN event.cluster_id IS 'Cluster that it concerns.';
UPDATE schema_meta SET schema_version = 3;
DROP VIEW stat_schema, stat_pauses;
DROP TRIGGER note_truncate ON checkpoint_counter;
DROP TRIGGER note_truncate ON checkpoint;
DROP TRIGGER note_truncate ON job_status;
DROP TRIGGER note_truncate ON job_result;
DROP TRIGGER note_truncate ON job_graph;
DROP TRIGGER note_truncate ON applied_write;
DROP TRIGGER note_truncate ON job_store;
DROP TRIGGER note_truncate ON tenure;
DROP TRIGGER note_truncate ON member;
DROP TRIGGER note_truncate ON event;
DROP TRIGGER note_truncate ON election_pause;
DROP TRIGGER note_truncate ON leader_history;
DROP TRIGGER note_truncate ON leader;
DROP TRIGGER note_delete ON event;
DROP TRIGGER note_delete ON leader_history;
DROP TRIGGER note_update ON event;
DROP TRIGGER note_update ON leader_history;
DROP TRIGGER note_delete ON tenure;
DROP TRIGGER note_update ON tenure;
DROP TRIGGER note_delete ON member;
DROP FUNCTION note_member(), note_tenure(), note_statement(), blob_verify(text, uuid, text, bigint), blob_object_digest(oid, bigint), purge(text, text, interval, integer), switchover(text, text, text), resume_elections(text),
    pause_elections(text, text);
