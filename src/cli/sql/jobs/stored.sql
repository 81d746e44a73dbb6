-- The graph of a job, without its bytes. $1 cluster id, $2 job id. Read only.
SELECT job_hex(g.job_id) AS job, g.version, octet_length(g.graph) AS graph_bytes, epoch_text(g.epoch) AS epoch_text,
       g.cluster_id, encode(g.sha256, 'hex') AS sha256
  FROM job_graph g WHERE g.cluster_id = $1::text AND g.job_id = $2::uuid
