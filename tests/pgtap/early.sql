-- Tenures that begin before they are durable: what passes the fence, what is entered when, what a crash of the server leaves.
BEGIN;
SELECT plan(39);

SELECT member_id AS a FROM join_member(gen_random_uuid(), 'e', 'a', 'test') \gset
SELECT member_id AS b FROM join_member(gen_random_uuid(), 'e', 'b', 'test') \gset
SELECT enroll(:a, 'e', 'master') AS id, enroll(:b, 'e', 'master') AS same \gset
SELECT gen_random_uuid() AS s1, gen_random_uuid() AS s2, gen_random_uuid() AS s3, gen_random_uuid() AS s4 \gset
-- The lock is the session's own here, so that each take-over is one after an unclean end.
CREATE FUNCTION pg_temp.books() RETURNS text LANGUAGE sql AS $$
    SELECT l.epoch || ':' || (SELECT string_agg(h.epoch || coalesce(h.end_reason, ''), ',' ORDER BY h.epoch)
                                FROM leader_history h WHERE h.leadership_id = l.id) FROM leadership l WHERE l.cluster_id = 'e' $$;

SELECT outcome AS o, epoch AS e1 FROM take_over(:id, :a, :'s1', 'immediate', 1, 3, 5, 4, 0, true) \gset
SELECT is(:'o'::text, 'taken', 'the first tenure of a group is entered at once: no durable grace stands behind it');
SELECT is(confirm(:id, :e1, :'s1', 'web', 'a:1'), 'done', 'and publishes');

SELECT outcome AS o, epoch AS e2, holder AS h FROM take_over(:id, :b, :'s2', 'immediate', 1, 3, 5, 4, 0, true) \gset
SELECT is(:'o'::text, 'early', 'the next one is early');
SELECT is(:e2, :e1 + 1, 'on the next epoch');
SELECT is(:h, :a, 'and is told who led');
SELECT is(pg_temp.books(), format('%s:%s', :e1, :e1), 'the books do not have it yet');
SELECT ok(fence(:id, :e2), 'its epoch passes the fence');
SELECT throws_ok(format('SELECT fence(%s, %s)', :id, :e1), 'PK001', NULL, 'the former one does not');
SELECT throws_ok(format('SELECT may_write(%s, %s, ''e'')', :id, :e1), 'PK001', NULL, 'nor in the library''s form');
SELECT ok(may_write(:id, :e2, 'e') AND tenure_is_live(:id, :e2) AND NOT tenure_is_live(:id, :e1), 'which knows who is live');
SELECT throws_ok(format('SELECT enter_tenure(%s, %s)', :id, :e1), 'PK001', NULL, 'a tenure that has passed on is not entered');
SELECT is(enter_tenure(:id, :e2), pg_backend_pid(), 'enter_tenure answers as a heartbeat does');
SELECT is(pg_temp.books(), format('%s:%slost,%s', :e2, :e1, :e2), 'it is in the books, and the former one closed');
SELECT is((SELECT address FROM leader WHERE cluster_id = 'e'), NULL, 'whose address is gone');
SELECT is(enter_tenure(:id, :e2), pg_backend_pid(), 'again: nothing');

-- Who died before it was entered is entered by the successor.
SELECT epoch AS e3 FROM take_over(:id, :a, :'s3', 'immediate', 1, 3, 5, 4, 0, true) \gset
SELECT outcome AS o, epoch AS e4, holder AS h FROM take_over(:id, :b, :'s4', 'immediate', 1, 3, 5, 4, 0, true) \gset
SELECT is(:'o'::text, 'taken', 'after a tenure that was not entered none is early');
SELECT is(:h, :a, 'its leader led before');
SELECT is(pg_temp.books(), format('%s:%slost,%slost,%slost,%s', :e4, :e1, :e2, :e3, :e4), 'both are in the books');

-- Where a grace may depend on it, and where it is not asked for, nothing is early.
SELECT is((SELECT outcome FROM take_over(:id, :a, :'s1', 'exclusive', 1, 3, 5, 4, 0, true)), 'taken', 'exclusive: not early');
SELECT is((SELECT outcome FROM take_over(:id, :a, :'s2', 'immediate', 1, 3, 5, 5, 0, true)), 'taken', 'a longer grace than stored: not early');
SELECT is((SELECT outcome FROM take_over(:id, :a, :'s3', 'immediate', 1, 3, 5, 5)), 'taken', 'not asked for: not early');

