-- $1 cluster id, $2 state (dirty, clean; NULL: both), $3 job id (NULL: all).
-- Columns: job id, state, status, job name, started, ended (milliseconds since 1970), net runtime in ms, failure,
-- SHA-256 of accumulators, accumulators, format version, epoch,
-- place among its pieces, of accumulators, as in checkpoint/list.sql; ascending by job. Any number of rows; safe to retry.
SELECT r.job_id, r.state, r.status, r.job_name,
       round(extract(epoch FROM r.job_started_at) * 1000)::bigint, round(extract(epoch FROM r.job_ended_at) * 1000)::bigint,
       r.net_runtime_ms, r.failure, r.accumulators_sha256::bytea,
       CASE WHEN r.large THEN substring(r.accumulators FROM piece * 1048576 + 1 FOR 1048576) ELSE r.accumulators END,
       r.format_version, r.epoch,
       CASE WHEN r.large THEN int4send(piece) || int4send(octet_length(r.accumulators)) END
  FROM (
SELECT r.*, coalesce(octet_length(r.accumulators), 0) > 1048576 AS large
  FROM job_result r
 WHERE r.cluster_id = $1::text AND ($2::text IS NULL OR r.state = $2::text) AND ($3::uuid IS NULL OR r.job_id = $3::uuid)
 ORDER BY r.job_id) r
 CROSS JOIN LATERAL generate_series(0, CASE WHEN r.large THEN (octet_length(r.accumulators) - 1) / 1048576 ELSE 0 END) AS piece
