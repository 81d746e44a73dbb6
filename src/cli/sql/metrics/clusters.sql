-- What is stored, of all clusters. Label: cluster_id; then one column per metric. Read only.
SELECT s.cluster_id, (p.cluster_id IS NOT NULL)::integer AS paused,
       s.graphs, s.graph_bytes, s.running, s.done, s.dirty_results, s.clean_results,
       s.checkpoints, s.discarding, s.retained, s.metadata_bytes, s.blobs, s.blob_bytes
  FROM stat_summary s
  LEFT JOIN stat_pauses p USING (cluster_id)
 ORDER BY s.cluster_id
