-- Tenures between two sessions: this one and one by dblink, as two processes. Committed, because each must see what the
-- other did; last in the alphabet, because it leaves rows behind (cluster "t").
SELECT plan(64);
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS dblink SCHEMA tap;
SELECT quote_ident(current_schema()) || ', tap' AS path \gset
SELECT dblink_connect('other', format('host=%L port=%s user=%L dbname=%L',
    current_setting('unix_socket_directories'), current_setting('port'), current_user, current_database())) AS connected \gset
SELECT x AS ignored FROM dblink('other', format('SELECT set_config(''search_path'', %L, false)', :'path')) AS t(x text) \gset
-- One value of the other session, as text.
CREATE FUNCTION pg_temp.there(statement text) RETURNS text LANGUAGE sql AS
$$ SELECT x FROM dblink('other', 'SELECT (' || statement || ')::text') AS t(x text) $$;

SELECT gen_random_uuid() AS s1, gen_random_uuid() AS s2, gen_random_uuid() AS s3, gen_random_uuid() AS s4 \gset
SELECT member_id AS a, locked AS a_locked FROM join_member(gen_random_uuid(), 't', 'a', 'test') \gset
SELECT pg_temp.there($$SELECT member_id FROM join_member(gen_random_uuid(), 't', 'b', 'test')$$) AS b \gset
SELECT ok(:'a_locked', 'join_member takes the member''s lock');
SELECT ok(is_alive(:a) AND is_alive(:b), 'both are alive');
SELECT is(is_alive(-1), false, 'a member that never was is not');
SELECT enroll(:a, 't', 'master') AS id \gset
SELECT is(pg_temp.there(format('enroll(%s, ''t'', ''master'')', :b)), :'id', 'the other session gets the same row');
SELECT is((SELECT group_names FROM member WHERE id = :b), '{master}', 'enroll notes the group');
SELECT enroll(:a, 't', 'master') = :id AS again \gset
SELECT is((SELECT group_names FROM member WHERE id = :a), '{master}', 'once, however often it is called');
SELECT is((SELECT state FROM stat_leaders WHERE cluster_id = 't'), 'never led', 'stat_leaders: never led');

-- watch_member: waits for a living member in slices, and is told of a dead one.
SELECT is(pg_temp.there(format('watch_member(%s, 50)', :a)), 'false', 'a watcher''s slice ends');
SELECT is(pg_temp.there('watch_member(-1, 50)'), 'true', 'a member that is gone is gone');

-- taken, busy.
SELECT outcome AS o1, epoch AS e1 FROM take_over(:id, :a, :'s1', 'immediate', 1, 3, 5, 4) \gset
SELECT is(:'o1'::text, 'taken', 'taken');
SELECT is(pg_temp.there(format('SELECT outcome || holder FROM take_over(%s, %s, %L, ''immediate'', 1, 3, 5, 4)', :id, :b, :'s2')),
    'busy' || :a, 'busy, and who leads');
SELECT ok(is_held(:id), 'the group is led');
SELECT is((SELECT state FROM stat_leaders WHERE cluster_id = 't'), 'leading', 'stat_leaders: leading');
SELECT results_eq($$SELECT member_name, state FROM stat_contenders WHERE cluster_id = 't' ORDER BY member_name$$,
    $$VALUES ('a', 'leader'), ('b', 'standby')$$, 'stat_contenders');

-- Records.
SELECT is(confirm(:id, :e1, :'s1', 'web', 'a:1'), 'done', 'confirm');
SELECT is(confirm(:id, :e1, :'s1', 'web', 'a:1'), 'unchanged', 'again: no write');
SELECT is((SELECT state || address FROM stat_leaders WHERE cluster_id = 't' AND component = 'web'), 'leadinga:1', 'stat_leaders shows it');
SELECT is(withdraw(:id, :e1, :'s1', 'web'), 'done', 'withdraw');
SELECT is(withdraw(:id, :e1, :'s1', 'web'), 'unchanged', 'again: nothing to do');
SELECT is((SELECT state FROM stat_leaders WHERE cluster_id = 't' AND component = 'web'), 'unconfirmed', 'stat_leaders: unconfirmed');
SELECT confirm(:id, :e1, :'s1', 'web', 'a:1') AS done \gset
SELECT is((SELECT count(*) FROM event WHERE cluster_id = 't' AND by_hand), 0::bigint, 'none of this counts as done by hand');

-- Another live group publishes the component: conflict; a dead one does not matter.
SELECT enroll(:b::integer, 't', 'second') AS id2 \gset
SELECT pg_temp.there(format('SELECT epoch FROM take_over(%s, %s, %L, ''immediate'', 1, 3, 5, 4)', :id2, :b, :'s4')) AS e4 \gset
SELECT is(pg_temp.there(format('confirm(%s, %s, %L, ''web'', ''b:1'')', :id2, :e4, :'s4')), 'conflict', 'conflict');
SELECT is(pg_temp.there(format('release(%s, %s, %L, ''resigned'', true, 0)', :id2, :e4, :'s4')), 'done', 'released there');

