-- The blob store as tables and functions: what a row may not be, objects that come and go with their rows, the audit, what
-- the functions answer.
BEGIN;
SELECT plan(67);

SELECT columns_are(current_schema(), 'blob',
    ARRAY['loid', 'cluster_id', 'job_id', 'blob_key', 'size', 'sha1', 'sha256', 'op_id', 'epoch', 'created_at', 'updated_at'],
    'blob has the columns that tools rely on');
SELECT columns_are(current_schema(), 'blob_loose',
    ARRAY['loid', 'cluster_id', 'state', 'op_id', 'bound', 'backend_pid', 'started_at', 'touched_at', 'size']);
SELECT triggers_are(current_schema(), 'blob',
    ARRAY['follow_delete', 'follow_update', 'keep_objects', 'by_hand_insert', 'by_hand_update', 'by_hand_delete']);
SELECT triggers_are(current_schema(), 'blob_loose', ARRAY['follow_delete', 'keep_objects']);
SELECT is_empty(
    $$SELECT p.oid::regprocedure FROM pg_proc p WHERE p.pronamespace = quote_ident(current_schema())::regnamespace AND NOT p.prosecdef
       AND p.proname = ANY ('{blob_store,blob_begin,blob_write,blob_publish,blob_leave,blob_read,blob_remove,blob_remove_job,blob_sweep,
                              blob_orphans,blob_remove_orphans,cleanup_job,cleanup_cluster}'::text[])$$,
    'what masters call runs with the rights of the owner of the objects');
SELECT is_empty(
    $$SELECT p.oid::regprocedure FROM pg_proc p WHERE p.pronamespace = quote_ident(current_schema())::regnamespace AND p.prosecdef
       AND p.proname = ANY ('{blob_object_new,blob_object_size,blob_object_unlink,blob_object_cut,blob_sweep_one,blob_place,blob_writing}'::text[])$$,
    'what only they call does not');

-- What a row may not be.
CREATE FUNCTION pg_temp.row(key text DEFAULT 'p-' || repeat('a', 40) || '-' || repeat('b', 32), cluster text DEFAULT 'c',
                            size bigint DEFAULT 1, sha1 bytea DEFAULT decode(repeat('00', 20), 'hex'),
                            sha256 bytea DEFAULT sha256('x'), job uuid DEFAULT NULL) RETURNS oid LANGUAGE sql AS $$
    INSERT INTO blob (loid, cluster_id, job_id, blob_key, size, sha1, sha256)
    VALUES (lo_from_bytea(0, 'x'), cluster, job, key, size, sha1, sha256) RETURNING loid $$;
SELECT throws_like($$SELECT pg_temp.row(key => 'x')$$, '%blob_key_is_type_sha1_and_random%', 'a key is a key');
SELECT throws_like($$SELECT pg_temp.row(key => 'p-' || repeat('A', 40) || '-' || repeat('b', 32))$$, '%blob_key_is_type_sha1_and_random%',
    'in lower case');
SELECT throws_like($$SELECT pg_temp.row(key => 'x-' || repeat('a', 40) || '-' || repeat('b', 32))$$, '%blob_key_is_type_sha1_and_random%',
    'of a type that there is');
SELECT throws_like($$SELECT pg_temp.row(key => 'p-' || repeat('a', 40) || '-' || repeat('b', 32) || E'\n')$$,
    '%blob_key_is_type_sha1_and_random%', 'and nothing after it');
SELECT throws_like($$SELECT pg_temp.row(cluster => '')$$, '%cluster_id_is_1_to_200_bytes%', 'a cluster id is not empty');
SELECT throws_like($$SELECT pg_temp.row(size => -1)$$, '%blob_size_is_0_bytes_to_4_tib%', 'a size is not negative');
SELECT throws_like($$SELECT pg_temp.row(size => 4398046511104)$$, '%blob_size_is_0_bytes_to_4_tib%', 'nor more than an object can be');
SELECT throws_like($$SELECT pg_temp.row(sha1 => '\x00')$$, '%blob_sha1_is_20_bytes%', 'a SHA-1 has 20 bytes');
SELECT throws_like($$SELECT pg_temp.row(sha256 => '\x00')$$, '%digest_is_32_bytes%', 'a SHA-256 has 32');
SELECT throws_like($$INSERT INTO blob_loose (loid, cluster_id, state) VALUES (1, 'c', 'other')$$, '%blob_loose_state_is_known%',
    'a loose object is written or removed');
SELECT lives_ok($$SELECT pg_temp.row()$$, 'a good row is stored');
SELECT throws_ok($$SELECT pg_temp.row()$$, '23505', NULL, 'once per key, for no job too');
SELECT lives_ok($$SELECT pg_temp.row(job => repeat('0', 32)::uuid)$$, 'job 0 is not no job');
SELECT throws_ok($$SELECT pg_temp.row(job => repeat('0', 32)::uuid)$$, '23505', NULL, 'once per key and job');
SELECT lives_ok($$SELECT pg_temp.row(cluster => 'd')$$, 'another cluster has keys of its own');

