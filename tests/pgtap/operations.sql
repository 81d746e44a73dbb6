-- What operators do by SQL: pauses, hand-over by name, purges, the audit of whole tables.
BEGIN;
SELECT plan(47);

SELECT member_id AS a FROM join_member(gen_random_uuid(), 'c1', 'a', 'test') \gset
SELECT enroll(:a, 'c1', 'master') AS id, enroll(:a, 'c2', 'master') AS other \gset
SELECT gen_random_uuid() AS s1 \gset

-- Pause: nobody takes over, of this cluster; who, why and since when are there to see.
SELECT is(pause_elections('c1', 'upgrade of the switch'), true, 'elections are paused');
SELECT is(pause_elections('c1', 'again'), false, 'paused already');
SELECT is((SELECT reason FROM stat_pauses WHERE cluster_id = 'c1'), 'upgrade of the switch', 'the first reason stays');
SELECT is((SELECT paused_by FROM stat_pauses WHERE cluster_id = 'c1'), session_user::text, 'with who it was');
SELECT is((SELECT pause_reason FROM stat_leaders WHERE cluster_id = 'c1'), 'upgrade of the switch', 'stat_leaders shows it');
SELECT is((SELECT paused_at FROM stat_leaders WHERE cluster_id = 'c2'), NULL, 'of that cluster only');
SELECT results_eq(format('SELECT outcome, wait_ms FROM take_over(%s, %s, %L, %L, 100, 300, 500, 400)', :id, :a, :'s1', 'immediate'),
    $$VALUES ('paused', 1000)$$, 'a take-over is refused as paused');
SELECT is(is_held(:id), false, 'and holds nothing');
SELECT is((SELECT epoch FROM leadership WHERE id = :id), 0::bigint, 'and raises no epoch');
SELECT is((SELECT leaderless FROM stat_pauses), 1::bigint, 'the group is counted as leaderless');
SELECT is((SELECT outcome FROM take_over(:other, :a, :'s1', 'immediate', 100, 300, 500, 400)), 'taken', 'another cluster goes on');
SELECT is(resume_elections('c1'), true, 'elections are resumed');
SELECT is(resume_elections('c1'), false, 'they are not paused any more');
SELECT outcome AS o1, epoch AS e1 FROM take_over(:id, :a, :'s1', 'immediate', 100, 300, 500, 400) \gset
SELECT is(:'o1'::text, 'taken', 'then the group is taken');
SELECT results_eq($$SELECT act, by_hand, detail ->> 'reason' FROM event WHERE act IN ('pause', 'resume') ORDER BY id$$,
    $$VALUES ('pause', false, 'upgrade of the switch'), ('resume', false, 'upgrade of the switch')$$, 'both are audited');

-- While paused the leader stays, also when somebody asks it to go.
SELECT pause_elections('c1');
SELECT is(fence(:id, :e1), true, 'the leader still passes the fence');
SELECT throws_ok($$SELECT request_handover('c1', 'master')$$, 'PK003', NULL, 'and cannot be asked to hand over');
INSERT INTO election_pause (cluster_id) VALUES ('by hand');
DELETE FROM election_pause WHERE cluster_id IN ('by hand', 'c1');
SELECT results_eq($$SELECT act, subject FROM event WHERE by_hand AND act LIKE '% election_pause' ORDER BY id$$,
    $$VALUES ('insert election_pause', 'by hand'), ('delete election_pause', 'c1'), ('delete election_pause', 'by hand')$$,
    'pauses made and ended by hand are audited');
SELECT throws_ok($$INSERT INTO election_pause VALUES ('c', '')$$, '23514', NULL, 'a reason has words');

-- Hand-over by name.
SELECT throws_ok($$SELECT switchover('c1', 'master', 'nobody')$$, 'PK002', NULL, 'to nobody');
SELECT throws_ok($$SELECT switchover('c1', 'master', 'a')$$, 'PK003', NULL, 'nor to the leader itself');

-- Purges.
SELECT throws_ok($$SELECT purge('c1', 'jobs', '1 day')$$, '22023', NULL, 'only what is known is purged');
SELECT throws_ok($$SELECT purge('c1', 'events', '-1 day')$$, '22023', NULL, 'an age is not negative');
INSERT INTO job_result (cluster_id, job_id, status, state, clean_at, op_id)
SELECT 'c1', gen_random_uuid(), 'FINISHED', 'clean', now() - n * interval '1 day', gen_random_uuid() FROM generate_series(1, 9) n;
INSERT INTO job_result (cluster_id, job_id, status, state, op_id) VALUES ('c1', gen_random_uuid(), 'FINISHED', 'dirty', gen_random_uuid());
SELECT is(purge('c1', 'results', '5 days', 3), 3::bigint, 'a batch of results');
SELECT is(purge('c1', 'results', '5 days', 3), 2::bigint, 'the rest');
SELECT is((SELECT count(*) FROM job_result), 5::bigint, 'younger and dirty ones stay');
SELECT is((SELECT count(*) FROM event WHERE act = 'delete job_result'), 0::bigint, 'without a line for each');
SELECT is((SELECT sum((detail ->> 'rows')::bigint) FROM event WHERE act = 'purge' AND NOT by_hand), 5::numeric, 'but one for each batch');
SELECT outcome AS o2, epoch AS e2 FROM take_over(:id, :a, gen_random_uuid(), 'immediate', 100, 300, 500, 400) \gset
SELECT is(purge('c1', 'history', '0'), 1::bigint, 'ended tenures');
SELECT is((SELECT count(*) FROM leader_history WHERE leadership_id = :id AND epoch = :e2), 1::bigint, 'the latest stays');
SELECT ok(purge('c1', 'events', '0') > 5, 'events');
SELECT is((SELECT count(*) FROM event WHERE cluster_id = 'c1' AND act <> 'purge'), 0::bigint, 'are gone but for that');

