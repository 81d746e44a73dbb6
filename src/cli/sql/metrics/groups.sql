-- Leadership of all groups of all clusters. Labels: cluster_id, group_name; then one column per metric. Read only.
SELECT cluster_id, group_name,
       bool_or(s.lock_held AND s.released_at IS NULL AND s.state <> 'in grace')::integer AS led,
       -- Not of a group that published nothing, or nothing any more, and for which nobody contends: its job is over.
       bool_or(s.state = 'lost' AND (s.component IS NOT NULL OR c.standbys IS NOT NULL))::integer AS lost,
       max(s.epoch & ((1::bigint << 40) - 1)) AS take_overs,
       max(CASE WHEN s.lock_held AND s.released_at IS NULL
                THEN round(extract(epoch FROM greatest(clock_timestamp() - s.granted_at, interval '0'))::numeric, 3) END) AS led_for,
       max(c.standbys) AS standbys, max(c.silence) AS silence,
       max(round(s.lease_ms / 1000.0, 3)) AS lease
  FROM stat_leaders s
  -- Every contended group is known; a full join is never a nested loop of thousands by thousands.
  FULL JOIN (
       SELECT c.cluster_id, c.group_name, count(*) FILTER (WHERE c.state = 'standby') AS standbys,
              -- Empty for roles that may not see the sessions of others.
              max(round(extract(epoch FROM clock_timestamp() - a.state_change)::numeric, 3))
                  FILTER (WHERE c.state IN ('leader', 'in grace')) AS silence
         FROM stat_contenders c LEFT JOIN pg_stat_activity a ON a.pid = c.backend_pid
        WHERE c.alive GROUP BY c.cluster_id, c.group_name) c USING (cluster_id, group_name)
 GROUP BY cluster_id, group_name
 ORDER BY cluster_id, group_name
