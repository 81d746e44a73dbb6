-- Tables, views, functions and triggers are what their comments say; each constraint refuses what it is for.
BEGIN;
SELECT plan(71);

SELECT tables_are(current_schema(), ARRAY['schema_meta', 'schema_history', 'member', 'leadership', 'tenure', 'leader', 'leader_history', 'event',
    'job_store', 'job_graph', 'job_result', 'job_status', 'checkpoint', 'checkpoint_counter', 'applied_write',
    'blob', 'blob_loose', 'election_pause']);
SELECT views_are(current_schema(), ARRAY[
    'stat_leaders', 'stat_contenders', 'stat_jobs', 'stat_results', 'stat_checkpoints', 'stat_summary', 'stat_blobs', 'stat_pauses', 'stat_schema']);
SELECT functions_are(current_schema(), ARRAY[
    'announce', 'announce_change', 'announce_tenure', 'await_leadership', 'be_durable', 'channel', 'clear_fence', 'confirm', 'enroll', 'enter_tenure', 'epoch_text',
    'fence', 'find_leadership', 'guard_leadership', 'guard_tenure', 'is_alive', 'is_held', 'join_member', 'kick', 'listen', 'lock_class', 'rehearse', 'release', 'report_end', 'request_handover',
    'take_over', 'unentered_tenures', 'watch_member', 'withdraw', 'withdraw_member',
    'announce_graph', 'claim_graphs', 'cleanup_cluster', 'cleanup_job', 'job_hex', 'live_owners', 'live_tenures', 'may_write', 'note_member', 'note_by_hand', 'note_write', 'tenure_is_live',
    'blob_begin', 'blob_compress_fast', 'blob_leave', 'blob_mark', 'blob_object_new', 'blob_object_size', 'blob_object_unlink', 'blob_object_cut', 'blob_sweep_one',
    'blob_orphans', 'blob_place', 'blob_publish', 'blob_publish_all', 'blob_read', 'blob_remove', 'blob_remove_job',
    'blob_remove_orphans', 'blob_store', 'blob_sweep', 'blob_write', 'blob_writing', 'cleanup_cluster_rows', 'cleanup_job_rows',
    'follow_blob', 'follow_loose', 'keep_objects', 'note_blob_by_hand',
    'blob_object_digest', 'blob_verify', 'note_statement', 'note_tenure', 'pause_elections', 'purge', 'resume_elections', 'switchover']);
SELECT domains_are(current_schema(), ARRAY['cluster_name', 'payload', 'digest', 'row_version', 'blob_key']);
SELECT triggers_are(current_schema(), 'job_graph', ARRAY['announce_delete', 'by_hand_insert', 'by_hand_update', 'by_hand_delete', 'note_truncate']);
SELECT triggers_are(current_schema(), t, ARRAY['by_hand_insert', 'by_hand_update', 'by_hand_delete', 'note_truncate'])
  FROM unnest(ARRAY['job_result', 'job_status', 'checkpoint', 'checkpoint_counter']) t;
SELECT triggers_are(current_schema(), 'leadership', ARRAY['guard_row', 'guard_table', 'announce']);
SELECT triggers_are(current_schema(), 'tenure', ARRAY['guard_row', 'note_delete', 'note_truncate', 'note_update']);
SELECT triggers_are(current_schema(), 'leader', ARRAY['announce', 'note_truncate']);
SELECT columns_are(current_schema(), 'leadership', ARRAY[
    'id', 'cluster_id', 'group_name', 'epoch', 'session_id', 'member_id', 'taken_at', 'granted_at', 'released_at', 'take_over_mode',
    'heartbeat_ms', 'lease_ms', 'session_timeout_ms', 'grace_ms', 'handover_to', 'handover_from', 'handover_until', 'handover_by']);
SELECT columns_are(current_schema(), 'member', ARRAY[
    'id', 'incarnation', 'cluster_id', 'name', 'group_names', 'backend_pid', 'client_version', 'joined_at']);
SELECT columns_are(current_schema(), 'leader_history', ARRAY[
    'leadership_id', 'epoch', 'cluster_id', 'group_name', 'session_id', 'member_id', 'member_name', 'take_over_mode', 'began_at',
    'granted_at', 'began_after', 'ended_at', 'end_reason', 'end_detail']);
SELECT columns_are(current_schema(), 'event', ARRAY[
    'id', 'at', 'cluster_id', 'subject', 'act', 'by_hand', 'role_name', 'application_name', 'backend_pid', 'detail']);
