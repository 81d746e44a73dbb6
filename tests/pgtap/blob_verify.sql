-- blob_verify(): what it says of each kind of damage, of a blob that it does not read, and that it is in the audit.
BEGIN;
SELECT plan(15);

CREATE FUNCTION pg_temp.key(n integer) RETURNS text LANGUAGE sql AS $$
    SELECT 'p-' || repeat('0', 40) || '-' || lpad(n::text, 32, '0') $$;
-- A blob of three pages.
CREATE FUNCTION pg_temp.store(n integer, job uuid DEFAULT NULL) RETURNS oid LANGUAGE sql AS $$
    SELECT blob_store(NULL, NULL, 'c', job, pg_temp.key(n), gen_random_uuid(), c.content, decode(repeat('00', 20), 'hex'), sha256(c.content))
      FROM (SELECT convert_to(repeat('pgkeeper ', 600), 'UTF8') AS content) c;
    SELECT loid FROM blob WHERE blob_key = pg_temp.key(n) AND job_id IS NOT DISTINCT FROM job $$;
CREATE FUNCTION pg_temp.verdict(n integer, largest bigint DEFAULT 268435456) RETURNS text LANGUAGE sql AS $$
    SELECT concat_ws(', ', state, size, reason) FROM blob_verify('c', NULL, pg_temp.key(n), largest) $$;

SELECT pg_temp.store(1) AS whole, pg_temp.store(2) AS flipped, pg_temp.store(3) AS short, pg_temp.store(4) AS long, pg_temp.store(5) AS gone,
       pg_temp.store(1, lpad('7', 32, '0')::uuid) AS of_job \gset
SELECT is(pg_temp.verdict(1), 'ok, 5400', 'a blob that is whole');
SELECT lo_put(:flipped, 5000, '\x00');
SELECT is(pg_temp.verdict(2), 'damaged, 5400, SHA-256 of its bytes is ' || encode(sha256(lo_get(:flipped)), 'hex'), 'one byte is another');
SELECT lo_open(:short, 131072) AS fd \gset
SELECT lo_truncate(:fd, 5399) AS cut \gset
SELECT is(pg_temp.verdict(3), 'damaged, 5400, its large object has 5399 bytes', 'one byte less');
SELECT lo_put(:long, 5400, '\x00');
SELECT is(pg_temp.verdict(4), 'damaged, 5400, its large object has 5401 bytes', 'one more');
SELECT lo_unlink(:gone);
SELECT is(pg_temp.verdict(5), 'damaged, 5400, its large object is missing', 'all gone');

-- More than it may take: only the length is compared, and it says so.
SELECT is(pg_temp.verdict(1, 5399), 'unread, 5400, too large to be read at once: pgkeeper blobs verify reads it piece by piece', 'too large');
SELECT is(pg_temp.verdict(1, 5400), 'ok, 5400', 'just not');
SELECT is(pg_temp.verdict(2, 100), 'unread, 5400, too large to be read at once: pgkeeper blobs verify reads it piece by piece', 'damage is not seen then');
SELECT is(pg_temp.verdict(4, 100), 'damaged, 5400, its large object has 5401 bytes', 'but for the length');
SELECT is((SELECT sha256 FROM blob_object_digest(:whole, 1::bigint << 40)), sha256(lo_get(:whole)), 'a limit above what a bytea holds is no error');

-- By its name.
SELECT is((SELECT state FROM blob_verify('c', lpad('7', 32, '0')::uuid, pg_temp.key(1))), 'ok', 'that of a job');
SELECT throws_ok($$SELECT * FROM blob_verify('c', lpad('7', 32, '0')::uuid, pg_temp.key(2))$$, 'PK002', NULL, 'which has no other');
SELECT throws_ok($$SELECT * FROM blob_verify('d', NULL, pg_temp.key(1))$$, 'PK002', NULL, 'nor has another cluster');

-- Who looked at what.
SELECT results_eq($$SELECT subject, by_hand, detail FROM event WHERE act = 'verify blob' ORDER BY id DESC LIMIT 1$$,
    $$VALUES (pg_temp.key(1), false, jsonb_build_object('state', 'ok', 'size', 5400, 'job', lpad('7', 32, '0')))$$, 'the audit has it');
SELECT is((SELECT count(*) FROM event WHERE act = 'verify blob' AND detail ->> 'state' = 'damaged' AND detail ? 'reason'), 5::bigint, 'and what was found');

SELECT * FROM finish();
ROLLBACK;
