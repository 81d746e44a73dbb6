-- 10,000 jobs in cluster c1, each with a graph of 1 kB, a status, two checkpoints, a counter, a blob and a leader of its own, a
-- tenth with a result; one live store, that of this session, owns them all. For tests and measurements of the views; run
-- it in a transaction, with search_path set to pgkeeper's schema.
SELECT member_id AS a FROM join_member(gen_random_uuid(), 'c1', 'a', 'test') \gset
SELECT enroll(:a, 'c1', 'master') AS id \gset
SELECT epoch AS e FROM take_over(:id, :a, gen_random_uuid(), 'immediate', 100, 300, 500, 400) \gset
SELECT pause_elections('c1');
SET LOCAL pgkeeper.act = 'test';
INSERT INTO job_store (store_id, cluster_id, leadership_id, epoch, claims, claim_id)
VALUES (gen_random_uuid(), 'c1', :id, :e, pg_current_snapshot(), gen_random_uuid());
INSERT INTO job_graph (cluster_id, job_id, graph, sha256, owners, op_id)
SELECT 'c1', md5(n::text)::uuid, decode(repeat(md5(n::text), 64), 'hex'), sha256('\x01'), ARRAY(SELECT store_id FROM job_store), gen_random_uuid() FROM generate_series(1, 10000) n;
INSERT INTO job_status (cluster_id, job_id, status, op_id) SELECT cluster_id, job_id, 'RUNNING', gen_random_uuid() FROM job_graph;
INSERT INTO checkpoint_counter (cluster_id, job_id, next_id, op_id) SELECT cluster_id, job_id, 3, gen_random_uuid() FROM job_graph;
INSERT INTO checkpoint (cluster_id, job_id, checkpoint_id, pointer, sha256, completed_at, op_id)
SELECT cluster_id, job_id, n, 's3://bucket/' || job_id || '/' || n, sha256('p'), now(), gen_random_uuid() FROM job_graph, generate_series(1, 2) n;
INSERT INTO job_result (cluster_id, job_id, status, state, clean_at, op_id)
SELECT cluster_id, job_id, 'FINISHED', 'clean', now(), gen_random_uuid() FROM job_graph LIMIT 1000;
INSERT INTO blob (loid, cluster_id, job_id, blob_key, size, sha1, sha256, op_id)
SELECT row_number() OVER (), cluster_id, job_id, 'p-' || repeat('0', 40) || '-' || job_hex(job_id), 1, substr(sha256, 1, 20), sha256,
       gen_random_uuid() FROM job_graph;
INSERT INTO leadership (cluster_id, group_name) SELECT cluster_id, 'job-' || job_hex(job_id) FROM job_graph;
INSERT INTO leader (cluster_id, component, group_name, epoch, session_id, address, confirmed_at)
SELECT cluster_id, group_name, group_name, 0, gen_random_uuid(), '10.0.0.7:6123/' || group_name, now() FROM leadership;
UPDATE member SET group_names = ARRAY(SELECT group_name FROM leadership);
SET LOCAL pgkeeper.act = '';
