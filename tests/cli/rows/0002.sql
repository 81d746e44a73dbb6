-- Rows for the tables of 0002: a job that runs, with checkpoints and a counter, and one that has ended.
INSERT INTO job_store (store_id, cluster_id, leadership_id, epoch)
SELECT '00000000-0000-0000-0000-0000000000c1', '/default', l.id, l.epoch FROM leadership l WHERE l.group_name = 'master';
INSERT INTO job_graph (cluster_id, job_id, graph, sha256, requirements, requirements_sha256, owners)
SELECT '/default', '00000000-0000-0000-0000-000000000001', g.graph, sha256(g.graph), '\x01', sha256('\x01'),
       ARRAY['00000000-0000-0000-0000-0000000000c1'::uuid]
  FROM (SELECT decode(repeat('00ff', 5000), 'hex') AS graph) g;
INSERT INTO job_status (cluster_id, job_id, status, op_id) VALUES
    ('/default', '00000000-0000-0000-0000-000000000001', 'RUNNING', gen_random_uuid());
INSERT INTO checkpoint (cluster_id, job_id, checkpoint_id, kind, state, metadata, pointer, sha256, completed_at, op_id) VALUES
    ('/default', '00000000-0000-0000-0000-000000000001', 1, 'checkpoint', 'discarding', NULL, 's3://b/1', sha256('s3://b/1'), now(), gen_random_uuid()),
    ('/default', '00000000-0000-0000-0000-000000000001', 2, 'savepoint', 'completed', '\x02', NULL, sha256('\x02'), now(), gen_random_uuid());
INSERT INTO checkpoint_counter (cluster_id, job_id, next_id, op_id) VALUES
    ('/default', '00000000-0000-0000-0000-000000000001', 3, gen_random_uuid());
INSERT INTO job_result (cluster_id, job_id, state, status, job_name, failure, accumulators, accumulators_sha256, op_id) VALUES
    ('/default', '00000000-0000-0000-0000-000000000002', 'dirty', 'FAILED', 'old', 'no space', '\x03', sha256('\x03'), gen_random_uuid());
INSERT INTO applied_write (op_id) VALUES ('00000000-0000-0000-0000-0000000000a1');
