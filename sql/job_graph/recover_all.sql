-- Reads all graphs of a cluster as of one snapshot; the store owns them all from then on, without a write per graph.
-- $1 cluster id, $2 store id. Not fenced: it changes nothing but the store's own row. Any number of rows; safe to retry.
-- Columns: job id, id of its write, version, epoch, SHA-256, graph, SHA-256 of requirements, requirements,
-- transaction that stored it first.
SELECT g.job_id, g.op_id, g.version, g.epoch, g.sha256, g.graph, g.requirements_sha256, g.requirements,
       g.created_in
  FROM job_graph g
 WHERE g.cluster_id = $1::text AND (SELECT claim_graphs($2::uuid, pg_current_snapshot()))
