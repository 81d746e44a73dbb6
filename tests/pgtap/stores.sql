-- The job stores as tables: what they refuse, what they note when changed by hand, what the views say.
BEGIN;
SELECT plan(62);

SELECT columns_are(current_schema(), 'job_graph',
    ARRAY['cluster_id', 'job_id', 'graph', 'sha256', 'version', 'requirements', 'requirements_sha256', 'op_id', 'epoch', 'owners',
          'disowned', 'created_in', 'created_at', 'updated_at'], 'job_graph has the columns that tools rely on');
SELECT columns_are(current_schema(), 'checkpoint',
    ARRAY['cluster_id', 'job_id', 'checkpoint_id', 'kind', 'retention', 'state', 'metadata', 'pointer', 'sha256', 'completed_at',
          'op_id', 'epoch', 'created_at', 'updated_at'], 'checkpoint has the columns that tools rely on');
SELECT is((SELECT string_agg(c.relname || '.' || a.attname, ' ' ORDER BY 1) FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
            WHERE c.relnamespace = quote_ident(current_schema())::regnamespace AND c.relkind = 'r'
              AND a.atttypid = 'payload'::regtype AND a.attstorage <> 'e'), NULL, 'no payload is compressed');
SELECT is_empty(
    $$SELECT t.typname FROM pg_type t WHERE t.typnamespace = quote_ident(current_schema())::regnamespace AND t.typtype = 'd'
       AND obj_description(t.oid, 'pg_type') IS NULL$$, 'every domain has a comment');

-- What a row may not be. refuses(COLUMNS, VALUES, CONSTRAINT): an insert that differs from a good one in that only.
CREATE FUNCTION pg_temp.graph(cluster_id text DEFAULT 'c', job integer DEFAULT 1, graph bytea DEFAULT '\x01', sha bytea DEFAULT NULL,
                              version bigint DEFAULT 1, requirements bytea DEFAULT NULL) RETURNS void LANGUAGE sql AS $$
    INSERT INTO job_graph (cluster_id, job_id, graph, sha256, version, requirements)
    VALUES (cluster_id, lpad(job::text, 32, '0')::uuid, graph, coalesce(sha, sha256(graph)), version, requirements) $$;
SELECT throws_like($$SELECT pg_temp.graph(cluster_id => '')$$, '%cluster_id_is_1_to_200_bytes%', 'a cluster id is not empty');
SELECT throws_like($$SELECT pg_temp.graph(cluster_id => repeat('x', 201))$$, '%cluster_id_is_1_to_200_bytes%', 'a cluster id has 200 bytes');
SELECT lives_ok($$SELECT pg_temp.graph(cluster_id => repeat('x', 200))$$, '200 bytes are a cluster id');
SELECT throws_like($$SELECT pg_temp.graph(graph => '')$$, '%payload_is_1_byte_to_256_mib%', 'a graph is not empty');
SELECT throws_like($$SELECT pg_temp.graph(sha => '\x00')$$, '%digest_is_32_bytes%', 'a digest has 32 bytes');
SELECT throws_like($$SELECT pg_temp.graph(version => 0)$$, '%version_is_positive%', 'a version is positive');
SELECT throws_like($$SELECT pg_temp.graph(requirements => '')$$, '%payload_is_1_byte_to_256_mib%', 'requirements are not empty');
SELECT throws_like($$INSERT INTO job_store (store_id, cluster_id, epoch) VALUES (gen_random_uuid(), 'c', 1)$$,
    '%job_store_without_a_leadership_has_epoch_0%', 'a store without a leadership has no epoch');

CREATE FUNCTION pg_temp.result(state text DEFAULT 'dirty', status text DEFAULT 'FINISHED', name text DEFAULT '', runtime bigint DEFAULT 0,
                               failure text DEFAULT NULL, accumulators bytea DEFAULT NULL, sha bytea DEFAULT NULL, format integer DEFAULT 1,
                               clean_at timestamptz DEFAULT NULL) RETURNS void LANGUAGE sql AS $$
    INSERT INTO job_result (cluster_id, job_id, state, status, job_name, net_runtime_ms, failure, accumulators, accumulators_sha256,
                            format_version, clean_at)
    VALUES ('c', lpad('1', 32, '0')::uuid, state, status, name, runtime, failure, accumulators, sha, format, clean_at) $$;
