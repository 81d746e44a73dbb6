-- Moves one entry out of the list by hand: a checkpoint is to be discarded, a savepoint retained. The trigger writes the
-- audit. $1 cluster id, $2 job id, $3 checkpoint id. Column: its state now; no row: it is not in the list.
UPDATE checkpoint c SET state = CASE c.kind WHEN 'checkpoint' THEN 'discarding' ELSE 'retained' END
 WHERE c.cluster_id = $1::text AND c.job_id = $2::uuid AND c.checkpoint_id = $3::bigint AND c.state = 'completed'
RETURNING c.state
