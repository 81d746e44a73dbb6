-- Who contends for what: stat_contenders, times in UTC.
-- $1 cluster id or NULL for all, $2 component or group or NULL for all, $3 true: also those gone. Read only.
SELECT s.member_id, s.member_name, s.group_name, s.state,
       to_char(s.joined_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS joined_at,
       s.cluster_id, s.alive, s.backend_pid, s.client_version, s.incarnation
  FROM stat_contenders s
 WHERE ($1::text IS NULL OR s.cluster_id = $1::text)
   AND ($2::text IS NULL OR s.group_name = $2::text
        OR EXISTS (SELECT FROM stat_leaders l WHERE l.cluster_id = s.cluster_id AND l.component = $2::text
                                                AND l.group_name = s.group_name))
   AND (s.alive OR $3::boolean)
 ORDER BY s.cluster_id, s.group_name, s.member_id