SELECT throws_like($$SELECT pg_temp.result(state => 'other')$$, '%job_result_state_is_known%', 'a result is dirty or clean');
SELECT throws_like($$SELECT pg_temp.result(status => 'RUNNING')$$, '%job_result_status_is_terminal%', 'a result has a terminal status');
SELECT throws_like($$SELECT pg_temp.result(name => repeat('x', 1025))$$, '%job_result_job_name_is_up_to_1024_bytes%', 'names have a limit');
SELECT throws_like($$SELECT pg_temp.result(runtime => -1)$$, '%job_result_net_runtime_is_not_negative%', 'runtimes are not negative');
SELECT throws_like($$SELECT pg_temp.result(failure => repeat('x', 1048577))$$, '%job_result_failure_is_up_to_1_mib%', 'failures have a limit');
SELECT throws_like($$SELECT pg_temp.result(accumulators => '\x01')$$, '%job_result_accumulators_have_a_digest%', 'accumulators have a digest');
SELECT throws_like($$SELECT pg_temp.result(format => 0)$$, '%job_result_format_version_is_positive%', 'formats are positive');
SELECT throws_like($$SELECT pg_temp.result(state => 'clean')$$, '%job_result_clean_has_a_time%', 'clean has a time');
SELECT throws_like(format($$INSERT INTO job_result (cluster_id, job_id, status, %I) VALUES ('c', gen_random_uuid(), 'FAILED', 'infinity')$$, c),
    '%job_result_times_are_finite%', c || ' is finite') FROM unnest('{job_started_at,job_ended_at}'::text[]) c;
SELECT lives_ok($$SELECT pg_temp.result(format => 99)$$, 'a format of later versions can be stored');

SELECT throws_like($$INSERT INTO job_status VALUES ('c', gen_random_uuid(), 'PENDING', gen_random_uuid())$$, '%job_status_is_known%',
    'PENDING is no row');
SELECT throws_like($$INSERT INTO checkpoint_counter VALUES ('c', gen_random_uuid(), -1, gen_random_uuid())$$,
    '%checkpoint_counter_is_not_negative%', 'counters are not negative');

CREATE FUNCTION pg_temp.checkpoint(id bigint DEFAULT 1, kind text DEFAULT 'checkpoint', retention text DEFAULT 'never_retained',
                                   state text DEFAULT 'completed', metadata bytea DEFAULT NULL, pointer text DEFAULT NULL)
RETURNS void LANGUAGE sql AS $$
    INSERT INTO checkpoint (cluster_id, job_id, checkpoint_id, kind, retention, state, metadata, pointer, sha256, completed_at)
    VALUES ('c', lpad('1', 32, '0')::uuid, id, kind, retention, state, metadata, pointer, sha256('x'), now()) $$;
SELECT throws_like($$SELECT pg_temp.checkpoint(id => -1, pointer => 'p')$$, '%checkpoint_id_is_not_negative%', 'ids are not negative');
SELECT throws_like($$SELECT pg_temp.checkpoint(kind => 'x', pointer => 'p')$$, '%checkpoint_kind_is_known%', 'kinds are known');
SELECT throws_like($$SELECT pg_temp.checkpoint(retention => 'x', pointer => 'p')$$, '%checkpoint_retention_is_known%', 'policies are known');
SELECT throws_like($$SELECT pg_temp.checkpoint(state => 'x', pointer => 'p')$$, '%checkpoint_state_is_known%', 'states are known');
SELECT throws_like($$SELECT pg_temp.checkpoint(kind => 'savepoint', state => 'discarding', pointer => 'p')$$,
    '%checkpoint_savepoint_is_never_discarded%', 'savepoints are never discarded');
SELECT throws_like($$SELECT pg_temp.checkpoint()$$, '%checkpoint_has_either_metadata_or_pointer%', 'metadata or pointer');
SELECT throws_like($$SELECT pg_temp.checkpoint(metadata => '\x01', pointer => 'p')$$, '%checkpoint_has_either_metadata_or_pointer%', 'not both');
SELECT throws_like($$SELECT pg_temp.checkpoint(metadata => '')$$, '%payload_is_1_byte_to_256_mib%', 'metadata is not empty');
SELECT throws_like($$INSERT INTO checkpoint (cluster_id, job_id, checkpoint_id, pointer, sha256, completed_at)
                      VALUES ('c', gen_random_uuid(), 1, 'p', sha256('p'), '-infinity')$$,
    '%checkpoint_completed_at_is_finite%', 'completed_at is finite');
SELECT throws_like($$SELECT pg_temp.checkpoint(pointer => repeat('x', 4097))$$, '%checkpoint_pointer_is_1_to_4096_bytes%', 'pointers have a limit');

-- By hand: noted, a new op_id, no payload in the audit.
SELECT pg_temp.graph(graph => repeat('secret', 100)::bytea);
CREATE TEMPORARY TABLE seen AS SELECT op_id, version FROM job_graph WHERE cluster_id = 'c';
SELECT is((SELECT count(*) FROM event WHERE by_hand AND act = 'insert job_graph' AND cluster_id = 'c' AND subject = lpad('1', 32, '0')), 1::bigint,
    'an insert by hand is noted once');
