-- One batch of all that is stored under a cluster id. $1 cluster id. Columns: rows removed, is there more?
SELECT c.removed, c.more FROM cleanup_cluster(NULL, NULL, $1::text, 1000) c
