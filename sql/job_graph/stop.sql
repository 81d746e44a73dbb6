-- Ends a store: it owns nothing any more. $1 store id. Column: outcome (done, missing). Not fenced: it only lets go.
-- Safe to retry.
WITH gone AS (DELETE FROM job_store s WHERE s.store_id = $1::uuid RETURNING 1)
SELECT CASE WHEN EXISTS (SELECT FROM gone) THEN 'done' ELSE 'missing' END
