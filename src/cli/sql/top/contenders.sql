-- Live contenders. $1 cluster id. Read only.
SELECT c.member_id, c.member_name, c.group_name, c.state, date_trunc('second', clock_timestamp() - c.joined_at)::text AS joined,
       c.backend_pid, c.client_version
  FROM stat_contenders c WHERE c.cluster_id = $1::text AND c.alive
 ORDER BY c.group_name, c.state = 'standby', c.member_id LIMIT 40
