-- Tenures that are not entered yet: what people and followers see of them, what is left when tenure is changed by hand or
-- emptied, and that no commit with an epoch in it is hurried. The lock is the session's own, so that each take-over is one
-- after an unclean end.
\set read `cat "$STATEMENTS/retrieval/read.sql"`
\set start `cat "$STATEMENTS/job_graph/start.sql"`
BEGIN;
SELECT plan(28);
PREPARE read AS :read;
PREPARE start AS :start;

SELECT member_id AS a FROM join_member(gen_random_uuid(), 'u', 'a', 'test') \gset
SELECT member_id AS b FROM join_member(gen_random_uuid(), 'u', 'b', 'test') \gset
SELECT enroll(:a, 'u', 'master') AS id, enroll(:b, 'u', 'master') AS same \gset
SELECT gen_random_uuid() AS s1, gen_random_uuid() AS s2, gen_random_uuid() AS s3, gen_random_uuid() AS s4 \gset
CREATE FUNCTION pg_temp.seen() RETURNS text LANGUAGE sql AS $$
    SELECT concat_ws(' ', state, epoch, member_name, address, lock_held) FROM stat_leaders WHERE cluster_id = 'u' $$;
CREATE FUNCTION pg_temp.contenders() RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(member_name || ' ' || state, ',' ORDER BY member_name) FROM stat_contenders WHERE cluster_id = 'u' $$;

-- What is seen.
SELECT epoch AS e1 FROM take_over(:id, :a, :'s1', 'immediate', 1, 3, 5, 400, 0, true) \gset
SELECT is(confirm(:id, :e1, :'s1', 'web', 'a:1'), 'done', 'a leads, and publishes');
SELECT is(pg_temp.seen(), format('leading %s a a:1 t', :e1), 'people see it');
SELECT is(pg_temp.contenders(), 'a leader,b standby', 'both ways');
CREATE TEMPORARY TABLE followed (kind, name, epoch, session_id, member_id, released, held, asked, address)
    AS EXECUTE read('u', '{master}', '{web}', 't');
SELECT ok(held, 'and followers') FROM followed WHERE kind = 'leader';
SELECT outcome AS o, epoch AS e2 FROM take_over(:id, :b, :'s2', 'immediate', 1, 3, 5, 4, 0, true) \gset
SELECT is(:'o'::text || pg_temp.seen(), format('earlyunconfirmed %s b t', :e2), 'b has taken over and is not entered: it is seen, the address of a is not');
SELECT is(pg_temp.contenders(), 'a standby,b leader', 'both ways');
CREATE TEMPORARY TABLE followed_then (kind, name, epoch, session_id, member_id, released, held, asked, address)
    AS EXECUTE read('u', '{master}', '{web}', 't');
SELECT ok(NOT held, 'followers are told that nobody is announced, though the lock is held') FROM followed_then WHERE kind = 'leader';
INSERT INTO job_store (store_id, cluster_id, leadership_id, epoch) VALUES (:'s1', 'u', :id, :e1), (:'s2', 'u', :id, :e2);
INSERT INTO job_graph (cluster_id, job_id, graph, sha256, owners) VALUES ('u', :'s1', '\x01', sha256('\x01'), ARRAY[:'s1', :'s2']::uuid[]);
SELECT is((SELECT live_owners FROM stat_jobs WHERE cluster_id = 'u'), ARRAY[:'s2']::uuid[], 'its store owns the graph that it recovered');
SELECT is((SELECT live_owners FROM stat_jobs WHERE cluster_id = 'u'), live_owners('u', :'s1'), 'as live_owners() says');
EXECUTE start(NULL, NULL, 'u', :'s4', true);
SELECT is((SELECT array_agg(store_id ORDER BY epoch) FROM job_store WHERE cluster_id = 'u'), ARRAY[:'s4', :'s2']::uuid[], 'another store that starts ends that of a, not that of b');
SELECT removed AS removed FROM cleanup_cluster(NULL, NULL, 'elsewhere') \gset
SELECT is((SELECT count(*) FROM job_store WHERE store_id = :'s2'), 1::bigint, 'nor does a clean-up');
SELECT is(enter_tenure(:id, :e2), pg_backend_pid(), 'when it is entered');
SELECT is((SELECT live_owners FROM stat_jobs WHERE cluster_id = 'u'), ARRAY[:'s2']::uuid[], 'it owns it as before');
SELECT is(pg_temp.seen(), format('unconfirmed %s b t', :e2), 'the same is seen');

