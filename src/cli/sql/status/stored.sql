-- What is stored of a cluster, one row per kind that there is any of. $1 cluster id. Read only.
SELECT k.stored, k.number, pg_size_pretty(k.bytes) AS size, k.more
  FROM (SELECT s.* FROM stat_summary s WHERE s.cluster_id = $1::text) s
 CROSS JOIN LATERAL (VALUES
       (1, 'job graphs', s.graphs, s.graph_bytes, format('%s running, %s done', s.running, s.done)),
       (2, 'job results', s.dirty_results + s.clean_results, NULL, format('%s dirty', s.dirty_results)),
       (3, 'checkpoints', s.checkpoints + s.discarding + s.retained, s.metadata_bytes,
        format('%s discarding, %s retained', s.discarding, s.retained)),
       (4, 'blobs', s.blobs, s.blob_bytes, NULL)) AS k(place, stored, number, bytes, more)
 WHERE k.number > 0
 ORDER BY k.place
