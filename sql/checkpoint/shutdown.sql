-- A job has ended for good: its list is emptied, each entry by its kind and policy, all or nothing.
-- $1 leadership id, $2 epoch (both NULL: no fence), $3 cluster id, $4 job id, $5 status of the job (FINISHED, FAILED,
-- CANCELED, SUSPENDED). Columns: outcome (done), how many are to be discarded, how many are retained.
-- SQLSTATE PK001 when fenced. Safe to retry.
WITH f AS MATERIALIZED (SELECT may_write($1::integer, $2::bigint, $3::text) AS ok),
moved AS (
    UPDATE checkpoint c
       SET state = CASE WHEN c.kind <> 'checkpoint'
                          OR (c.retention = 'retain_on_failure' AND $5::text = 'FAILED')
                          OR (c.retention = 'retain_on_cancellation' AND $5::text IN ('CANCELED', 'FAILED', 'SUSPENDED'))
                        THEN 'retained' ELSE 'discarding' END,
           epoch = coalesce($2::bigint, 0), updated_at = clock_timestamp()
      FROM f
     WHERE f.ok AND c.cluster_id = $3::text AND c.job_id = $4::uuid AND c.state = 'completed'
    RETURNING c.state)
SELECT 'done', (SELECT count(*) FROM moved m WHERE m.state = 'discarding'), (SELECT count(*) FROM moved m WHERE m.state = 'retained')
  FROM f
