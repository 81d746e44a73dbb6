-- What is stored under a cluster id: stat_summary. $1 cluster id. Read only.
SELECT $1::text AS cluster_id, coalesce(s.graphs, 0) AS graphs, coalesce(s.checkpoints, 0) AS checkpoints,
       coalesce(s.discarding, 0) AS discarding, coalesce(s.retained, 0) AS retained,
       coalesce(s.dirty_results + s.clean_results, 0) AS results,
       coalesce(s.running, 0) AS running, coalesce(s.done, 0) AS done,
       coalesce(s.graph_bytes, 0) AS graph_bytes, coalesce(s.metadata_bytes, 0) AS metadata_bytes,
       coalesce(s.blobs, 0) AS blobs, coalesce(s.blob_bytes, 0) AS blob_bytes
  FROM (SELECT) one LEFT JOIN stat_summary s ON s.cluster_id = $1::text