-- Objects follow their rows.
CREATE FUNCTION pg_temp.objects() RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM pg_largeobject_metadata';
SELECT pg_temp.objects() AS before \gset
SELECT is((SELECT act FROM event WHERE by_hand ORDER BY id DESC LIMIT 1), 'insert blob', 'what is put in by hand is in the audit');
SELECT isnt((SELECT op_id FROM blob WHERE cluster_id = 'd'), NULL, 'and has an id of its own');
UPDATE blob SET loid = lo_from_bytea(0, 'y') WHERE cluster_id = 'd';
SELECT is(pg_temp.objects(), :before::bigint, 'a row that points elsewhere drops its object');
DELETE FROM blob WHERE cluster_id = 'd';
SELECT is(pg_temp.objects(), (:before - 1)::bigint, 'a row that goes takes its object along');
SELECT is((SELECT subject FROM event WHERE act = 'delete blob'), 'p-' || repeat('a', 40) || '-' || repeat('b', 32),
    'the audit names the key');
SELECT lo_unlink(loid) FROM blob WHERE cluster_id = 'c' AND job_id IS NULL;
SELECT lives_ok($$DELETE FROM blob WHERE cluster_id = 'c'$$, 'also when the object is gone');
SELECT throws_like('TRUNCATE blob', '%would leave its large objects behind%', 'TRUNCATE is refused');
SELECT throws_like('TRUNCATE blob_loose', '%would leave its large objects behind%', 'of loose ones too');

-- Functions.
CREATE FUNCTION pg_temp.store(content bytea, op integer, key text DEFAULT 'k', job uuid DEFAULT NULL) RETURNS boolean LANGUAGE sql AS $$
    SELECT blob_store(NULL, NULL, 'c', job, 'p-' || encode(sha256(key::bytea), 'hex')::varchar(40) || '-' || repeat('b', 32),
                      lpad(op::text, 32, '0')::uuid, content, decode(repeat('00', 20), 'hex'), sha256(content)) $$;
SELECT pg_temp.objects() AS before \gset
SELECT is(pg_temp.store('one', 1), false, 'blob_store: nothing loose');
SELECT is((SELECT obj_description(loid, 'pg_largeobject') FROM blob), blob_mark(), 'objects are marked');
SELECT is((SELECT blob_read(loid, op_id, 1, 5) FROM blob), 'ne'::bytea, 'blob_read ends where the object does');
SELECT is((SELECT blob_read(loid, gen_random_uuid(), 0, 5) FROM blob), NULL, 'and reads what was asked for only');
SELECT loid AS first FROM blob \gset
SELECT pg_temp.store('two', 2);
SELECT is(pg_temp.objects(), (:before + 1)::bigint, 'replaced: the former object is gone');
SELECT pg_temp.store('two', 2);
SELECT is((SELECT count(*) FROM blob), 1::bigint, 'a repetition is one');
SELECT throws_ok($$SELECT blob_write(gen_random_uuid(), 0, 'x')$$, 'PK004', NULL, 'nothing is written to what was not begun');
SELECT blob_begin(NULL, NULL, 'c', lpad('9', 32, '0')::uuid, true) AS loose \gset
SELECT is(blob_write(lpad('9', 32, '0')::uuid, 2048, 'x'), true, 'blob_write');
SELECT is_empty('SELECT * FROM blob_orphans()', 'what is written is no orphan');
SELECT throws_ok(format($$SELECT blob_publish(NULL, NULL, 'c', NULL, 'p-' || repeat('a', 40) || '-' || repeat('b', 32),
    lpad('9', 32, '0')::uuid, gen_random_uuid(), 5, decode(repeat('00', 20), 'hex'), sha256('x'))$$), 'XX001', NULL,
    'an object of another size is not published');
SELECT is(blob_leave(lpad('9', 32, '0')::uuid), true, 'blob_leave');
SELECT is(blob_leave(lpad('9', 32, '0')::uuid), false, 'twice is fine');
SELECT is(pg_temp.objects(), (:before + 1)::bigint, 'and its object is gone');
SELECT is((SELECT removed FROM blob_remove(NULL, NULL, 'c', NULL, (SELECT blob_key FROM blob))), 1::bigint, 'blob_remove');
SELECT is((SELECT removed FROM blob_remove(NULL, NULL, 'c', NULL, 'p')), 0::bigint, 'of nothing');
SELECT pg_temp.store('x', 10 + i, i::text, lpad('7', 32, '0')::uuid) FROM generate_series(1, 5) i;
SELECT results_eq($$SELECT removed, more FROM blob_remove_job(NULL, NULL, 'c', lpad('7', 32, '0')::uuid, 3)$$,
    $$VALUES (3::bigint, true)$$, 'blob_remove_job');
SELECT results_eq($$SELECT removed, loose FROM cleanup_job(NULL, NULL, 'c', lpad('7', 32, '0')::uuid)$$, $$VALUES (2::bigint, true)$$,
    'cleanup_job takes the rest');