-- confirm() and an operator's act enter it themselves.
SELECT outcome AS o, epoch AS e5 FROM take_over(:id, :b, :'s1', 'immediate', 1, 3, 5, 4, 0, true) \gset
SELECT is(:'o'::text || confirm(:id, :e5, :'s1', 'web', 'b:1'), 'earlydone', 'confirm of a tenure that is not entered');
SELECT is((SELECT state || epoch FROM stat_leaders WHERE cluster_id = 'e'), 'leading' || :e5, 'enters it');
SELECT outcome AS o, epoch AS e6 FROM take_over(:id, :a, :'s2', 'immediate', 1, 3, 5, 4, 0, true) \gset
SELECT is(:'o'::text || request_handover('e', 'master', :b), 'early' || :e6::text, 'so does request_handover');
SELECT outcome AS o, epoch AS e7 FROM take_over(:id, :b, :'s3', 'immediate', 1, 3, 5, 4, 0, true) \gset
SELECT is(:'o'::text || release(:id, :e7, :'s3', 'resigned', true, 0), 'earlydone', 'and release');
SELECT is((SELECT end_reason FROM leader_history WHERE leadership_id = :id AND epoch = :e7), 'resigned', 'which is in the history');
SELECT throws_ok(format('SELECT fence(%s, %s)', :id, :e7), 'PK001', NULL, 'a token that was given up passes no more');

-- An epoch raised by hand while the books are behind.
SELECT outcome AS o, epoch AS e8 FROM take_over(:id, :a, :'s4', 'immediate', 1, 3, 5, 4, 0, true) \gset
UPDATE leadership SET epoch = epoch + 1 WHERE id = :id;
SELECT throws_ok(format('SELECT fence(%s, %s)', :id, :e8), 'PK001', NULL, 'raised by hand to the very same number: it is fenced');
SELECT throws_ok(format('SELECT enter_tenure(%s, %s)', :id, :e8), 'PK001', NULL, 'and not entered');

-- A crash of the server empties the table.
SELECT outcome AS o, epoch AS e9 FROM take_over(:id, :a, :'s1', 'immediate', 1, 3, 5, 4, 0, true) \gset
SELECT is(:'o'::text, 'early', 'after a hand-made end the next one is early again');
SELECT is(:e9, :e8 + 1, 'above it');
DELETE FROM tenure WHERE leadership_id = :id;
SELECT throws_ok(format('SELECT fence(%s, %s)', :id, :e9), 'PK001', NULL, 'a tenure that a crash forgot passes no more');
SELECT throws_ok(format('SELECT fence(%s, %s)', :id, :e8), 'PK001', NULL, 'nor does the one before it');
SELECT outcome AS o, epoch AS e10 FROM take_over(:id, :b, :'s2', 'immediate', 1, 3, 5, 4, 0, true) \gset
SELECT is(:'o'::text, 'taken', 'the first one after it is durable before it begins');
SELECT ok(:e10 > :e9, 'and its epoch above that of which there is no trace');

-- One who was granted without a trace may have followed a clean end: an exclusive successor waits all the same.
SELECT release(:id, :e10, :'s2', 'resigned', true, 0) AS released \gset
DELETE FROM tenure WHERE leadership_id = :id;
SELECT is((SELECT wait_ms FROM take_over(:id, :a, :'s3', 'exclusive', 1, 3, 5, 400)), 400, 'after a crash a clean end before it spares nobody the grace');
SELECT is((SELECT began_after FROM leader_history WHERE leadership_id = :id AND ended_at IS NULL), 'release', 'though the history tells of it');

-- The same when somebody had emptied the row by hand before.
SELECT outcome AS o, epoch AS e11 FROM take_over(:id, :b, :'s4', 'immediate', 1, 3, 5, 4) \gset
UPDATE leadership SET session_id = NULL, member_id = NULL, taken_at = NULL, granted_at = NULL WHERE id = :id;
UPDATE leadership SET grace_ms = 1000 WHERE id = :id;
SELECT outcome AS o, epoch AS e12 FROM take_over(:id, :a, :'s1', 'immediate', 1, 3, 5, 4, 0, true) \gset
SELECT is(:'o'::text, 'early', 'after a row that was emptied by hand the next tenure is early');
DELETE FROM tenure WHERE leadership_id = :id;
SELECT ok((SELECT epoch FROM take_over(:id, :b, :'s2', 'immediate', 1, 3, 5, 4)) > :e12, 'and its epoch is not given out again after a crash');

SELECT * FROM finish();
ROLLBACK;
