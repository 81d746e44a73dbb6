-- $1 cluster id. Columns: job id, id of its write, transaction that stored it first; ascending. Any number of rows; safe to retry.
SELECT g.job_id, g.op_id, g.created_in FROM job_graph g WHERE g.cluster_id = $1::text ORDER BY g.job_id
