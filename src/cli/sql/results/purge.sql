-- Deletes one batch of clean results that are older; as the library's, without a line per row in the audit.
-- $1 cluster id, $2 age in ms, $3 at most so many. Column: how many; fewer than $3: none is left.
WITH act AS MATERIALIZED (SELECT set_config('pgkeeper.act', 'purge', true)),
old AS MATERIALIZED (
    SELECT r.job_id FROM act, job_result r
     WHERE r.cluster_id = $1::text AND r.state = 'clean' AND r.clean_at <= clock_timestamp() - $2::bigint * interval '1 ms'
     ORDER BY r.clean_at LIMIT $3::bigint
       FOR UPDATE OF r SKIP LOCKED),
gone AS (
    DELETE FROM job_result r USING old o WHERE r.cluster_id = $1::text AND r.job_id = o.job_id RETURNING 1)
SELECT count(*) FROM gone
