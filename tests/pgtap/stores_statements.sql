-- The statements of the job stores, as the library sends them: what each answers, and what it then has done.
-- run.sh sets STATEMENTS to the directory sql/.
\set start `cat "$STATEMENTS/job_graph/start.sql"`
\set stop `cat "$STATEMENTS/job_graph/stop.sql"`
\set put `cat "$STATEMENTS/job_graph/put.sql"`
\set put_many `cat "$STATEMENTS/job_graph/put_many.sql"`
\set recover_graph `cat "$STATEMENTS/job_graph/recover.sql"`
\set recover_all `cat "$STATEMENTS/job_graph/recover_all.sql"`
\set put_requirements `cat "$STATEMENTS/job_graph/put_requirements.sql"`
\set release_graph `cat "$STATEMENTS/job_graph/release.sql"`
\set remove `cat "$STATEMENTS/job_graph/remove.sql"`
\set create_dirty `cat "$STATEMENTS/job_result/create_dirty.sql"`
\set finish_job `cat "$STATEMENTS/job_result/finish_job.sql"`
\set mark_clean `cat "$STATEMENTS/job_result/mark_clean.sql"`
\set has `cat "$STATEMENTS/job_result/has.sql"`
\set list_results `cat "$STATEMENTS/job_result/list.sql"`
\set purge `cat "$STATEMENTS/job_result/purge.sql"`
\set set_status `cat "$STATEMENTS/job_registry/set.sql"`
\set get_status `cat "$STATEMENTS/job_registry/get.sql"`
\set clear `cat "$STATEMENTS/job_registry/clear.sql"`
\set add `cat "$STATEMENTS/checkpoint/add.sql"`
\set heads `cat "$STATEMENTS/checkpoint/heads.sql"`
\set list_checkpoints `cat "$STATEMENTS/checkpoint/list.sql"`
\set shutdown `cat "$STATEMENTS/checkpoint/shutdown.sql"`
\set discarding `cat "$STATEMENTS/checkpoint/discarding.sql"`
\set discarded `cat "$STATEMENTS/checkpoint/discarded.sql"`
\set next_id `cat "$STATEMENTS/checkpoint/next_id.sql"`
\set get_id `cat "$STATEMENTS/checkpoint/get_id.sql"`
\set set_id `cat "$STATEMENTS/checkpoint/set_id.sql"`
\set drop_id `cat "$STATEMENTS/checkpoint/drop_id.sql"`
\set recover `cat "$STATEMENTS/recovery/recover.sql"`
\set settle `cat "$STATEMENTS/recovery/settle.sql"`
BEGIN;
SELECT plan(145);
PREPARE start AS :start; PREPARE stop AS :stop; PREPARE put AS :put; PREPARE put_many AS :put_many; PREPARE recover_graph AS :recover_graph;
PREPARE recover_all AS :recover_all; PREPARE put_requirements AS :put_requirements; PREPARE release_graph AS :release_graph;
PREPARE remove AS :remove; PREPARE create_dirty AS :create_dirty; PREPARE finish_job AS :finish_job;
PREPARE mark_clean AS :mark_clean; PREPARE has AS :has; PREPARE list_results AS :list_results; PREPARE purge AS :purge;
PREPARE set_status AS :set_status; PREPARE get_status AS :get_status; PREPARE clear AS :clear; PREPARE add AS :add;
PREPARE heads AS :heads; PREPARE list_checkpoints AS :list_checkpoints; PREPARE shutdown AS :shutdown;
PREPARE discarding AS :discarding; PREPARE discarded AS :discarded; PREPARE next_id AS :next_id; PREPARE get_id AS :get_id;
PREPARE set_id AS :set_id; PREPARE drop_id AS :drop_id; PREPARE recover AS :recover; PREPARE settle AS :settle;

