-- Deletes one entry by hand; the trigger writes the audit. $1 cluster id, $2 job id, $3 checkpoint id. Row: it was there.
DELETE FROM checkpoint c
 WHERE c.cluster_id = $1::text AND c.job_id = $2::uuid AND c.checkpoint_id = $3::bigint
RETURNING c.checkpoint_id
