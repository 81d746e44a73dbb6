-- Reads one graph; the store owns it then.
-- $1 leadership id, $2 epoch (both NULL: no fence), $3 cluster id, $4 job id, $5 store id (NULL: only look).
-- Columns: outcome (done, missing), id of its write, version, epoch, SHA-256, graph, SHA-256 of requirements,
-- requirements, transaction that stored it first, place among its pieces as in recover_all.sql. SQLSTATE PK001 when
-- fenced. Safe to retry.
WITH f AS MATERIALIZED (SELECT may_write($1::integer, $2::bigint, $3::text) AS ok),
owned AS (
    UPDATE job_graph g
       -- Stores that have ended are dropped on the way.
       SET owners = $5::uuid || ARRAY(SELECT s.store_id FROM job_store s
                                       WHERE s.store_id = ANY (g.owners) AND s.store_id <> $5::uuid)
      FROM f
     WHERE f.ok AND $5::uuid IS NOT NULL AND g.cluster_id = $3::text AND g.job_id = $4::uuid
       AND NOT g.owners @> ARRAY[$5::uuid]
    RETURNING g.op_id, g.version, g.epoch, g.sha256, g.graph, g.requirements_sha256, g.requirements,
              g.created_in),
found AS (
    SELECT * FROM owned
    UNION ALL
    SELECT g.op_id, g.version, g.epoch, g.sha256, g.graph, g.requirements_sha256, g.requirements,
           g.created_in
      FROM job_graph g
     WHERE g.cluster_id = $3::text AND g.job_id = $4::uuid AND NOT EXISTS (SELECT FROM owned))
SELECT CASE WHEN r.op_id IS NULL THEN 'missing' ELSE 'done' END,
       r.op_id, r.version, r.epoch, r.sha256, substring(r.graph FROM piece * 1048576 + 1 FOR 1048576),
       r.requirements_sha256, substring(r.requirements FROM piece * 1048576 + 1 FOR 1048576), r.created_in,
       CASE WHEN greatest(octet_length(r.graph), octet_length(r.requirements)) > 1048576
            THEN int4send(piece) || int4send(octet_length(r.graph)) || int4send(coalesce(octet_length(r.requirements), 0)) END
  FROM f LEFT JOIN found r ON true
  LEFT JOIN LATERAL generate_series(0, (greatest(octet_length(r.graph), octet_length(r.requirements)) - 1) / 1048576) AS piece ON true
