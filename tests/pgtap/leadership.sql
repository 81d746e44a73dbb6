-- One tenure after the other in one session: epochs, fence, guards against acts by hand.
BEGIN;
SELECT plan(27);

SELECT member_id AS a FROM join_member(gen_random_uuid(), 'c1', 'a', 'test') \gset
SELECT member_id AS b FROM join_member(gen_random_uuid(), 'c1', 'b', 'test') \gset
SELECT enroll(:a, 'c1', 'master') AS id \gset
SELECT is(enroll(:b, 'c1', 'master'), :id, 'a second member of a group shares its row');
SELECT isnt(enroll(:a, 'c2', 'master'), :id, 'another cluster id has a row of its own');

SELECT gen_random_uuid() AS s1, gen_random_uuid() AS s2 \gset
SELECT outcome AS o1, epoch AS e1, wait_ms AS w1
  FROM take_over(:id, :a, :'s1', 'exclusive', 100, 300, 500, 400) \gset
SELECT is(:'o1'::text, 'taken', 'a free group is taken');
SELECT is(:w1, 0, 'the first tenure waits for nobody');
SELECT is((SELECT outcome FROM take_over(-1, :a, :'s1', 'exclusive', 100, 300, 500, 400)), 'missing',
    'an unknown group is missing');
SELECT ok(fence(:id, :e1), 'the present epoch passes the fence');
SELECT throws_ok(format('SELECT fence(%s, %s)', :id, :e1 - 1), 'PK001', NULL, 'a former epoch does not');
SELECT throws_ok(format('SELECT fence(%s, %s)', :id, :e1 + 1), 'PK001', NULL, 'nor does a future one');
SELECT ok(fence(:id, :e1, 'c1') AND fence(:id, :e1, NULL), 'it does where its cluster id is named');
SELECT throws_ok(format('SELECT fence(%s, %s, ''c2'')', :id, :e1), 'PK001',
    format('fenced: leadership %s is of cluster id "c1", not of "c2"', :id), 'and not where another one is');
SELECT throws_matching(format('SELECT fence(%s, %s, ''c1'')', :id, :e1 - 1), 'has passed on', 'a former epoch does not there either');

SELECT is(confirm(:id, :e1, :'s1', 'dispatcher', 'a:1'), 'done', 'an address is published');
SELECT throws_ok(format('SELECT confirm(%s, %s, %L, %L, %L)', :id, :e1, :'s2', 'dispatcher', 'b:1'), 'PK001', NULL,
    'not with another session id');
SELECT is((SELECT address FROM leader WHERE component = 'dispatcher'), 'a:1', 'and nothing was written');

SELECT throws_ok('DELETE FROM leadership', '55000', NULL, 'rows of leadership cannot be deleted');
SELECT throws_ok('TRUNCATE leadership', '55000', NULL, 'nor truncated');
SELECT throws_ok('UPDATE leadership SET epoch = epoch - 1', '23514', NULL, 'an epoch never falls');
SELECT throws_ok($$UPDATE leadership SET group_name = 'other'$$, '23514', NULL, 'a group keeps its name');

-- The lock is the session's own here, so that a successor takes over as after an unclean end.
SELECT outcome AS o2, epoch AS e2, wait_ms AS w2
  FROM take_over(:id, :b, :'s2', 'exclusive', 100, 300, 500, 700) \gset
SELECT ok(:e2 > :e1, 'the epoch rises');
SELECT is(:w2, 700, 'after an unclean end an exclusive successor waits the longer grace');
SELECT is((SELECT address FROM leader WHERE component = 'dispatcher'), NULL, 'the former address is gone');
SELECT is((SELECT end_reason FROM leader_history WHERE leadership_id = :id AND epoch = :e1), 'lost',
    'the former tenure is closed');

UPDATE leadership SET epoch = epoch + 1 WHERE id = :id;
SELECT throws_ok(format('SELECT fence(%s, %s)', :id, :e2), 'PK001', NULL, 'an epoch raised by hand fences the leader');
SELECT is((SELECT count(*) FROM event WHERE by_hand AND act = 'update leadership'), 1::bigint,
    'and is audited as done by hand');

-- Announcing: an event without by_hand, and nothing but what happened.
SELECT is(announce_tenure(:id, :e2, 'take_over'), pg_backend_pid(), 'announce_tenure answers as a heartbeat does');
SELECT is((SELECT (detail ->> 'wait_ms')::integer FROM event WHERE act = 'take_over' AND NOT by_hand), 700, 'the take-over is audited');
SELECT throws_ok(format('SELECT announce_tenure(%s, %s, ''kick'')', :id, :e2), '22023', NULL, 'no other act is');

SELECT * FROM finish();
ROLLBACK;
