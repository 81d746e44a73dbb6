-- Leaders, with the age of the lease: time since the last heartbeat, where this role may see it. $1 cluster id. Read only.
-- Names that may be long stand last: a narrow screen cuts there.
SELECT s.group_name, s.state, s.epoch_text,
       CASE WHEN s.lock_held THEN (extract(epoch FROM clock_timestamp() - a.state_change) * 1000)::bigint END AS lease_age_ms,
       s.lease_ms, s.member_name, s.component, s.address,
       CASE WHEN s.lock_held AND s.released_at IS NULL AND s.granted_at <= clock_timestamp()
            THEN date_trunc('second', clock_timestamp() - s.granted_at)::text END AS led_for, s.take_over_mode,
       s.handover_to
  -- A full join, of which the left one is kept: it is never a nested loop of thousands by thousands.
  FROM (SELECT * FROM stat_leaders WHERE cluster_id = $1::text) s
  FULL JOIN (SELECT * FROM stat_contenders WHERE cluster_id = $1::text) c USING (group_name, member_id)
  LEFT JOIN pg_stat_activity a ON a.pid = c.backend_pid
 WHERE coalesce(s.epoch, -1) >= 0
 ORDER BY s.lock_held DESC, s.group_name, s.component LIMIT 40
