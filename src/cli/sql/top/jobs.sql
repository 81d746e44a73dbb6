-- Jobs that changed last. $1 cluster id. Read only.
SELECT j.job, j.status, j.checkpoints AS ckpts, j.latest_checkpoint AS latest, pg_size_pretty(j.graph_bytes::bigint) AS graph,
       j.discarding, j.result_state, j.result_status, cardinality(j.live_owners) AS owners,
       date_trunc('second', clock_timestamp() - j.updated_at)::text AS changed
  FROM stat_jobs j WHERE j.cluster_id = $1::text
 ORDER BY j.status <> 'RUNNING', j.updated_at DESC NULLS LAST, j.job LIMIT 40