UPDATE job_graph SET epoch = 77 WHERE cluster_id = 'c';
SELECT ok((SELECT g.op_id <> s.op_id AND g.version = s.version + 1 AND g.epoch = 0 FROM job_graph g, seen s WHERE g.cluster_id = 'c'),
    'an update by hand makes it another write, of no epoch');
UPDATE job_graph SET owners = '{}' WHERE cluster_id = 'c';
SELECT is((SELECT count(*) FROM event WHERE by_hand AND act = 'update job_graph'), 1::bigint, 'a change of owners is no change of the graph');
DELETE FROM job_graph WHERE cluster_id = 'c';
SELECT is((SELECT count(*) FROM event WHERE by_hand AND act = 'delete job_graph'), 1::bigint, 'a delete by hand is noted');
SELECT is((SELECT count(*) FROM event WHERE detail::text LIKE '%' || encode('secret', 'hex') || '%'), 0::bigint, 'no payload is');
UPDATE job_result SET job_name = 'n' WHERE cluster_id = 'c';
DELETE FROM job_result WHERE cluster_id = 'c';
SELECT pg_temp.checkpoint(pointer => 'p');
UPDATE checkpoint SET pointer = 'q';
DELETE FROM checkpoint;
INSERT INTO job_status (cluster_id, job_id, status) VALUES ('c', lpad('1', 32, '0')::uuid, 'RUNNING');
UPDATE job_status SET status = 'DONE';
DELETE FROM job_status;
INSERT INTO checkpoint_counter (cluster_id, job_id, next_id) VALUES ('c', lpad('1', 32, '0')::uuid, 5);
UPDATE checkpoint_counter SET next_id = 6;
DELETE FROM checkpoint_counter;
SELECT bag_eq($$SELECT act FROM event WHERE by_hand AND act NOT LIKE '%job_graph'$$,
    $$SELECT o || ' ' || t FROM unnest('{insert,update,delete}'::text[]) o, unnest('{job_result,checkpoint,job_status,checkpoint_counter}'::text[]) t$$,
    'so it is with the other tables');

-- Views and functions.
SELECT pg_temp.graph(); SELECT pg_temp.result(accumulators => '\x0102', sha => sha256('\x0102')); SELECT pg_temp.checkpoint(pointer => 'p');
SELECT pg_temp.checkpoint(id => 2, state => 'discarding', metadata => '\x010203'); SELECT pg_temp.checkpoint(id => 3, state => 'retained', pointer => 'p');
INSERT INTO job_status (cluster_id, job_id, status) VALUES ('c', lpad('2', 32, '0')::uuid, 'RUNNING');
SELECT is(job_hex('00000000-0000-0000-0000-0000000000ff'), '000000000000000000000000000000ff', 'job_hex() writes 32 digits');
SELECT results_eq($$SELECT job, status, result_state, graph_bytes, checkpoints, discarding, retained, latest_checkpoint, next_checkpoint_id
                      FROM stat_jobs WHERE cluster_id = 'c' ORDER BY job$$,
    $$VALUES (lpad('1', 32, '0'), 'PENDING', 'dirty', 1, 1::bigint, 1::bigint, 1::bigint, 1::bigint, 1::bigint),
             (lpad('2', 32, '0'), 'RUNNING', NULL, NULL, 0, 0, 0, NULL, 1)$$, 'stat_jobs');
SELECT results_eq($$SELECT job, state, status, accumulators_bytes, epoch_text FROM stat_results WHERE cluster_id = 'c'$$,
    $$VALUES (lpad('1', 32, '0'), 'dirty', 'FINISHED', 2, '0.0')$$, 'stat_results');
SELECT results_eq($$SELECT checkpoint_id, state, metadata_bytes FROM stat_checkpoints WHERE cluster_id = 'c' ORDER BY 1$$,
    $$VALUES (1::bigint, 'completed', NULL), (2, 'discarding', 3), (3, 'retained', NULL)$$, 'stat_checkpoints');
SELECT results_eq($$SELECT graphs, graph_bytes, running, done, dirty_results, clean_results, checkpoints, discarding, retained, metadata_bytes
                      FROM stat_summary WHERE cluster_id = 'c'$$,
    $$VALUES (1::bigint, 1::bigint, 1::bigint, 0::bigint, 1::bigint, 0::bigint, 1::bigint, 1::bigint, 1::bigint, 3::bigint)$$, 'stat_summary');
SELECT results_eq($$SELECT * FROM cleanup_job(NULL, NULL, 'c', lpad('1', 32, '0')::uuid)$$, $$VALUES (4::bigint, 1::bigint)$$,
    'cleanup_job() removes graph and checkpoints and tells of the discarding one');
