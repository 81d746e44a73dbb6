-- Is a write there, whose answer was lost? Ask only when the session that sent it has ended (session/end_former.sql):
-- until then it may still come.
-- $1 what (job_graph, job_result, checkpoint, blob, applied_write), $2 cluster id, $3 job id (not of the last two),
-- $4 checkpoint id (checkpoint only), $5 id of the write (NULL, job_graph only: any). Column: true: done; false: not
-- done, or overwritten since. Its commit waits for synchronous standbys, since that of the write may have waited in
-- vain. Safe to retry.
SELECT CASE $1::text
       WHEN 'job_graph' THEN EXISTS (SELECT FROM job_graph x WHERE x.cluster_id = $2::text AND x.job_id = $3::uuid
                                                                AND ($5::uuid IS NULL OR x.op_id = $5::uuid))
       WHEN 'job_result' THEN EXISTS (SELECT FROM job_result x WHERE x.cluster_id = $2::text AND x.job_id = $3::uuid AND x.op_id = $5::uuid)
       WHEN 'checkpoint' THEN EXISTS (SELECT FROM checkpoint x WHERE x.cluster_id = $2::text AND x.job_id = $3::uuid
                                                                 AND x.checkpoint_id = $4::bigint AND x.op_id = $5::uuid)
       WHEN 'blob' THEN EXISTS (SELECT FROM blob x WHERE x.cluster_id = $2::text AND x.op_id = $5::uuid)
       WHEN 'applied_write' THEN EXISTS (SELECT FROM applied_write x WHERE x.op_id = $5::uuid) END
  FROM pg_logical_emit_message(true, 'pgkeeper', '')
