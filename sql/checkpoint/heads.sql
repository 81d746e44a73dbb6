-- The list of a job, without payloads: what a store opens with. $1 cluster id, $2 job id.
-- Columns: checkpoint id, kind, retention, id of its write; ascending. Any number of rows; safe to retry.
SELECT c.checkpoint_id, c.kind, c.retention, c.op_id
  FROM checkpoint c
 WHERE c.cluster_id = $1::text AND c.job_id = $2::uuid AND c.state = 'completed'
 ORDER BY c.checkpoint_id