-- A hand-over is over when somebody has taken over, entered or not.
SELECT request_handover('u', 'master', NULL, 60000) AS asked, release(:id, :e2, :'s2', 'switchover', true, 0) AS released \gset
SELECT is((SELECT outcome FROM take_over(:id, :b, :'s3', 'immediate', 1, 3, 5, 4, 0, true)), 'reserved', 'b was asked to give up and stands back');
SELECT is((SELECT outcome FROM take_over(:id, :a, :'s1', 'immediate', 1, 3, 5, 4, 0, true)), 'early', 'from a, who takes it');
SELECT is((SELECT outcome FROM take_over(:id, :b, :'s2', 'immediate', 1, 3, 5, 4, 0, true)), 'taken', 'a died before it was entered: b stands back no longer');

-- By hand.
SELECT epoch AS e3 FROM take_over(:id, :a, :'s3', 'immediate', 1, 3, 5, 4, 0, true) \gset
UPDATE tenure SET entered = true WHERE leadership_id = :id;
SELECT epoch AS e4 FROM take_over(:id, :b, :'s4', 'immediate', 1, 3, 5, 4, 0, true) \gset
SELECT ok(:e4 > :e3, 'said to be entered, by hand: its epoch is not given out again');
UPDATE tenure SET epoch = epoch + 7 WHERE leadership_id = :id;
SELECT lives_ok(format($$SELECT take_over(%s, %s, %L, 'immediate', 1, 3, 5, 4)$$, :id, :a, :'s1'), 'raised by hand: the next one can take over');
SELECT ok(epoch > :e4 + 7, 'above it') FROM leadership WHERE id = :id;
SELECT is((SELECT epoch FROM leadership WHERE id = :id), (SELECT epoch FROM tenure WHERE leadership_id = :id), 'and the two agree');

-- The grace of one who led without a trace, and of a row that was emptied by hand.
UPDATE leadership SET grace_ms = 1000, released_at = now() WHERE id = :id;
DELETE FROM tenure WHERE leadership_id = :id;
SELECT is((SELECT wait_ms FROM take_over(:id, :b, :'s2', 'immediate', 1, 3, 5, 4)), 0, 'the first one after a crash is immediate, and is lost');
SELECT is((SELECT wait_ms FROM take_over(:id, :a, :'s3', 'exclusive', 1, 3, 5, 4)), 1000, 'the longest grace still counts: somebody may have led in between');
UPDATE leadership SET session_id = NULL, member_id = NULL, taken_at = NULL WHERE id = :id;
SELECT is((SELECT wait_ms FROM take_over(:id, :b, :'s4', 'exclusive', 1, 3, 5, 4)), 1000, 'and after a row that was emptied by hand');

-- A database that came from another timeline, as pg_upgrade leaves it, does not wait for the disk for ever.
UPDATE leadership SET epoch = (7::bigint << 40) + 1 WHERE id = :id;
SELECT is((SELECT outcome FROM take_over(:id, :a, :'s1', 'immediate', 1, 3, 5, 4, 0, true)), 'early', 'a timeline below that of the epoch: early all the same');

-- What holds an epoch waits for the disk, whatever follows it in its transaction.
SELECT epoch AS e5 FROM take_over(:id, :b, :'s2', 'immediate', 1, 3, 5, 4) \gset
SELECT set_config('synchronous_commit', 'on', true) AS durable \gset
SELECT is(announce_tenure(:id, :e5, 'take_over'), pg_backend_pid(), 'announced in the transaction that took it');
SELECT is(release(:id, :e5, :'s2', 'resigned', true, 0) || current_setting('synchronous_commit'), 'doneon', 'and released: the commit is not hurried');

SELECT is(pg_temp.seen(), format('released %s b t', :e5), 'given up is given up');
SELECT * FROM finish();
ROLLBACK;
