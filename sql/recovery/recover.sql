-- All that a new leader needs, as of one snapshot and in this order: dirty results, jobs without a result, entries that
-- are discarding. The store owns the graphs from then on (job_graph/recover_all.sql). Not fenced: it changes nothing
-- but the store's own row. Any number of rows; safe to retry.
-- $1 cluster id, $2 store id (NULL: owns nothing), $3 results?, $4 jobs?, $5 discards?
-- Columns: kind (result, job, discard), job id, then
--   result:  3 status, 4 job name, 5 failure, 6 format version, 7 net runtime in ms, 8 started, 9 ended,
--            10 epoch, 11 SHA-256, 12 accumulators
--   job:     3 kind and 4 retention of its latest checkpoint, 5 its pointer, 6 -, 7 version of the graph,
--            8 what the counter issues next, 9 -, 10 epoch, 11 SHA-256, 12 graph, 13 SHA-256 of requirements,
--            14 requirements, 15 id of the graph's write, 16 checkpoint id, 17 completed, 18 epoch,
--            19 SHA-256, 20 metadata,
--            21 transaction that stored it first,
--            22 place among its pieces, of graph, requirements and metadata, as in job_graph/recover_all.sql
--   discard: 3 kind, 4 retention, 5 pointer, 16 checkpoint id, 17 completed, 18 epoch
-- Times are milliseconds since 1970. The casts take domains off, as there.
WITH claimed AS MATERIALIZED (SELECT claim_graphs($2::uuid, pg_current_snapshot()) AS ok),
job AS NOT MATERIALIZED (
SELECT g.job_id, c.kind, c.retention, c.pointer, g.version::bigint AS version, coalesce(n.next_id, 1) AS next_id, g.created_in,
       g.epoch, g.sha256::bytea AS sha256, g.graph::bytea AS graph, g.requirements_sha256::bytea AS requirements_sha256,
       g.requirements::bytea AS requirements, g.op_id, c.checkpoint_id, c.completed_at,
       c.epoch AS checkpoint_epoch, c.sha256::bytea AS checkpoint_sha256, c.metadata::bytea AS metadata,
       greatest(octet_length(g.graph), octet_length(g.requirements), octet_length(c.metadata)) AS longest
  FROM job_graph g
  LEFT JOIN checkpoint_counter n ON n.cluster_id = $1::text AND n.job_id = g.job_id
  LEFT JOIN (SELECT x.job_id, max(x.checkpoint_id) AS checkpoint_id FROM checkpoint x
              WHERE x.cluster_id = $1::text AND x.state = 'completed' GROUP BY x.job_id) latest ON latest.job_id = g.job_id
  LEFT JOIN checkpoint c ON c.cluster_id = $1::text AND c.job_id = latest.job_id AND c.checkpoint_id = latest.checkpoint_id
 WHERE $4::boolean AND g.cluster_id = $1::text AND ($2::uuid IS NULL OR (SELECT x.ok FROM claimed x))
   AND NOT EXISTS (SELECT FROM job_result r WHERE r.cluster_id = $1::text AND r.job_id = g.job_id)),
-- As there: is anything stored out of line that may be so large?
large AS MATERIALIZED (
SELECT bool_or(pg_relation_size(t.reltoastrelid) > 1048576) AS may_be
  FROM pg_class t WHERE t.oid IN ('job_graph'::regclass, 'checkpoint'::regclass)),
-- No index on graphs for this: with the graph in its predicate each replacement would have to write all indexes.
large_job AS NOT MATERIALIZED (
SELECT g.job_id FROM job_graph g
 WHERE g.cluster_id = $1::text AND (SELECT l.may_be FROM large l) AND greatest(octet_length(g.graph), octet_length(g.requirements)) > 1048576
UNION
SELECT c.job_id FROM checkpoint c WHERE c.cluster_id = $1::text AND octet_length(c.metadata) > 1048576)
SELECT 'result', r.job_id, r.status, r.job_name, r.failure, r.format_version, r.net_runtime_ms,
       round(extract(epoch FROM r.job_started_at) * 1000)::bigint, round(extract(epoch FROM r.job_ended_at) * 1000)::bigint,
       r.epoch, r.accumulators_sha256::bytea, r.accumulators::bytea,
       NULL::bytea, NULL::bytea, NULL::uuid, NULL::bigint, NULL::bigint, NULL::bigint, NULL::bytea, NULL::bytea, NULL::xid8, NULL::bytea
  FROM job_result r
 WHERE $3::boolean AND r.cluster_id = $1::text AND r.state = 'dirty'
UNION ALL
SELECT 'job', j.job_id, j.kind, j.retention, j.pointer, NULL, j.version, j.next_id, NULL, j.epoch,
       j.sha256, j.graph, j.requirements_sha256, j.requirements,
       j.op_id, j.checkpoint_id, round(extract(epoch FROM j.completed_at) * 1000)::bigint, j.checkpoint_epoch,
       j.checkpoint_sha256, j.metadata, j.created_in, NULL
  FROM job j
 WHERE (SELECT l.may_be FROM large l) IS NOT TRUE OR j.longest <= 1048576
UNION ALL
SELECT 'job', j.job_id, j.kind, j.retention, j.pointer, NULL, j.version, j.next_id, NULL, j.epoch,
       j.sha256, substring(j.graph FROM piece * 1048576 + 1 FOR 1048576), j.requirements_sha256, substring(j.requirements FROM piece * 1048576 + 1 FOR 1048576),
       j.op_id, j.checkpoint_id, round(extract(epoch FROM j.completed_at) * 1000)::bigint, j.checkpoint_epoch,
       j.checkpoint_sha256, substring(j.metadata FROM piece * 1048576 + 1 FOR 1048576), j.created_in,
       int4send(piece) || int4send(octet_length(j.graph)) || int4send(coalesce(octet_length(j.requirements), 0))
       || int4send(coalesce(octet_length(j.metadata), 0))
  FROM job j CROSS JOIN LATERAL generate_series(0, (j.longest - 1) / 1048576) AS piece
 WHERE (SELECT l.may_be FROM large l) AND j.longest > 1048576 AND j.job_id IN (SELECT l.job_id FROM large_job l)
UNION ALL
SELECT 'discard', c.job_id, c.kind, c.retention, c.pointer, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
       c.checkpoint_id, round(extract(epoch FROM c.completed_at) * 1000)::bigint, c.epoch, NULL, NULL, NULL, NULL
  FROM checkpoint c
 WHERE $5::boolean AND c.cluster_id = $1::text AND c.state = 'discarding'
