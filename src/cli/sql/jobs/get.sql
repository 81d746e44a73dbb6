-- A graph in pieces, in order. $1 cluster id, $2 job id. No row: no graph.
-- Columns: where the piece begins (from 1), size of the graph, its SHA-256, the piece. Read only.
SELECT p.at, g.bytes, g.sha256, substring(g.graph FROM p.at FOR 1048576)
  FROM (SELECT x.graph, x.sha256, octet_length(x.graph) AS bytes
          FROM job_graph x WHERE x.cluster_id = $1::text AND x.job_id = $2::uuid) g
 CROSS JOIN LATERAL generate_series(1, g.bytes, 1048576) AS p(at)
