-- Leaders, with the age of the lease: time since the last heartbeat, where this role may see it. $1 cluster id. Read only.
-- Names that may be long stand last: a narrow screen cuts there.
SELECT s.group_name, s.state, s.epoch_text,
       CASE WHEN s.lock_held THEN (extract(epoch FROM clock_timestamp() - a.state_change) * 1000)::bigint END AS lease_age_ms,
       s.lease_ms, s.member_name, s.component, s.address,
       CASE WHEN s.lock_held AND s.released_at IS NULL AND s.granted_at <= clock_timestamp()
            THEN date_trunc('second', clock_timestamp() - s.granted_at)::text END AS led_for, s.take_over_mode,
       s.handover_to
  FROM stat_leaders s
  LEFT JOIN stat_contenders c ON c.cluster_id = s.cluster_id AND c.group_name = s.group_name AND c.member_id = s.member_id
  LEFT JOIN pg_stat_activity a ON a.pid = c.backend_pid
 WHERE s.cluster_id = $1::text
 ORDER BY s.lock_held DESC, s.group_name, s.component LIMIT 40
