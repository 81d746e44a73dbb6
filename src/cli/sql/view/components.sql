-- Components that a cluster has published so far. $1 cluster id. Read only.
SELECT r.component FROM leader r WHERE r.cluster_id = $1::text ORDER BY r.component