SELECT is(pg_temp.objects(), (:before + 3)::bigint, 'and their objects');
SELECT results_eq('SELECT removed, more FROM blob_sweep()', $$VALUES (3::bigint, false)$$, 'blob_sweep unlinks those of before');
SELECT is(pg_temp.objects(), :before::bigint, 'all of them');
SELECT pg_temp.store('x', 100 + i, i::text, lpad('7', 32, '0')::uuid) FROM generate_series(1, 100) i;
SELECT results_eq($$SELECT removed, loose FROM cleanup_job(NULL, NULL, 'c', lpad('7', 32, '0')::uuid)$$,
    $$VALUES (100::bigint, false)$$, 'cleanup_job unlinks 100');
SELECT is(pg_temp.objects(), :before::bigint, 'at once');
SELECT pg_temp.store('x', 200 + i, i::text, lpad('7', 32, '0')::uuid) FROM generate_series(1, 101) i;
SELECT results_eq($$SELECT removed, loose FROM cleanup_job(NULL, NULL, 'c', lpad('7', 32, '0')::uuid)$$,
    $$VALUES (101::bigint, true)$$, 'and leaves more');
SELECT results_eq('SELECT removed, more FROM blob_sweep()', $$VALUES (101::bigint, false)$$, 'to blob_sweep()');
SELECT pg_temp.store('x', 302, 'l', lpad('7', 32, '0')::uuid);
UPDATE blob SET size = 16777217 WHERE job_id = lpad('7', 32, '0')::uuid;
SELECT results_eq($$SELECT removed, loose FROM cleanup_job(NULL, NULL, 'c', lpad('7', 32, '0')::uuid)$$,
    $$VALUES (1::bigint, true)$$, 'as it does with more than 16 MiB');
SELECT results_eq('SELECT removed, more FROM blob_sweep()', $$VALUES (1::bigint, false)$$, 'which goes too');
SELECT is(pg_temp.objects(), :before::bigint, 'all of them');

-- An object that somebody unlinked by hand keeps nobody from clearing up.
SELECT is(blob_object_size(99999999), -1::bigint, 'the size of no object');
INSERT INTO blob_loose (loid, cluster_id, state) VALUES (99999999, 'c', 'removed');
SELECT results_eq('SELECT loid, size FROM blob_orphans()', $$VALUES (99999999::oid, -1::bigint)$$, 'it is listed');
SELECT results_eq('SELECT removed, more FROM blob_sweep()', $$VALUES (1::bigint, false)$$, 'and swept');

-- A large one goes in steps, after the small ones.
INSERT INTO blob_loose (loid, cluster_id, state)
SELECT lo_from_bytea(0, decode(repeat('61', 9000), 'hex')), 'c', 'removed' UNION ALL SELECT lo_from_bytea(0, 'x'), 'c', 'removed';
SELECT results_eq('SELECT removed, more FROM blob_sweep(500, 4096)', $$VALUES (1::bigint, true)$$, 'a small one goes first');
SELECT is((SELECT size FROM blob_loose), 9000::bigint, 'of a large one the size is noted');
SELECT results_eq('SELECT removed, more FROM blob_sweep(500, 4096)', $$VALUES (0::bigint, true)$$, 'and a step cuts some off');
SELECT is((SELECT blob_object_size(loid) FROM blob_loose), 4096::bigint, 'at its end, in whole pages');
SELECT results_eq('SELECT removed, more FROM blob_sweep(500, 4096)', $$VALUES (1::bigint, false)$$, 'the last one takes the rest');

-- Somebody's row for a blob that is there harms nothing.
SELECT pg_temp.store(decode(repeat('61', 9000), 'hex'), 20 + i, 'l' || i, lpad('8', 32, '0')::uuid) FROM generate_series(1, 2) i;
INSERT INTO blob_loose (loid, cluster_id, state, size) SELECT loid, 'c', 'removed', 9000 FROM blob;
SELECT blob_sweep(500, 2048) FROM generate_series(1, 5);
SELECT is((SELECT array_agg(blob_object_size(loid)) FROM blob), '{9000,9000}'::bigint[], 'a sweep leaves a blob alone');
INSERT INTO blob_loose (loid, cluster_id) SELECT loid, 'c' FROM blob;
SELECT results_eq($$SELECT removed FROM blob_remove_job(NULL, NULL, 'c', lpad('8', 32, '0')::uuid)$$, $$VALUES (2::bigint)$$,
    'blobs with such a row are removed with their job');
SELECT pg_temp.store('x', 30, 'l', lpad('8', 32, '0')::uuid);
INSERT INTO blob_loose (loid, cluster_id) SELECT loid, 'c' FROM blob;
SELECT results_eq($$SELECT removed, more FROM cleanup_cluster(NULL, NULL, 'c')$$, $$VALUES (1::bigint, false)$$, 'and with their cluster');

SELECT * FROM finish();
ROLLBACK;
