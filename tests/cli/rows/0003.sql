-- Rows for the tables of 0003: blobs of a job and of none, and one that is being written.
SELECT blob_store(NULL, NULL, '/default', '00000000-0000-0000-0000-000000000001',
                  'p-' || repeat('0', 40) || '-' || repeat('1', 32), gen_random_uuid(), b.content, repeat('x', 20)::bytea, sha256(b.content)),
       blob_store(NULL, NULL, '/default', NULL,
                  't-' || repeat('0', 40) || '-' || repeat('2', 32), gen_random_uuid(), b.content, repeat('x', 20)::bytea, sha256(b.content))
  FROM (SELECT '\x0102'::bytea AS content) b;
SELECT blob_begin(NULL, NULL, '/default', gen_random_uuid(), false) AS loid;