-- u(n): an id; answers(CALL): the columns of its one row, as text.
CREATE FUNCTION pg_temp.u(n integer) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$ SELECT lpad(n::text, 32, '0')::uuid $$;
CREATE FUNCTION pg_temp.answers(call text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    c record;
    n integer := 0;
    answer text := '';
BEGIN
    FOR c IN EXECUTE 'EXECUTE ' || call LOOP
        n := n + 1;
        answer := answer || CASE WHEN n > 1 THEN E'\n' ELSE '' END || (
            SELECT string_agg(coalesce(v.value, '-'), ' ' ORDER BY v.ordinality) FROM json_each_text(row_to_json(c)) WITH ORDINALITY v);
    END LOOP;
    RETURN answer;
END $$;
-- Two groups that lead, and this session, which is of both members, holds their locks; a third whose tenure is over.
INSERT INTO member (id, incarnation, cluster_id, name, backend_pid, client_version) OVERRIDING SYSTEM VALUE
SELECT n, gen_random_uuid(), 'c', 'm' || n, pg_backend_pid(), 'test' FROM generate_series(1, 2) n;
INSERT INTO leadership (id, cluster_id, group_name, epoch, session_id, member_id, taken_at) OVERRIDING SYSTEM VALUE
VALUES (1001, 'c', 'one', 7, gen_random_uuid(), 1, now()), (1002, 'c', 'two', 9, gen_random_uuid(), 2, now());
INSERT INTO tenure SELECT l.id, l.cluster_id, l.epoch, l.session_id, l.member_id, now(), now(), 'immediate', 1, 1, 1, 1, true
  FROM leadership l WHERE l.id > 1000;
SELECT pg_advisory_xact_lock(lock_class('leadership'), 1001), pg_advisory_xact_lock(lock_class('leadership'), 1002);

-- The fence, in every statement that writes: a former epoch, and the present one on what is another cluster's.
CREATE FUNCTION pg_temp.fenced(call text) RETURNS SETOF text LANGUAGE sql AS $$
    SELECT throws_ok(call, 'PK001', NULL, 'fenced: ' || split_part(call, '(', 1))
    UNION ALL
    SELECT throws_ok(replace(replace(call, '1001, 6', '1001, 7'), $q$'c'$q$, $q$'d'$q$), 'PK001',
                     'fenced: leadership 1001 is of cluster id "c", not of "d"', 'foreign: ' || split_part(call, '(', 1)) $$;
SELECT pg_temp.fenced('EXECUTE ' || call) FROM unnest(ARRAY[
    $$start(1001, 6, 'c', pg_temp.u(1), true)$$,
    $$put(1001, 6, 'c', pg_temp.u(1), pg_temp.u(1), pg_temp.u(1), NULL, '\x01', sha256('x'))$$,
    $$put_many(1001, 6, 'c', ARRAY[pg_temp.u(1)], pg_temp.u(1), ARRAY[pg_temp.u(1)], '{}', ARRAY['\x01'::bytea], ARRAY[sha256('x')])$$,
    $$recover_graph(1001, 6, 'c', pg_temp.u(1), pg_temp.u(1))$$,
    $$put_requirements(1001, 6, 'c', pg_temp.u(1), pg_temp.u(90), '\x01', sha256('x'))$$,
    $$release_graph(1001, 6, 'c', pg_temp.u(1), pg_temp.u(1))$$,
    $$remove(1001, 6, 'c', pg_temp.u(1), pg_temp.u(1), NULL)$$,
    $$create_dirty(1001, 6, 'c', pg_temp.u(1), pg_temp.u(1), 'FINISHED', '', 0, 0, 0, NULL, NULL, NULL, 1)$$,
    $$finish_job(1001, 6, 'c', pg_temp.u(1), pg_temp.u(1), 'FINISHED', '', 0, 0, 0, NULL, NULL, NULL, 1, NULL)$$,
    $$mark_clean(1001, 6, 'c', pg_temp.u(1), pg_temp.u(1), false)$$,
    $$purge(1001, 6, 'c', 0, 10)$$,
    $$set_status(1001, 6, 'c', pg_temp.u(1), pg_temp.u(1), 'DONE')$$,
    $$clear(1001, 6, 'c', pg_temp.u(1), pg_temp.u(90))$$,
    $$add(1001, 6, 'c', pg_temp.u(1), pg_temp.u(1), 1, 'checkpoint', 'never_retained', NULL, 'p', sha256('x'), 0, '{}', '{}')$$,
    $$shutdown(1001, 6, 'c', pg_temp.u(1), 'FINISHED')$$,
    $$discarded(1001, 6, 'c', pg_temp.u(1), 1, pg_temp.u(1))$$,
    $$discarding('c', NULL, NULL, NULL, 1, 1001, 6)$$,
    $$next_id(1001, 6, 'c', pg_temp.u(1), pg_temp.u(1))$$,
    $$set_id(1001, 6, 'c', pg_temp.u(1), pg_temp.u(1), 5)$$,
    $$drop_id(1001, 6, 'c', pg_temp.u(1), pg_temp.u(90))$$]) call;
SELECT pg_temp.fenced('SELECT ' || call) FROM unnest(ARRAY[
    $$cleanup_job(1001, 6, 'c', pg_temp.u(1))$$, $$cleanup_cluster(1001, 6, 'c')$$]) call;
SELECT throws_ok(format('SELECT %s', call), 'PK001', NULL, 'half a token: ' || call)
  FROM unnest(ARRAY['cleanup_job(NULL, 7, ''c'', pg_temp.u(1))', 'cleanup_job(1001, NULL, ''c'', pg_temp.u(1))',
                    'cleanup_cluster(NULL, 7, ''c'')', 'cleanup_cluster(1001, NULL, ''c'')']) call;
SELECT throws_ok($$SELECT may_write(1001, NULL, 'c')$$, 'PK001', NULL, 'half a token does not pass');
SELECT throws_ok($$SELECT may_write(NULL, 7, 'c')$$, 'PK001', NULL, 'nor does the other half');
SELECT throws_ok($$SELECT may_write(1001, 7, NULL)$$, 'PK001', NULL, 'nor a whole one for rows of nowhere');
SELECT ok(may_write(1001, 7, 'c') AND may_write(NULL, NULL, 'c'), 'a whole one does, and none');

-- Graphs. Stores: 1 and 2 of the group one, 3 of the group two.
SELECT is(pg_temp.answers($$start(1001, 7, 'c', pg_temp.u(1), false)$$), 'done', 'start');
SELECT is(pg_temp.answers($$start(1002, 9, 'c', pg_temp.u(3), false)$$), 'done', 'start of another');
SELECT is(pg_temp.answers($$put(1001, 7, 'c', pg_temp.u(1), pg_temp.u(1), pg_temp.u(11), NULL, '\x01', sha256('\x01'))$$), 'done 1 -', 'put: new');
SELECT is(pg_temp.answers($$put(1001, 7, 'c', pg_temp.u(1), pg_temp.u(1), pg_temp.u(11), NULL, '\x01', sha256('\x01'))$$), 'done 1 -', 'put: repeated');
SELECT is(pg_temp.answers($$put(1001, 7, 'c', pg_temp.u(1), pg_temp.u(1), pg_temp.u(12), NULL, '\x02', sha256('\x02'))$$), 'exists - -', 'put: not owned');
SELECT is(pg_temp.answers($$put(1001, 7, 'c', pg_temp.u(1), pg_temp.u(1), pg_temp.u(12), pg_temp.u(11), '\x02', sha256('\x02'))$$), 'done 2 -', 'put: replaced');
SELECT is(pg_temp.answers($$put(1001, 7, 'c', pg_temp.u(1), pg_temp.u(1), pg_temp.u(12), pg_temp.u(11), '\x02', sha256('\x02'))$$), 'done 2 -', 'put: replaced, repeated');
SELECT is(pg_temp.answers($$put(1001, 7, 'c', pg_temp.u(1), pg_temp.u(1), pg_temp.u(13), pg_temp.u(11), '\x03', sha256('\x03'))$$), 'conflict - -', 'put: changed since');
SELECT is((SELECT graph::text || ' ' || epoch FROM job_graph WHERE cluster_id = 'c'), '\x02 7', 'and nothing was written');
SELECT is(pg_temp.answers($$settle('job_graph', 'c', pg_temp.u(1), NULL, pg_temp.u(12))$$), 'true', 'settle: done');
SELECT is(pg_temp.answers($$settle('job_graph', 'c', pg_temp.u(1), NULL, pg_temp.u(13))$$), 'false', 'settle: not done');
-- Of three, one is new, one is known, one is not.
SELECT is(pg_temp.answers($$put(1001, 7, 'c', pg_temp.u(92), pg_temp.u(1), pg_temp.u(15), NULL, '\x01', sha256('\x01'))$$), 'done 1 -', 'put: another');
SELECT is(pg_temp.answers($$put(1001, 7, 'c', pg_temp.u(93), pg_temp.u(1), pg_temp.u(19), NULL, '\x01', sha256('\x01'))$$), 'done 1 -', 'and another');
SELECT is(pg_temp.answers($$put_many(1001, 7, 'c', ARRAY[pg_temp.u(94), pg_temp.u(93), pg_temp.u(92)], pg_temp.u(1), ARRAY[pg_temp.u(16), pg_temp.u(17), pg_temp.u(18)],
    ARRAY[pg_temp.u(19), pg_temp.u(99)], ARRAY['\x06'::bytea, '\x07', '\x08'], ARRAY[sha256('\x06'), sha256('\x07'), sha256('\x08')])$$),
    pg_temp.u(17) || E' 2 -\n' || pg_temp.u(16) || ' 1 -', 'put_many: new, replaced, and one that was changed since');
SELECT is(pg_temp.answers($$put_many(1001, 7, 'c', ARRAY[pg_temp.u(94)], pg_temp.u(1), ARRAY[pg_temp.u(16)], '{}', ARRAY['\x06'::bytea], ARRAY[sha256('\x06')])$$),
    pg_temp.u(16) || ' 1 -', 'put_many: repeated');
SELECT is((SELECT string_agg(graph::text, ' ' ORDER BY job_id) FROM job_graph WHERE job_id >= pg_temp.u(92)), '\x01 \x07 \x06', 'and no other was written');
SELECT is((SELECT string_agg(pg_temp.answers(format('remove(1001, 7, ''c'', %L, pg_temp.u(1), NULL)', pg_temp.u(n))), ' ') FROM generate_series(92, 94) n),
    'done [] done [] done []', 'they can be removed');
SELECT is(pg_temp.answers($$put_requirements(1001, 7, 'c', pg_temp.u(2), pg_temp.u(91), '\x01', sha256('\x01'))$$), 'missing', 'requirements of no graph');
SELECT is(pg_temp.answers($$put_requirements(1001, 7, 'c', pg_temp.u(1), pg_temp.u(92), '\x05', sha256('\x05'))$$), 'done', 'requirements');
SELECT is(pg_temp.answers($$put(1001, 7, 'c', pg_temp.u(1), pg_temp.u(1), pg_temp.u(14), pg_temp.u(12), '\x04', sha256('\x04'))$$), 'done 3 -',
    'requirements are no change of the graph');
SELECT is((SELECT requirements::text FROM job_graph WHERE cluster_id = 'c'), '\x05', 'and survive its replacement');
SELECT is((SELECT count(*) FROM event WHERE by_hand), 0::bigint, 'nothing of that is by hand');

-- Ownership.
SELECT is(live_owners('c', pg_temp.u(1)), ARRAY[pg_temp.u(1)], 'who puts owns');
SELECT is(pg_temp.answers($$remove(1002, 9, 'c', pg_temp.u(1), pg_temp.u(3), NULL)$$), 'owned ["' || pg_temp.u(1) || '"]', 'remove: another live store owns it');
SELECT alike(pg_temp.answers($$recover_graph(1002, 9, 'c', pg_temp.u(1), pg_temp.u(3))$$), 'done ' || pg_temp.u(14) || ' 3 7 %', 'recover');
SELECT is(live_owners('c', pg_temp.u(1)), ARRAY[pg_temp.u(1), pg_temp.u(3)], 'who recovers owns too');
SELECT alike(pg_temp.answers($$remove(1001, 7, 'c', pg_temp.u(1), pg_temp.u(1), pg_temp.u(14))$$), 'owned %', 'remove: another recovered it');
SELECT is(pg_temp.answers($$release_graph(1002, 9, 'c', pg_temp.u(1), pg_temp.u(3))$$), 'done', 'release');
SELECT is(live_owners('c', pg_temp.u(1)), ARRAY[pg_temp.u(1)], 'who releases does not own');
SELECT alike(pg_temp.answers($$recover_all('c', pg_temp.u(3))$$), pg_temp.u(1) || ' ' || pg_temp.u(14) || ' 3 7 %', 'recover_all');
SELECT is(pg_temp.answers($$recover_graph(1002, 9, 'c', pg_temp.u(2), pg_temp.u(3))$$), 'missing - - - - - - - - -', 'recover: missing');
SELECT alike(pg_temp.answers($$remove(1001, 7, 'c', pg_temp.u(1), pg_temp.u(1), pg_temp.u(11))$$), 'conflict %', 'remove: changed since');
SELECT is(pg_temp.answers($$remove(1001, 7, 'c', pg_temp.u(1), pg_temp.u(1), pg_temp.u(14))$$), 'done []', 'remove');
SELECT is(pg_temp.answers($$remove(1001, 7, 'c', pg_temp.u(1), pg_temp.u(1), pg_temp.u(14))$$), 'missing -', 'remove: gone already');
SELECT is(pg_temp.answers($$stop(pg_temp.u(3))$$), 'done', 'stop');
SELECT is(pg_temp.answers($$stop(pg_temp.u(3))$$), 'missing', 'stop again');

-- Results.
SELECT is(pg_temp.answers($$create_dirty(1001, 7, 'c', pg_temp.u(1), pg_temp.u(21), 'FAILED', 'n', 1500, 2500, 9, 'why', '\x01', sha256('\x01'), 1)$$), 'done', 'create_dirty');
SELECT is(pg_temp.answers($$create_dirty(1001, 7, 'c', pg_temp.u(1), pg_temp.u(21), 'FAILED', 'n', 1500, 2500, 9, 'why', '\x01', sha256('\x01'), 1)$$), 'done', 'create_dirty: repeated');
SELECT is(pg_temp.answers($$create_dirty(1001, 7, 'c', pg_temp.u(1), pg_temp.u(22), 'FAILED', 'n', 1500, 2500, 9, 'why', '\x01', sha256('\x01'), 1)$$), 'exists', 'create_dirty: exists');
SELECT alike(pg_temp.answers($$list_results('c', 'dirty', NULL)$$), pg_temp.u(1) || ' dirty FAILED n 1500 2500 9 why % 1 7 -', 'list_dirty');
SELECT put.a FROM pg_temp.answers($$put(1001, 7, 'c', pg_temp.u(2), pg_temp.u(1), pg_temp.u(31), NULL, '\x01', sha256('\x01'))$$) put(a);
SELECT is(pg_temp.answers($$finish_job(1001, 7, 'c', pg_temp.u(2), pg_temp.u(32), 'FINISHED', '', NULL, NULL, 0, NULL, NULL, NULL, 1, NULL)$$), 'done', 'finish_job');
SELECT is(pg_temp.answers($$finish_job(1001, 7, 'c', pg_temp.u(2), pg_temp.u(33), 'FAILED', '', NULL, NULL, 0, NULL, NULL, NULL, 1, NULL)$$), 'exists', 'finish_job: exists');
SELECT results_eq($$SELECT r.status, s.status, (SELECT count(*) FROM job_graph WHERE cluster_id = 'c')
                      FROM job_result r JOIN job_status s USING (cluster_id, job_id) WHERE job_id = pg_temp.u(2)$$,
    $$VALUES ('FINISHED', 'DONE', 0::bigint)$$, 'result, status and graph in one');
SELECT put.a FROM pg_temp.answers($$put(1001, 7, 'c', pg_temp.u(4), pg_temp.u(1), pg_temp.u(36), NULL, '\x01', sha256('\x01'))$$) put(a);
CREATE FUNCTION pg_temp.refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no'; END $$;
CREATE TRIGGER refuse BEFORE DELETE ON job_graph FOR EACH ROW EXECUTE FUNCTION pg_temp.refuse();
SELECT throws_ok($$EXECUTE finish_job(1001, 7, 'c', pg_temp.u(4), pg_temp.u(37), 'FINISHED', '', NULL, NULL, 0, NULL, NULL, NULL, 1, NULL)$$, 'P0001', NULL,
    'finish_job whose graph stays');
DROP TRIGGER refuse ON job_graph;
SELECT is(pg_temp.answers($$has('c', pg_temp.u(4))$$) || pg_temp.answers($$remove(1001, 7, 'c', pg_temp.u(4), pg_temp.u(1), NULL)$$), 'nonedone []', 'all or nothing');
SELECT is(pg_temp.answers($$mark_clean(1001, 7, 'c', pg_temp.u(3), pg_temp.u(34), false)$$), 'missing', 'mark_clean: missing');
SELECT is(pg_temp.answers($$mark_clean(1001, 7, 'c', pg_temp.u(2), pg_temp.u(34), false)$$) || pg_temp.answers($$mark_clean(1001, 7, 'c', pg_temp.u(2), pg_temp.u(35), false)$$)
    || pg_temp.answers($$has('c', pg_temp.u(2))$$), 'donedoneclean', 'mark_clean, and again');
SELECT is(pg_temp.answers($$mark_clean(1001, 7, 'c', pg_temp.u(1), pg_temp.u(34), true)$$) || pg_temp.answers($$has('c', pg_temp.u(1))$$), 'donenone', 'mark_clean deletes');
SELECT is(pg_temp.answers($$purge(1001, 7, 'c', 3600000, 10)$$) || pg_temp.answers($$purge(1001, 7, 'c', 0, 10)$$), '01', 'purge by age');

-- Registry.
SELECT is(pg_temp.answers($$get_status('c', pg_temp.u(5))$$), 'PENDING', 'unknown is PENDING');
SELECT is(pg_temp.answers($$set_status(1001, 7, 'c', pg_temp.u(5), pg_temp.u(41), 'RUNNING')$$) || pg_temp.answers($$get_status('c', pg_temp.u(5))$$), 'doneRUNNING', 'RUNNING');
SELECT is(pg_temp.answers($$clear(1001, 7, 'c', pg_temp.u(5), pg_temp.u(93))$$) || pg_temp.answers($$clear(1001, 7, 'c', pg_temp.u(5), pg_temp.u(94))$$), 'donemissing', 'clear, and again');
-- Repeated after somebody else has written: a write that was done is not done again.
SELECT is(pg_temp.answers($$set_status(1001, 7, 'c', pg_temp.u(5), pg_temp.u(95), 'RUNNING')$$) || pg_temp.answers($$clear(1001, 7, 'c', pg_temp.u(5), pg_temp.u(93))$$)
    || pg_temp.answers($$get_status('c', pg_temp.u(5))$$), 'donedoneRUNNING', 'clear, repeated, takes nothing that came since');
SELECT is(pg_temp.answers($$set_status(1001, 7, 'c', pg_temp.u(5), pg_temp.u(96), 'DONE')$$) || pg_temp.answers($$set_status(1001, 7, 'c', pg_temp.u(5), pg_temp.u(95), 'RUNNING')$$)
    || pg_temp.answers($$get_status('c', pg_temp.u(5))$$), 'donedoneDONE', 'set, repeated, overwrites nothing that came since');
SELECT is(pg_temp.answers($$settle('applied_write', 'c', NULL, NULL, pg_temp.u(95))$$) || pg_temp.answers($$settle('applied_write', 'c', NULL, NULL, pg_temp.u(90))$$),
    'truefalse', 'settle: done and overwritten since; fenced and not done');
UPDATE applied_write SET applied_at = applied_at - interval '2 hours' WHERE op_id = pg_temp.u(93);
SELECT ok(note_write(pg_temp.u(97)), 'a write is noted');
SELECT is_empty($$SELECT FROM applied_write WHERE op_id = pg_temp.u(93)$$, 'and old notes go');

-- Checkpoints.
SELECT is(pg_temp.answers(format($$add(1001, 7, 'c', pg_temp.u(1), pg_temp.u(%s), %s, %L, 'never_retained', '\x01', NULL, sha256('\x01'), 0, '{}', '{}')$$,
    50 + id, id, kind)), 'done [] true', 'add ' || kind) FROM (VALUES (9, 'checkpoint'), (10, 'savepoint'), (11, 'checkpoint')) v(id, kind);
SELECT is(pg_temp.answers($$add(1001, 7, 'c', pg_temp.u(1), pg_temp.u(70), 11, 'checkpoint', 'never_retained', '\x02', NULL, sha256('\x02'), 0, '{9}', '{10}')$$), 'exists [] false',
    'add: exists, and nothing moves');
SELECT is(pg_temp.answers($$add(1001, 7, 'c', pg_temp.u(1), pg_temp.u(71), 12, 'checkpoint', 'retain_on_failure', NULL, 'p', sha256('p'), 5, '{9}', '{10}')$$), 'done [9,10] true',
    'add, and the old ones move');
SELECT is(pg_temp.answers($$add(1001, 7, 'c', pg_temp.u(1), pg_temp.u(71), 12, 'checkpoint', 'retain_on_failure', NULL, 'p', sha256('p'), 5, '{9}', '{10}')$$), 'done [] false', 'add: repeated');
SELECT is((SELECT string_agg(checkpoint_id || ' ' || state, ', ' ORDER BY checkpoint_id) FROM checkpoint WHERE cluster_id = 'c'),
    '9 discarding, 10 retained, 11 completed, 12 completed', 'where they are');
SELECT alike(pg_temp.answers($$heads('c', pg_temp.u(1))$$), E'11 checkpoint never_retained %\n12 checkpoint retain_on_failure %', 'heads ascend');
SELECT alike(pg_temp.answers($$list_checkpoints('c', pg_temp.u(1), true)$$), '12 checkpoint retain_on_failure 5 7 % - p -', 'the latest');
SELECT is(pg_temp.answers($$add(NULL, NULL, 'far', pg_temp.u(1), pg_temp.u(72), 1, 'checkpoint', 'never_retained', NULL, 'p', sha256('p'), 253402300799001, '{}', '{}')$$)
    || pg_temp.answers($$create_dirty(NULL, NULL, 'far', pg_temp.u(1), pg_temp.u(73), 'FAILED', 'n', 253402300799001, 253402300799001, 9, NULL, NULL, NULL, 1)$$),
    'done [] truedone', 'a far time');
SELECT alike(pg_temp.answers($$list_checkpoints('far', pg_temp.u(1), true)$$), '% 253402300799001 %', 'comes back to the millisecond');
SELECT alike(pg_temp.answers($$list_results('far', NULL, NULL)$$), '% 253402300799001 253402300799001 %', 'of a result too');
SELECT is(pg_temp.answers($$discarded(1001, 7, 'c', pg_temp.u(1), 11, pg_temp.u(61))$$), 'missing', 'what is in the list is not deleted');
SELECT is(pg_temp.answers($$shutdown(1001, 7, 'c', pg_temp.u(1), 'FAILED')$$), 'done 1 1', 'shutdown by policy');
SELECT matches(pg_temp.answers($$discarding('c', NULL, NULL, NULL, 10, 1001, 7)$$), pg_temp.u(1) || ' 9 .*\n' || pg_temp.u(1) || ' 11 .*', 'what is discarding');
SELECT is(pg_temp.answers($$add(1001, 7, 'c', pg_temp.u(1), pg_temp.u(61), 11, 'checkpoint', 'never_retained', '\x01', NULL, sha256('\x01'), 0, '{}', '{}')$$), 'done [] false',
    'add: repeated, and out of the list by now');
SELECT is(pg_temp.answers($$discarded(1001, 7, 'c', pg_temp.u(1), 9, pg_temp.u(58))$$), 'missing', 'another entry of that number is not deleted');
SELECT is(pg_temp.answers($$discarded(1001, 7, 'c', pg_temp.u(1), 9, pg_temp.u(59))$$), 'done', 'discarded');

-- Counter.
SELECT is(pg_temp.answers($$get_id('c', pg_temp.u(1))$$), '1', 'a counter starts at 1');
SELECT is(pg_temp.answers($$next_id(1001, 7, 'c', pg_temp.u(1), pg_temp.u(61))$$) || pg_temp.answers($$next_id(1001, 7, 'c', pg_temp.u(1), pg_temp.u(61))$$)
    || pg_temp.answers($$next_id(1001, 7, 'c', pg_temp.u(1), pg_temp.u(62))$$), 'done 1done 1done 2', 'numbers are issued, the same when repeated');
SELECT is(pg_temp.answers($$set_id(1001, 7, 'c', pg_temp.u(1), pg_temp.u(66), 7)$$) || pg_temp.answers($$next_id(1001, 7, 'c', pg_temp.u(1), pg_temp.u(67))$$),
    'donedone 7', 'a number is set, and issued');
SELECT is(pg_temp.answers($$settle('applied_write', 'c', NULL, NULL, pg_temp.u(66))$$), 'true', 'settle: set, and issued from since');
SELECT is(pg_temp.answers($$set_id(1001, 7, 'c', pg_temp.u(1), pg_temp.u(66), 7)$$) || pg_temp.answers($$next_id(1001, 7, 'c', pg_temp.u(1), pg_temp.u(68))$$),
    'donedone 8', 'repeated, it is not set back');
SELECT is(pg_temp.answers($$set_id(1001, 7, 'c', pg_temp.u(1), pg_temp.u(63), 9223372036854775806)$$)
    || pg_temp.answers($$next_id(1001, 7, 'c', pg_temp.u(1), pg_temp.u(64))$$) || pg_temp.answers($$next_id(1001, 7, 'c', pg_temp.u(1), pg_temp.u(65))$$),
    'donedone 9223372036854775806exhausted -', 'the last number');
SELECT is(pg_temp.answers($$next_id(1001, 7, 'c', pg_temp.u(1), pg_temp.u(64))$$), 'done 9223372036854775806', 'and its repetition');
SELECT is(pg_temp.answers($$drop_id(1001, 7, 'c', pg_temp.u(1), pg_temp.u(98))$$) || pg_temp.answers($$next_id(1001, 7, 'c', pg_temp.u(1), pg_temp.u(99))$$)
    || pg_temp.answers($$drop_id(1001, 7, 'c', pg_temp.u(1), pg_temp.u(98))$$) || pg_temp.answers($$get_id('c', pg_temp.u(1))$$),
    'donedone 1done2', 'drop_id; repeated, it drops no counter that came since');
DELETE FROM checkpoint_counter WHERE cluster_id = 'c' AND job_id = pg_temp.u(1);

-- Recovery: results, jobs without result, discards, in this order.
SELECT pg_temp.answers($$put(1001, 7, 'c', pg_temp.u(6), pg_temp.u(1), pg_temp.u(81), NULL, '\x06', sha256('\x06'))$$),
       pg_temp.answers($$put(1001, 7, 'c', pg_temp.u(7), pg_temp.u(1), pg_temp.u(82), NULL, '\x07', sha256('\x07'))$$),
       pg_temp.answers($$add(1001, 7, 'c', pg_temp.u(6), pg_temp.u(83), 3, 'checkpoint', 'never_retained', '\x0303', NULL, sha256('\x0303'), 0, '{}', '{}')$$),
       pg_temp.answers($$add(1001, 7, 'c', pg_temp.u(6), pg_temp.u(84), 4, 'checkpoint', 'never_retained', '\x0404', NULL, sha256('\x0404'), 0, '{}', '{}')$$),
       pg_temp.answers($$set_id(1001, 7, 'c', pg_temp.u(6), pg_temp.u(85), 5)$$),
       pg_temp.answers($$create_dirty(1001, 7, 'c', pg_temp.u(7), pg_temp.u(86), 'FAILED', 'n', NULL, NULL, 0, NULL, NULL, NULL, 1)$$);
SELECT matches(pg_temp.answers($$recover('c', pg_temp.u(1), true, true, true)$$),
    '^' || pg_temp.u(7) || ' FAILED n - 1 0 7 - [^\n]*\n' || pg_temp.u(6) || ' checkpoint never_retained - 1 5 7 [^\n]*x06 - - ' || pg_temp.u(81) || ' 4 0 7 [^\n]*x0404 \d+ -\n'
    || pg_temp.u(1) || ' checkpoint never_retained - - [^\n]* 11 0 7 - - - -$', 'recover: all in order, and the ended job is not run again');
-- As if they were there before this transaction and another store had put them.
UPDATE job_graph SET created_in = '3', owners = '{}' WHERE cluster_id = 'c' AND job_id IN (pg_temp.u(6), pg_temp.u(7));
SELECT results_eq($$SELECT pg_temp.u(1) = ANY (live_owners('c', job_id)), live_owners('c', job_id) <@ live_owners, live_owners <@ live_owners('c', job_id)
                      FROM stat_jobs WHERE cluster_id = 'c' AND job_id IN (pg_temp.u(6), pg_temp.u(7)) ORDER BY job_id$$,
    $$VALUES (true, true, true), (false, true, true)$$, 'nor is it owned by the recovery');

-- Blobs are fenced last, when something was written already: at the end here, because numbers of transactions are used up.
SELECT pg_temp.fenced('SELECT ' || call) FROM (SELECT 'p-' || repeat('a', 40) || '-' || repeat('b', 32) AS key) k, LATERAL unnest(ARRAY[
    format($$blob_store(1001, 6, 'c', pg_temp.u(1), %L, pg_temp.u(1), '\x01', decode(repeat('aa', 20), 'hex'), sha256('\x01'))$$, key),
    $$blob_begin(1001, 6, 'c', pg_temp.u(1), false)$$, format($$blob_remove(1001, 6, 'c', pg_temp.u(1), %L)$$, key),
    $$blob_remove_job(1001, 6, 'c', pg_temp.u(1), 10)$$]) call;

SELECT * FROM finish();
ROLLBACK;
