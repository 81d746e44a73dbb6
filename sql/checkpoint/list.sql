-- The list of a job. $1 cluster id, $2 job id, $3 only the latest?
-- Columns: checkpoint id, kind, retention, completed (milliseconds since 1970), epoch, SHA-256, metadata, pointer;
-- ascending. Any number of rows; safe to retry.
SELECT c.checkpoint_id, c.kind, c.retention, round(extract(epoch FROM c.completed_at) * 1000)::bigint, c.epoch, c.sha256,
       c.metadata, c.pointer
  FROM checkpoint c
 WHERE c.cluster_id = $1::text AND c.job_id = $2::uuid AND c.state = 'completed'
   AND (NOT $3::boolean OR c.checkpoint_id = (
           SELECT max(x.checkpoint_id) FROM checkpoint x
            WHERE x.cluster_id = $1::text AND x.job_id = $2::uuid AND x.state = 'completed'))
 ORDER BY c.checkpoint_id