SELECT results_eq($$SELECT * FROM cleanup_job(NULL, NULL, 'c', lpad('1', 32, '0')::uuid)$$, $$VALUES (0::bigint, 0::bigint)$$, 'again: nothing');
SELECT is((SELECT count(*) FROM job_result WHERE cluster_id = 'c'), 1::bigint, 'the result stays');
SELECT results_eq($$SELECT * FROM cleanup_cluster(NULL, NULL, 'c', 1)$$, $$VALUES (1::bigint, true)$$, 'cleanup_cluster() removes a batch');
SELECT results_eq($$SELECT * FROM cleanup_cluster(NULL, NULL, 'c', 10)$$, $$VALUES (1::bigint, false)$$, 'and the rest');
SELECT is((SELECT count(*) FROM job_graph), 1::bigint, 'other clusters stay untouched');

-- A clean-up beside others: rows that another session removes are missing from the count, not from the truth.
CREATE FUNCTION pg_temp.taken_by_another() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
INSERT INTO job_status (cluster_id, job_id, status) SELECT 'e', lpad(n::text, 32, '0')::uuid, 'DONE' FROM generate_series(1, 3) n;
CREATE TRIGGER a_taken_by_another BEFORE DELETE ON job_status FOR EACH ROW WHEN (OLD.job_id::text LIKE '%1') EXECUTE FUNCTION pg_temp.taken_by_another();
SELECT results_eq($$SELECT * FROM cleanup_cluster(NULL, NULL, 'e', 10)$$, $$VALUES (2::bigint, true)$$, 'there is more as long as there is a row');
DROP TRIGGER a_taken_by_another ON job_status;
SELECT results_eq($$SELECT * FROM cleanup_cluster(NULL, NULL, 'e', 1)$$, $$VALUES (1::bigint, false)$$, 'and none when the last one went');

-- Addresses that go are told; those of others and stores that are started stay.
CREATE TEMPORARY TABLE told (cluster_id text, what text);
CREATE OR REPLACE FUNCTION announce(cluster_id text, what text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN INSERT INTO pg_temp.told VALUES (cluster_id, what); END $$;
SELECT set_config('pgkeeper.act', 'test', true);
INSERT INTO leader (cluster_id, component, group_name, epoch) SELECT 'l', c, c, 1 FROM unnest(ARRAY['job-' || lpad('1', 32, '0'), 'dispatcher']) c;
INSERT INTO leader (cluster_id, component, group_name, epoch) VALUES ('m', 'dispatcher', 'dispatcher', 1);
INSERT INTO leadership (id, cluster_id, group_name, epoch, session_id, member_id, taken_at) OVERRIDING SYSTEM VALUE
VALUES (1001, 'l', 'one', 7, gen_random_uuid(), 1, now());
INSERT INTO tenure SELECT l.id, l.cluster_id, l.epoch, l.session_id, l.member_id, now(), now(), 'immediate', 1, 1, 1, 1, true
  FROM leadership l WHERE l.id > 1000;
INSERT INTO job_store (store_id, cluster_id, leadership_id, epoch) SELECT lpad(e::text, 32, '0')::uuid, 'l', 1001, e FROM generate_series(6, 7) e;
INSERT INTO job_store (store_id, cluster_id, leadership_id, epoch) VALUES (lpad('1', 32, '0')::uuid, 'm', 1001, 6);
SELECT set_config('pgkeeper.act', '', true);
TRUNCATE told;
SELECT results_eq($$SELECT * FROM cleanup_job(NULL, NULL, 'l', lpad('1', 32, '0')::uuid)$$, $$VALUES (1::bigint, 0::bigint)$$, 'the address of a job goes');
SELECT results_eq($$TABLE told$$, $$VALUES ('l', 'leader')$$, 'which is told');
TRUNCATE told;
SELECT results_eq($$SELECT * FROM cleanup_cluster(NULL, NULL, 'l', 10)$$, $$VALUES (2::bigint, false)$$, 'an address that nobody leads, and a store of the dead');
SELECT results_eq($$TABLE told$$, $$VALUES ('l', 'leader')$$, 'which is told too');
SELECT results_eq($$SELECT epoch FROM job_store ORDER BY 1$$, $$VALUES (6::bigint), (7)$$, 'the store of the living stays, and that of another cluster');
SELECT is((SELECT string_agg(cluster_id, ' ') FROM leader), 'm', 'and its address');
INSERT INTO checkpoint_counter (cluster_id, job_id, next_id) VALUES ('n', gen_random_uuid(), 1);
SELECT results_eq($$SELECT cluster_id, stores FROM stat_summary WHERE cluster_id IN ('m', 'n') ORDER BY 1$$, $$VALUES ('m', 1::bigint), ('n', 0)$$,
    'stat_summary knows clusters of stores and counters alone');

SELECT is((SELECT count(*) FROM event WHERE by_hand AND act LIKE 'delete %' AND at > (SELECT max(at) FROM event WHERE act LIKE 'insert%')), 0::bigint,
    'cleaning up is not by hand');

SELECT * FROM finish();
ROLLBACK;