SELECT columns_are(current_schema(), 'schema_history', ARRAY[
    'version', 'name', 'sha256', 'applied_at', 'applied_by', 'duration_ms', 'client_version']);
SELECT columns_are(current_schema(), 'schema_meta', ARRAY['singleton', 'schema_version', 'min_client_schema']);

-- Functions that write run with their owner's rights; those that only look or wait do not.
SELECT is(prosecdef, true, proname || ' is SECURITY DEFINER') FROM pg_proc
 WHERE pronamespace = quote_ident(current_schema())::regnamespace
   AND proname = ANY ('{take_over,release,confirm,withdraw,fence,join_member,enroll,request_handover,kick}'::text[]) ORDER BY proname;
SELECT is(provolatile, 'v', 'fence is VOLATILE: its comparison has a snapshot of its own') FROM pg_proc
 WHERE oid = 'fence(integer,bigint,text)'::regprocedure;

-- refuses(statement, constraint): a check_violation, unique_violation ... that names the constraint.
CREATE FUNCTION pg_temp.refuses(statement text, wanted text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    got text;
BEGIN
    EXECUTE statement;
    RETURN tap.fail(wanted || ' let it pass: ' || statement);
EXCEPTION WHEN integrity_constraint_violation THEN
    GET STACKED DIAGNOSTICS got = CONSTRAINT_NAME;
    RETURN tap.is(got, wanted, wanted);
END $$;

SELECT pg_temp.refuses('INSERT INTO schema_meta VALUES (true, 1, 1)', 'schema_meta_pkey');
SELECT pg_temp.refuses('INSERT INTO schema_meta VALUES (false, 1, 1)', 'schema_meta_has_one_row');
SELECT pg_temp.refuses('UPDATE schema_meta SET schema_version = 0', 'schema_meta_versions_are_positive');
SELECT pg_temp.refuses('UPDATE schema_meta SET min_client_schema = 0', 'schema_meta_versions_are_positive');
SELECT pg_temp.refuses($$UPDATE schema_history SET sha256 = repeat('g', 64)$$, 'schema_history_sha256_is_hex');
SELECT pg_temp.refuses($$UPDATE schema_history SET sha256 = 'abc'$$, 'schema_history_sha256_is_hex');

INSERT INTO member (incarnation, cluster_id, name, backend_pid, client_version)
VALUES ('00000000-0000-4000-8000-000000000001', 'c', 'm', 1, 'test');
INSERT INTO leadership (cluster_id, group_name) VALUES ('c', 'g');
SELECT is(relpersistence, 'u', 'tenure is unlogged: a crash of the server empties it') FROM pg_class WHERE oid = 'tenure'::regclass;
INSERT INTO tenure VALUES (-1, 'c', 5, gen_random_uuid(), 1, now(), now(), 'immediate', 1, 1, 1, 1, true);
SELECT pg_temp.refuses('UPDATE tenure SET session_id = NULL, entered = false', 'tenure_of_nobody_is_entered');
SELECT throws_ok('UPDATE tenure SET epoch = epoch - 1', '23514', NULL, 'the epoch of a tenure never falls');
SELECT throws_ok('UPDATE tenure SET leadership_id = -2', '23514', NULL, 'nor does it become another group''s');
SELECT throws_ok($$UPDATE tenure SET cluster_id = 'd'$$, '23514', NULL, 'nor another cluster''s');
SELECT pg_temp.refuses($$INSERT INTO member (incarnation, cluster_id, name, backend_pid, client_version)
    VALUES ('00000000-0000-4000-8000-000000000001', 'c', 'm', 1, 'test')$$, 'member_incarnation_is_unique');
SELECT pg_temp.refuses($$UPDATE member SET cluster_id = ''$$, 'member_cluster_id_is_1_to_200_bytes');
SELECT pg_temp.refuses($$UPDATE member SET cluster_id = repeat('x', 201)$$, 'member_cluster_id_is_1_to_200_bytes');
SELECT pg_temp.refuses($$UPDATE member SET name = ''$$, 'member_name_is_1_to_200_bytes');
SELECT pg_temp.refuses($$UPDATE member SET name = repeat('é', 101)$$, 'member_name_is_1_to_200_bytes');
SELECT pg_temp.refuses($$INSERT INTO leadership (cluster_id, group_name) VALUES ('c', 'g')$$, 'leadership_group_is_unique');
SELECT pg_temp.refuses($$INSERT INTO leadership (cluster_id, group_name) VALUES ('', 'g')$$,
    'leadership_cluster_id_is_1_to_200_bytes');
SELECT pg_temp.refuses($$INSERT INTO leadership (cluster_id, group_name) VALUES ('c', repeat('x', 201))$$,
    'leadership_group_name_is_1_to_200_bytes');
SELECT pg_temp.refuses($$INSERT INTO leadership (cluster_id, group_name, epoch) VALUES ('c', 'h', -1)$$,
    'leadership_epoch_is_not_negative');
SELECT pg_temp.refuses($$UPDATE leadership SET take_over_mode = 'polite'$$, 'leadership_take_over_mode_is_known');
SELECT pg_temp.refuses($$UPDATE leadership SET session_id = gen_random_uuid()$$, 'leadership_tenure_is_whole');
SELECT lives_ok($$INSERT INTO leadership (cluster_id, group_name) VALUES (repeat('x', 200), repeat('é', 100))$$, '200 bytes are fine');

INSERT INTO leader (cluster_id, component, group_name, epoch) VALUES ('c', 'web', 'g', 0);
SELECT pg_temp.refuses($$INSERT INTO leader (cluster_id, component, group_name, epoch) VALUES ('c', 'web', 'g', 0)$$, 'leader_pkey');
SELECT pg_temp.refuses($$UPDATE leader SET cluster_id = ''$$, 'leader_cluster_id_is_1_to_200_bytes');
SELECT pg_temp.refuses($$UPDATE leader SET component = ''$$, 'leader_component_is_1_to_200_bytes');
SELECT pg_temp.refuses($$UPDATE leader SET group_name = ''$$, 'leader_group_name_is_1_to_200_bytes');
SELECT pg_temp.refuses($$UPDATE leader SET session_id = gen_random_uuid(), confirmed_at = now(), address = ''$$,
    'leader_address_is_1_to_1024_bytes');
SELECT pg_temp.refuses($$UPDATE leader SET session_id = gen_random_uuid(), confirmed_at = now(), address = repeat('x', 1025)$$,
    'leader_address_is_1_to_1024_bytes');
SELECT pg_temp.refuses($$UPDATE leader SET address = 'a:1'$$, 'leader_record_is_whole');

INSERT INTO leader_history (leadership_id, epoch, cluster_id, group_name, session_id, member_id, member_name, take_over_mode, began_at,
                            granted_at, began_after)
VALUES (1, 1, 'c', 'g', gen_random_uuid(), 1, 'm', 'immediate', now(), now(), 'nobody');
SELECT pg_temp.refuses($$INSERT INTO leader_history SELECT 1, 2, 'c', 'g', gen_random_uuid(), 1, 'm', 'immediate', now(), now(), 'loss'$$,
    'leader_history_has_one_open_tenure');
SELECT pg_temp.refuses($$UPDATE leader_history SET began_after = 'lunch'$$, 'leader_history_began_after_is_known');
SELECT pg_temp.refuses($$UPDATE leader_history SET end_reason = 'tired'$$, 'leader_history_end_reason_is_known');
SELECT pg_temp.refuses($$UPDATE leader_history SET ended_at = now()$$, 'leader_history_end_has_a_reason');

-- Small helpers.
SELECT is(epoch_text((5::bigint << 40) + 12), '5.12', 'an epoch for people');
SELECT is(lock_class('leadership')::bigint, 'leadership'::regclass::oid::bigint, 'class of the advisory locks');
SELECT ok(octet_length(channel(repeat('x', 200))) <= 63, 'a channel''s name fits');
SELECT isnt(channel('c1'), channel('c2'), 'clusters have channels of their own');

-- By hand: guard and audit.
SELECT throws_ok('TRUNCATE leadership', '55000', NULL, 'leadership cannot be truncated');
SELECT throws_ok($$UPDATE leadership SET id = id + 1$$, NULL, NULL, 'its ids are fixed');
DELETE FROM event;
INSERT INTO leader (cluster_id, component, group_name, epoch) VALUES ('c', 'by hand', 'g', 0);
UPDATE leader SET epoch = 1 WHERE component = 'by hand';
DELETE FROM leader WHERE component = 'by hand';
SELECT results_eq($$SELECT act, by_hand, subject FROM event WHERE act LIKE '% leader' ORDER BY id$$,
    $$VALUES ('insert leader', true, 'by hand'), ('update leader', true, 'by hand'), ('delete leader', true, 'by hand')$$,
    'changes by hand are audited');
SELECT is((SELECT detail #>> '{old,epoch}' FROM event WHERE act = 'update leader'), '0', 'with the row before');
SELECT is((SELECT detail #>> '{new,epoch}' FROM event WHERE act = 'update leader'), '1', 'and after');

SELECT * FROM finish();
ROLLBACK;