-- History and audit removed by hand, and whole tables.
DELETE FROM event WHERE cluster_id = 'c1';
SELECT results_eq($$SELECT act, by_hand, detail ->> 'rows' FROM event WHERE cluster_id = 'c1'$$,
    $$VALUES ('delete event', true, '1')$$, 'who empties the audit is in it');
TRUNCATE checkpoint;
SELECT is((SELECT count(*) FROM event WHERE act = 'truncate checkpoint' AND by_hand AND cluster_id = '*'), 1::bigint, 'a truncate is audited');

-- Members: not one that is connected, by its own session's lock.
SELECT throws_ok(format('DELETE FROM member WHERE id = %s', :a), '55000', NULL, 'the row of a living member stays');
INSERT INTO member (incarnation, cluster_id, name, backend_pid, client_version) VALUES (gen_random_uuid(), 'c1', 'gone', 1, 'test');
DELETE FROM member WHERE name = 'gone';
SELECT results_eq($$SELECT subject, by_hand FROM event WHERE act = 'delete member'$$, $$VALUES ('gone', true)$$, 'that of another may go, and is audited');
SELECT member_id FROM join_member(gen_random_uuid(), 'c1', 'b', 'test');
SELECT is((SELECT count(*) FROM event WHERE act = 'delete member'), 1::bigint, 'what pgkeeper removes itself is not by hand');

-- The history and the audit rewritten.
UPDATE leader_history SET end_detail = 'rewritten' WHERE cluster_id = 'c1';
SELECT isnt_empty($$SELECT FROM event WHERE act = 'update leader_history' AND by_hand AND cluster_id = 'c1'$$, 'history that is rewritten is audited');
UPDATE event SET role_name = 'nobody' WHERE act = 'delete member';
SELECT results_eq($$SELECT cluster_id, by_hand, role_name = session_user FROM event WHERE act = 'update event'$$, $$VALUES ('c1', true, true)$$, 'so is the audit itself');
SELECT is((SELECT count(*) FROM event WHERE by_hand AND act = 'update leader_history' AND cluster_id = 'c1'), 1::bigint, 'and none of what went before was by hand');

SELECT is((SELECT count(*) FROM event WHERE act LIKE '% tenure'), 0::bigint, 'none of the functions above changed a tenure by hand');
UPDATE leadership SET released_at = released_at WHERE id = :id;
UPDATE leadership SET epoch = epoch + 1 WHERE id = :id;
SELECT results_eq($$SELECT act, count(*) FROM event WHERE act LIKE 'update %' AND subject = 'master' AND by_hand GROUP BY act$$,
    $$VALUES ('update leadership', 2::bigint)$$, 'nor is what follows from a change of leadership noted twice');
UPDATE tenure SET grace_ms = grace_ms + 1 WHERE leadership_id = :id;
SELECT results_eq($$SELECT subject, by_hand, (detail #>> '{new,grace_ms}')::integer - (detail #>> '{old,grace_ms}')::integer FROM event WHERE act = 'update tenure'$$,
    $$VALUES ('master', true, 1)$$, 'a tenure that is changed by hand is audited');
DELETE FROM tenure WHERE leadership_id = :id;
SELECT results_eq($$SELECT subject, by_hand, detail #>> '{old,epoch}' FROM event WHERE act = 'delete tenure'$$, format($$VALUES ('master', true, %L)$$, :e2 + 1),
    'a tenure that is deleted is audited');
TRUNCATE tenure, job_store, applied_write;
SELECT results_eq($$SELECT act FROM event WHERE act ~ '^truncate' AND by_hand AND cluster_id = '*' ORDER BY act$$,
    $$VALUES ('truncate applied_write'), ('truncate checkpoint'), ('truncate job_store'), ('truncate tenure')$$, 'so are these tables');
-- Every table: what can be emptied leaves a trace, but for the notes of the migrations, which are compared.
SELECT is_empty($$SELECT c.relname FROM pg_class c WHERE c.relnamespace = quote_ident(current_schema())::regnamespace AND c.relkind = 'r'
    AND c.relname NOT IN ('schema_meta', 'schema_history')
    AND NOT EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = c.oid AND t.tgtype & 32 <> 0)$$, 'no table is emptied unseen');

SELECT results_eq('SELECT version, newest FROM stat_schema ORDER BY version DESC LIMIT 2',
    format('SELECT v, v = %1$s FROM (VALUES (%1$s), (%1$s - 1)) w(v)', (SELECT schema_version FROM schema_meta)), 'stat_schema shows what is applied');

SELECT * FROM finish();
ROLLBACK;
