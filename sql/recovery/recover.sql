-- All that a new leader needs, as of one snapshot and in this order: dirty results, jobs without a result, entries that
-- are discarding. The store owns the graphs from then on (job_graph/recover_all.sql). Not fenced: it changes nothing
-- but the store's own row. Any number of rows; safe to retry.
-- $1 cluster id, $2 store id (NULL: owns nothing), $3 results?, $4 jobs?, $5 discards?
-- Columns, whose names are short because libpq copies them with each row:
--   job:     1 job id, 2 kind and 3 retention of its latest checkpoint, 4 its pointer, 5 version of the graph, 6 what
--            the counter issues next (NULL: it has none), 7 epoch, 8 SHA-256, 9 graph, 10 SHA-256 of requirements,
--            11 requirements, 12 id of the graph's write, 13 checkpoint id, 14 completed, 15 epoch, 16 SHA-256,
--            17 metadata, 18 transaction that stored the graph first,
--            19 place among its pieces, of graph, requirements and metadata, as in job_graph/recover_all.sql
--   result:  1 job id, 2 status, 3 job name, 4 failure, 5 format version, 6 net runtime in ms, 7 epoch, 8 SHA-256,
--            9 accumulators, 13 started, 14 ended, 19 as above, of accumulators and twice 0
--   discard: 1 job id, 2 kind, 3 retention, 4 pointer, 13 checkpoint id, 14 completed, 15 epoch
-- Only a job has a 12, and of the others only a result has a 5. Times are milliseconds since 1970. The casts take
-- domains off, as there.
WITH claimed AS MATERIALIZED (SELECT claim_graphs($2::uuid, pg_current_snapshot()) AS ok),
-- Can anything be larger than 1 MiB? If not, nobody looks for it.
roomy AS MATERIALIZED (
SELECT coalesce(sum(pg_relation_size(t.reltoastrelid)), 0) > 1048576 AS ok FROM pg_class t
 WHERE t.oid IN ('job_graph'::regclass, 'checkpoint'::regclass)),
-- Put together before the graphs come: each step that a row takes costs as much as sending it. By the job alone, for
-- the same reason.
progress AS NOT MATERIALIZED (
SELECT coalesce(n.job_id, c.job_id) AS job_id, n.next_id, c.kind, c.retention, c.pointer, c.checkpoint_id,
       c.completed_at, c.epoch, c.sha256, c.metadata
  FROM (SELECT x.job_id, x.next_id FROM checkpoint_counter x WHERE x.cluster_id = $1::text) n
  FULL JOIN (SELECT DISTINCT ON (x.job_id) x.job_id, x.kind, x.retention, x.pointer, x.checkpoint_id, x.completed_at,
                    x.epoch, x.sha256, x.metadata
               FROM checkpoint x WHERE x.cluster_id = $1::text AND x.state = 'completed'
              ORDER BY x.job_id DESC, x.checkpoint_id DESC) c ON c.job_id = n.job_id),
job AS NOT MATERIALIZED (
SELECT g.job_id, p.kind, p.retention, p.pointer, g.version::bigint AS version, p.next_id, g.epoch, g.sha256::bytea AS sha256,
       g.graph::bytea AS graph, g.requirements_sha256::bytea AS requirements_sha256, g.requirements::bytea AS requirements,
       g.op_id, p.checkpoint_id, round(extract(epoch FROM p.completed_at) * 1000)::bigint AS completed_ms,
       p.epoch AS checkpoint_epoch, p.sha256::bytea AS checkpoint_sha256, p.metadata::bytea AS metadata, g.created_in,
       greatest(octet_length(g.graph), octet_length(g.requirements), octet_length(p.metadata)) AS longest
  FROM job_graph g LEFT JOIN progress p ON p.job_id = g.job_id
 WHERE $4::boolean AND g.cluster_id = $1::text AND ($2::uuid IS NULL OR (SELECT x.ok FROM claimed x))
   AND NOT EXISTS (SELECT FROM job_result r WHERE r.cluster_id = $1::text AND r.job_id = g.job_id)),
-- No index on graphs for this: with the graph in its predicate each replacement would have to write all indexes.
large AS NOT MATERIALIZED (
SELECT g.job_id FROM job_graph g
 WHERE g.cluster_id = $1::text AND greatest(octet_length(g.graph), octet_length(g.requirements)) > 1048576
UNION
SELECT c.job_id FROM checkpoint c WHERE c.cluster_id = $1::text AND octet_length(c.metadata) > 1048576)
SELECT r.job_id AS a, r.status AS b, r.job_name AS c, r.failure AS d, r.format_version::bigint AS e, r.net_runtime_ms AS f,
       r.epoch AS g, r.accumulators_sha256::bytea AS h, substring(r.accumulators FROM piece * 1048576 + 1 FOR 1048576) AS i,
       NULL::bytea AS j, NULL::bytea AS k,
       NULL::uuid AS l, round(extract(epoch FROM r.job_started_at) * 1000)::bigint AS m,
       round(extract(epoch FROM r.job_ended_at) * 1000)::bigint AS n, NULL::bigint AS o, NULL::bytea AS p, NULL::bytea AS q,
       NULL::xid8 AS r,
       CASE WHEN octet_length(r.accumulators) > 1048576
            THEN int4send(piece) || int4send(octet_length(r.accumulators)) || int4send(0) || int4send(0) END AS s
  FROM job_result r
 CROSS JOIN LATERAL generate_series(0, (coalesce(octet_length(r.accumulators), 1) - 1) / 1048576) AS piece
 WHERE $3::boolean AND r.cluster_id = $1::text AND r.state = 'dirty'
UNION ALL
SELECT j.job_id, j.kind, j.retention, j.pointer, j.version, j.next_id, j.epoch, j.sha256, j.graph, j.requirements_sha256,
       j.requirements, j.op_id, j.checkpoint_id, j.completed_ms, j.checkpoint_epoch, j.checkpoint_sha256, j.metadata,
       j.created_in, NULL
  FROM job j
 WHERE j.longest <= 1048576 OR NOT (SELECT x.ok FROM roomy x)
UNION ALL
SELECT j.job_id, j.kind, j.retention, j.pointer, j.version, j.next_id, j.epoch, j.sha256,
       substring(j.graph FROM piece * 1048576 + 1 FOR 1048576), j.requirements_sha256,
       substring(j.requirements FROM piece * 1048576 + 1 FOR 1048576), j.op_id, j.checkpoint_id, j.completed_ms,
       j.checkpoint_epoch, j.checkpoint_sha256, substring(j.metadata FROM piece * 1048576 + 1 FOR 1048576), j.created_in,
       int4send(piece) || int4send(octet_length(j.graph)) || int4send(coalesce(octet_length(j.requirements), 0))
       || int4send(coalesce(octet_length(j.metadata), 0))
  FROM job j CROSS JOIN LATERAL generate_series(0, (j.longest - 1) / 1048576) AS piece
 WHERE (SELECT x.ok FROM roomy x) AND j.longest > 1048576 AND j.job_id IN (SELECT l.job_id FROM large l)
UNION ALL
SELECT c.job_id, c.kind, c.retention, c.pointer, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, c.checkpoint_id,
       round(extract(epoch FROM c.completed_at) * 1000)::bigint, c.epoch, NULL, NULL, NULL, NULL
  FROM checkpoint c
 WHERE $5::boolean AND c.cluster_id = $1::text AND c.state = 'discarding'