-- Operators: whom a hand-over may be asked of and for.
SELECT throws_ok($$SELECT request_handover('t', 'nothing')$$, 'PK002', NULL, 'request_handover: no such component');
SELECT throws_ok($$SELECT request_handover('t', 'second')$$, 'PK002', NULL, 'request_handover: no leader');
SELECT throws_ok($$SELECT request_handover('other', 'master')$$, 'PK002', NULL, 'request_handover: another cluster');
SELECT throws_ok(format('SELECT request_handover(''t'', ''master'', %s)', :a), 'PK003', NULL, 'request_handover: leads already');
SELECT throws_ok($$SELECT request_handover('t', 'master', -1)$$, 'PK002', NULL, 'request_handover: no such member');
SELECT is((SELECT id FROM find_leadership('t', 'web')), :id, 'find_leadership by component');
SELECT is((SELECT id FROM find_leadership('t', 'master')), :id, 'find_leadership by group');
SELECT is(request_handover('t', 'web', :b, 60000), :e1, 'request_handover: the epoch that is to end');
SELECT is((SELECT handover_to FROM stat_leaders WHERE cluster_id = 't' AND component = 'web'), :b, 'stat_leaders shows the hand-over');

-- The leader obeys; a third stands back, the one meant does not.
SELECT is(release(:id, :e1, :'s1', 'switchover', true, 1000), 'done', 'release');
-- It warns that the lock is not held any more.
SET client_min_messages = error;
SELECT is(release(:id, :e1, :'s1', 'switchover', true, 1000), 'fenced', 'release twice: fenced');
SET client_min_messages = warning;
SELECT is(is_held(:id), false, 'the lock is free');
SELECT throws_ok(format('SELECT fence(%s, %s)', :id, :e1), 'PK001', NULL, 'the fence is closed at once');
SELECT is((SELECT state FROM stat_leaders WHERE cluster_id = 't' AND component = 'web'), 'released', 'stat_leaders: released');
SELECT is((SELECT address FROM leader WHERE cluster_id = 't' AND component = 'web'), NULL, 'its record is empty');
SELECT is((SELECT outcome FROM take_over(:id, :a, :'s3', 'immediate', 1, 3, 5, 4)), 'reserved', 'the former leader is told: reserved');
SELECT is(pg_temp.there(format('SELECT outcome FROM take_over(%s, %s, %L, ''exclusive'', 1, 3, 5, 400)', :id, :b, :'s2')), 'taken',
    'the one meant takes it');
SELECT is((SELECT end_reason FROM leader_history WHERE leadership_id = :id AND epoch = :e1), 'switchover', 'history: switchover');
SELECT is((SELECT began_after || (granted_at = began_at) FROM leader_history WHERE leadership_id = :id AND epoch > :e1), 'releasetrue',
    'after a clean end nobody waits, exclusive or not');

-- Kick ends the other session; the tenure says so; its successor, exclusive, waits the grace of whoever was kicked.
SELECT kick('t', 'second') AS nobody \gset
SELECT is(:'nobody'::boolean, false, 'kick of a group without leader: false');
SELECT is(kick('t', 'master'), true, 'kick');
SELECT is((SELECT end_reason FROM leader_history WHERE leadership_id = :id AND ended_at IS NULL), 'kicked', 'history: kicked');
-- Its end is noticed by waiting for it, as a standby does.
SELECT ok(watch_member(:b, 30000), 'the kicked session is gone');
SELECT is(is_alive(:b), false, 'and its member not alive');
SELECT is((SELECT state FROM stat_leaders WHERE cluster_id = 't' AND component = 'web'), 'lost', 'stat_leaders: lost');
SELECT epoch AS e3, wait_ms AS w3 FROM take_over(:id, :a, :'s3', 'exclusive', 1, 3, 5, 4) \gset
SELECT is(:w3::integer, 400, 'the larger grace is waited');
SELECT is((SELECT end_reason FROM leader_history WHERE leadership_id = :id AND session_id = :'s2'), 'kicked', 'the reason stays');

-- Given up within the grace: abandoned, and the next one waits again.
SELECT is(release(:id, :e3, :'s3', 'resigned', false, 0), 'done', 'released before the grant');
SELECT is((SELECT end_reason FROM leader_history WHERE leadership_id = :id AND epoch = :e3), 'abandoned', 'history: abandoned');
SELECT epoch AS e5, wait_ms AS w5 FROM take_over(:id, :a, :'s4', 'exclusive', 1, 3, 5, 4) \gset
SELECT is(:w5::integer, 400, 'the grace is waited in full again');

-- A successor wrote "lost"; the former leader knows better, once.
SELECT pg_advisory_unlock(lock_class('leadership'), :id) AS unlocked \gset
SELECT epoch AS e6 FROM take_over(:id, :a, :'s1', 'immediate', 1, 3, 5, 4) \gset
SELECT is((SELECT end_reason FROM leader_history WHERE leadership_id = :id AND epoch = :e5), 'lost', 'history: lost');
SELECT report_end(:id, :e5, :'s4', 'connection_lost', 'says the leader') AS reported \gset
SELECT report_end(:id, :e5, :'s4', 'terminated', 'says somebody') AS reported \gset
SELECT is((SELECT end_reason || ': ' || end_detail FROM leader_history WHERE leadership_id = :id AND epoch = :e5),
    'connection_lost: says the leader', 'report_end tells why, once');
