-- Components of a cluster and whether each has a leader that has published its address.
-- $1 cluster id, $2 component or NULL for all. Read only.
SELECT s.component, s.state = 'leading' AS led
  FROM stat_leaders s
 WHERE s.cluster_id = $1::text AND s.component IS NOT NULL AND ($2::text IS NULL OR s.component = $2::text)
 ORDER BY s.component
