-- Reads all graphs of a cluster as of one snapshot; the store owns them all from then on, without a write per graph.
-- $1 cluster id, $2 store id. Not fenced: it changes nothing but the store's own row. Any number of rows; safe to retry.
-- Columns: job id, id of its write, version, epoch, SHA-256, graph, SHA-256 of requirements, requirements,
-- transaction that stored it first, place among its pieces; their names are short because libpq copies them with each
-- row. What is larger than 1 MiB comes after the rest, in rows of 1 MiB that follow each other; the place is the number
-- of the row, from 0, and the whole lengths of graph and requirements (0: none), as 32-bit integers; NULL: the row is
-- whole.
-- The casts take domains off: where the types of the two parts differ, the server takes each row through two more steps.
WITH claimed AS MATERIALIZED (SELECT claim_graphs($2::uuid, pg_current_snapshot()) AS ok),
-- Can anything be larger than 1 MiB? If not, nobody looks for it.
roomy AS MATERIALIZED (
SELECT pg_relation_size(t.reltoastrelid) > 1048576 AS ok FROM pg_class t WHERE t.oid = 'job_graph'::regclass)
SELECT g.job_id AS a, g.op_id AS b, g.version::bigint AS c, g.epoch AS d, g.sha256::bytea AS e, g.graph::bytea AS f,
       g.requirements_sha256::bytea AS g, g.requirements::bytea AS h, g.created_in AS i, NULL::bytea AS j
  FROM job_graph g
 WHERE g.cluster_id = $1::text AND (SELECT c.ok FROM claimed c)
   AND (greatest(octet_length(g.graph), octet_length(g.requirements)) <= 1048576 OR NOT (SELECT r.ok FROM roomy r))
UNION ALL
SELECT g.job_id, g.op_id, g.version::bigint, g.epoch, g.sha256::bytea, substring(g.graph FROM piece * 1048576 + 1 FOR 1048576),
       g.requirements_sha256::bytea, substring(g.requirements FROM piece * 1048576 + 1 FOR 1048576), g.created_in,
       int4send(piece) || int4send(octet_length(g.graph)) || int4send(coalesce(octet_length(g.requirements), 0))
  FROM job_graph g
 CROSS JOIN LATERAL generate_series(0, (greatest(octet_length(g.graph), octet_length(g.requirements)) - 1) / 1048576) AS piece
 WHERE g.cluster_id = $1::text AND (SELECT c.ok FROM claimed c) AND (SELECT r.ok FROM roomy r)
   AND greatest(octet_length(g.graph), octet_length(g.requirements)) > 1048576