SELECT report_end(:id, :e6, :'s2', 'terminated', 'wrong session') AS reported \gset
SELECT is((SELECT end_reason FROM leader_history WHERE leadership_id = :id AND epoch = :e6), NULL, 'and only of one''s own tenure');

-- rehearse() leaves nothing, an epoch raised by hand ends the tenure in the history.
SELECT rehearse() AS rehearsed \gset
SELECT is((SELECT count(*) FROM leadership WHERE cluster_id NOT IN ('t')), 0::bigint, 'rehearse leaves no row');
UPDATE leadership SET epoch = epoch + 1 WHERE id = :id;
SELECT is((SELECT end_reason FROM leader_history WHERE leadership_id = :id AND epoch = :e6), 'fenced', 'history: fenced');

-- An odd row: no session id is nobody's; a hand-over without end is asked about again; the counter carries.
UPDATE leadership SET handover_from = :a, handover_until = 'infinity' WHERE id = :id;
SELECT is((SELECT outcome || (wait_ms BETWEEN 1 AND 1000) FROM take_over(:id, :a, :'s1', 'immediate', 1, 3, 5, 4)), 'reservedtrue',
    'a hand-over for ever: reserved, and asked about again soon');
UPDATE leadership SET handover_from = NULL, handover_until = NULL WHERE id = :id;
SELECT enroll(:a, 't', 'carry') AS carry \gset
UPDATE leadership SET epoch = (2::bigint << 40) - 1 WHERE id = :carry;
SELECT is((SELECT epoch_text(epoch) FROM take_over(:carry, :a, :'s1', 'immediate', 1, 3, 5, 4)), '2.1',
    'a counter raised to its end by hand carries into the timeline, one further as nothing tells who had the next one');
SELECT throws_ok(format('SELECT confirm(%s, %s, NULL, ''web'', ''a:1'')', :carry, 2::bigint << 40), 'PK001', NULL,
    'confirm without a session id: fenced');

-- Two at once. The other statement is known to wait before this session goes on.
SELECT dblink_connect(name, format('host=%L port=%s user=%L dbname=%L options=%L', current_setting('unix_socket_directories'),
    current_setting('port'), current_user, current_database(), '-c lock_timeout=10s'))
  FROM unnest('{third,fourth}'::text[]) AS n(name) \g /dev/null
SELECT x FROM unnest('{third,fourth}'::text[]) AS n(name),
    dblink(n.name, format('SELECT set_config(''search_path'', %L, false)', :'path')) AS t(x text) \g /dev/null
CREATE FUNCTION pg_temp.wait_for_waiting(how_many bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    FOR i IN 1..3000 LOOP
        EXIT WHEN (SELECT count(*) FROM pg_locks WHERE NOT granted) >= how_many;
        PERFORM pg_sleep(0.01);
    END LOOP;
END $$;
BEGIN;
SELECT epoch AS e7 FROM take_over(:id, :a, :'s2', 'immediate', 1, 3, 5, 4) \gset
SELECT dblink_send_query('third', $$SELECT request_handover('t', 'master')$$) AS sent \gset
SELECT pg_temp.wait_for_waiting(1) \g /dev/null
COMMIT;
SELECT throws_ok($$SELECT * FROM dblink_get_result('third') AS t(x bigint)$$, 'PK003', NULL,
    'request_handover: never of the successor of the one it was meant for');
SELECT is((SELECT handover_until FROM leadership WHERE id = :id), NULL, 'and nothing is noted');
SELECT * FROM dblink_get_result('third') AS t(x bigint) \g /dev/null

-- After a restart of the server all join again at the same time, and all have joined more than a day ago.
INSERT INTO member (incarnation, cluster_id, name, backend_pid, client_version, joined_at)
SELECT i::uuid, 't', i::text, 0, 'test', now() - interval '2 days'
  FROM unnest(ARRAY['00000000-0000-0000-0000-000000000001', '00000000-0000-0000-0000-000000000002',
                    '00000000-0000-0000-0000-000000000003']) AS i;
BEGIN;
SELECT id FROM member WHERE incarnation = '00000000-0000-0000-0000-000000000003' FOR UPDATE \g /dev/null
SELECT dblink_send_query('third', $$SELECT locked FROM join_member('00000000-0000-0000-0000-000000000001', 't', 'm1', 'test')$$) AS sent \gset
SELECT * FROM dblink_get_result('third') AS t(locked boolean) \g /dev/null
COMMIT;
SELECT is((SELECT locked FROM dblink('fourth', $$SELECT locked FROM join_member('00000000-0000-0000-0000-000000000002', 't', 'm2', 'test')$$) AS t(locked boolean)),
    true, 'members that join at the same time do not wait for each other''s rows');
SELECT * FROM finish();
